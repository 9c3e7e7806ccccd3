"""What a folder of sentence-transformers says of prompts, lengths, case and cuts is done."""

import json

import numpy as np
import pytest

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import sentence_folders

E5 = {"query": "query: ", "passage": "passage: "}


def test_prompts_and_lower_case(build):
    prompts = {"prompts": {"query": "find ", "other": "o "}, "default_prompt_name": "query"}
    folder = build(prompts=prompts, settings={"max_seq_length": 12, "do_lower_case": True})
    tower = load_tower(f"sentence:{folder}", modality="text")
    other = load_tower(f"sentence:{folder}?prompt=other", modality="text")
    (folder / "config_sentence_transformers.json").unlink()
    plain = load_tower(f"sentence:{folder}", modality="text")
    np.testing.assert_array_equal(tower.encode(["A"]), plain.encode(["find a"]))
    np.testing.assert_array_equal(other.encode(["a"]), plain.encode(["o a"]))
    assert len({tower.fingerprint, other.fingerprint, plain.fingerprint}) == 3
    with pytest.raises(errors.UnknownNameError, match="prompt 'query'"):
        load_tower(f"sentence:{folder}?prompt=query", modality="text")


def test_the_length_is_that_of_module_or_tokenizer(build):
    folder = build(settings={"max_seq_length": 5})
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["abcdefgh"])["input_ids"].shape == (1, 5)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_max_length": 7}))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps(
            {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"}
        )
    )
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["abcdefgh"])["input_ids"].shape == (1, 7)
    file.unlink()
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["a" * 40])["input_ids"].shape == (1, 20)


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": {"pooling_mode_mean_sqrt_len_tokens": True}},
        {"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
        {"pooling": {"pooling_mode": "mean", "include_prompt": False}},
        {"settings": {"max_seq_length": 12, "query_expansion": True}},
        {"tail": ("LayerNorm",)},
        {"tail": ("Dense",), "use_residual": True},
        {"tail": ("Dense",), "activation_function": "mine.Activation"},
    ],
)
def test_unusual_folders_are_left_to_the_library(settings, build):
    assert sentence_folders.read_chain(build(**settings)) is None


def test_the_default_prompt_is_that_of_the_library(build, library, texts):
    folder = build(prompts={"prompts": E5, "default_prompt_name": "query"})
    tower = load_tower(f"sentence:{folder}", modality="text")
    np.testing.assert_allclose(tower.encode(texts), library(folder, texts), atol=2e-6, rtol=1e-5)
    passage = load_tower(f"sentence:{folder}?prompt=passage", modality="text")
    wanted = library(folder, texts, prompt_name="passage")
    np.testing.assert_allclose(passage.encode(texts), wanted, atol=2e-6, rtol=1e-5)


def test_where_no_prompt_is_the_default_one_must_be_chosen(build):
    folder = build(prompts={"prompts": {**E5, "other": None}, "default_prompt_name": None})
    with pytest.raises(errors.ConfigError, match=r"query \('query: '\), passage") as refused:
        load_tower(f"sentence:{folder}", modality="text")
    assert "?prompt=query; ?prompt= takes none" in refused.value.hint
    towers = {
        option: load_tower(f"sentence:{folder}?{option}", modality="text")
        for option in ("prompt=query", "prompt=passage", "prompt=", "prefix=query: ", "prefix=")
    }
    query, none = towers["prompt=query"], towers["prompt="]
    np.testing.assert_array_equal(query.encode(["a"]), none.encode(["query: a"]))
    # The same words in front are the same tower, however they were named.
    assert query.fingerprint == towers["prefix=query: "].fingerprint
    assert none.fingerprint == towers["prefix="].fingerprint
    assert len({tower.fingerprint for tower in towers.values()}) == 3


def test_prompts_without_words_need_no_choice(build):
    folder = build(prompts={"prompts": {"query": "", "document": ""}})
    assert load_tower(f"sentence:{folder}", modality="text").encode(["a"]).shape == (1, 16)


def test_a_prompt_and_a_prefix_are_refused(build):
    folder = build(prompts={"prompts": E5})
    with pytest.raises(errors.ConfigError, match="both a prompt and a prefix"):
        load_tower(f"sentence:{folder}?prompt=query&prefix=x", modality="text")


@pytest.mark.parametrize("tail", [(), ("Dense", "Normalize")])
def test_the_first_dimensions_are_kept_as_the_folder_says(tail, build, library, texts):
    folder = build(tail=tail, prompts={"prompts": {}, "truncate_dim": 5})
    tower = load_tower(f"sentence:{folder}", modality="text")
    found = tower.encode(texts)
    assert found.shape[1] == tower.dim == 5
    np.testing.assert_allclose(found, library(folder, texts), atol=2e-6, rtol=1e-5)
    (folder / "config_sentence_transformers.json").write_text("{}")
    whole = load_tower(f"sentence:{folder}", modality="text")
    np.testing.assert_array_equal(whole.encode(texts)[:, :5], found)
    assert whole.fingerprint != tower.fingerprint


def test_settings_under_an_older_name_are_read(build, library):
    folder = build(settings={"max_seq_length": 5})
    settings = folder / "sentence_bert_config.json"
    settings.rename(folder / "sentence_xlm-roberta_config.json")
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert tower.tokenize(["abcdefgh"])["input_ids"].shape == (1, 5)
    wanted = library(folder, ["abcdefgh"])
    np.testing.assert_allclose(tower.encode(["abcdefgh"]), wanted, atol=2e-6, rtol=1e-5)


def test_what_decides_the_vectors_decides_the_name(build):
    folder = build(settings={"max_seq_length": 12})

    def name():
        return load_tower(f"sentence:{folder}", modality="text").fingerprint

    names = [name()]
    for file, change in (
        ("config.json", {"num_attention_heads": 4}),
        ("tokenizer_config.json", {"strip_accents": True}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("sentence_bert_config.json", {"max_seq_length": 7}),
    ):
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**content, **change}))
        names.append(name())
    assert len(set(names)) == len(names)
