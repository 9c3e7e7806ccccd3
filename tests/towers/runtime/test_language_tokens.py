"""The language reaches the token ids, and position 0 holds it."""

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import transformers as huggingface
from polyglance.towers.runtime import language_tokens


def by_language(tokenizer):
    plain = huggingface.plain_token_rows(tokenizer, max_length=8)
    return language_tokens.by_language(plain, tokenizer=tokenizer)


@pytest.fixture(scope="module")
def folder(make_checkpoint):
    return make_checkpoint("nllb")


@pytest.fixture(scope="module")
def tower(folder):
    return load_tower(f"hf:{folder}", modality="text")


def test_vectors_equal_the_library_at_position_0(tower, folder, texts):
    from transformers import AutoTokenizer, M2M100Model

    model = M2M100Model.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    languages = ["deu_Latn", "eng_Latn", "fra_Latn", "eng_Latn", "deu_Latn", "deu_Latn", "fra_Latn"]
    wanted = []
    for text, language in zip(texts, languages, strict=True):
        tokenizer.src_lang = language
        ids = tokenizer([text], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            wanted.append(model.encoder(ids).last_hidden_state[0, 0].numpy())
    got = tower.encode(texts, languages=languages)
    np.testing.assert_allclose(got, np.stack(wanted), atol=1e-5, rtol=1e-4)


def test_the_language_changes_token_ids_and_vector(tower):
    batch = tower.tokenize(["a dog", "a dog"], ["deu_Latn", "fra_Latn"])
    german, french = batch["input_ids"].tolist()
    assert german[1:] == french[1:]
    assert german[0] != french[0]
    vectors = tower.encode(["a dog", "a dog"], languages=["deu_Latn", "fra_Latn"])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_why_the_source_language_is_set_and_not_the_special_tokens(folder):
    """What open_clip's `set_language` calls; transformers undoes it when texts come."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    german, english = (tokenizer.convert_tokens_to_ids(x) for x in ("deu_Latn", "eng_Latn"))
    tokenizer.set_src_lang_special_tokens("deu_Latn")
    assert tokenizer(["a"])["input_ids"][0][0] == english
    tokenizer.src_lang = "deu_Latn"
    assert tokenizer(["a"])["input_ids"][0][0] == german


def test_languages_are_required(tower):
    assert tower.uses_language
    for ask in (tower.encode, tower.tokenize, tower.count_repeats):
        with pytest.raises(errors.LanguageError, match="nothing falls back to English"):
            ask(["a dog"])


def test_an_unknown_language_names_the_nearest(tower):
    with pytest.raises(errors.LanguageError, match=r"deu_Latin; it has 3(.|\n)*deu_Latn"):
        tower.encode(["a dog"], languages=["deu_Latin"])
    with pytest.raises(errors.TowerLacksLanguageError, match="leave those rows out"):
        tower.encode(["a dog"], languages=["~~~~~~~~"])


def test_santali_is_called_by_the_tokenizers_own_name():
    class Tokenizer:
        src_lang = None

        def get_vocab(self):
            return {"a": 0, "deu_Latn": 1, "sat_Beng": 2}

        def __call__(self, texts, **settings):
            return {"input_ids": [[self.get_vocab()[self.src_lang], 0] for _ in texts]}

    assert language_tokens.language_codes(Tokenizer())["sat_Olck"] == 2
    rows = by_language(Tokenizer())
    assert rows(["a", "a"], ["sat_Olck", "deu_Latn"]) == [[2, 0], [1, 0]]
    with pytest.raises(errors.TowerLacksLanguageError):
        rows(["a"], ["fra_Latn"])


def test_a_tokenizer_with_languages_of_another_kind_is_refused(make_checkpoint, monkeypatch):
    """MBART's says English until it is told otherwise, by codes that are not NLLB's."""
    load = huggingface.load_tokenizer

    def told(folder):
        tokenizer = load(folder)
        tokenizer.src_lang = "en_XX"
        return tokenizer

    monkeypatch.setattr(huggingface, "load_tokenizer", told)
    with pytest.raises(errors.ConfigError, match="knows no language token like deu_Latn"):
        load_tower(f"hf:{make_checkpoint('xlm_roberta')}?pooling=mean", modality="text")


def test_the_legacy_layout_is_refused(make_checkpoint):
    with pytest.raises(errors.ConfigError, match="legacy_behaviour"):
        load_tower(f"hf:{make_checkpoint('nllb_legacy')}", modality="text")


def test_repeats_count_with_their_language(tower):
    count = tower.count_repeats(["a", "a", "a"], ["deu_Latn", "fra_Latn", "deu_Latn"])
    assert (count.rows, count.distinct_texts, count.distinct_token_rows) == (3, 2, 2)


def test_another_tokenizer_is_refused(make_checkpoint, tmp_path):
    import shutil

    mixed = tmp_path / "mixed"
    shutil.copytree(make_checkpoint("nllb"), mixed)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(make_checkpoint("bert") / name, mixed / name)
    with pytest.raises(errors.ConfigError, match="no language token"):
        load_tower(f"hf:{mixed}", modality="text")
