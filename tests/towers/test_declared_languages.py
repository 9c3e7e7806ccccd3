"""What a tower is said to know: by itself, its reference, its card, its family, its tokens."""

import json

import pytest

from polyglance.towers import Tower, declared_languages, load_tower


class Silent(Tower):
    """Says nothing of its own."""

    def encode(self, items, **options):
        raise AssertionError


def checkpoint(folder, *, config=None, card=None):
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "bert"}))
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return f"hf:{folder}?pooling=mean"


def test_a_tower_that_says_so_itself():
    tower = Silent()
    tower.languages = ("de", "hin_Deva")
    assert declared_languages.languages_of(tower, "fake:x") == ("deu_Latn", "hin_Deva")


def test_precomputed_vectors_by_their_reference(tmp_path):
    reference = f"precomputed:{tmp_path}?space=s&languages=de,fr"
    assert declared_languages.languages_of(Silent(), reference) == ("deu_Latn", "fra_Latn")
    assert declared_languages.languages_of(Silent(), f"precomputed:{tmp_path}?space=s") == ()


def test_a_card(tmp_path):
    card = "---\nlicense: mit\nlanguage:\n- multilingual\n- de\n- no\n- zh\n---\n\n# A model\n"
    found = declared_languages.languages_of(Silent(), checkpoint(tmp_path, card=card))
    assert found == ("deu_Latn", "nob_Latn", "zho_Hans", "zho_Hant")


@pytest.mark.parametrize("card", ["", "---\n: [\n---\n", "---\nlanguage: 3\n---\n", "# only text"])
def test_a_card_that_says_nothing(tmp_path, card):
    assert declared_languages.languages_of(Silent(), checkpoint(tmp_path, card=card)) == ()


def test_a_family(tmp_path):
    reference = checkpoint(tmp_path, config={"model_type": "xlm-roberta"})
    found = declared_languages.languages_of(Silent(), reference)
    assert len(found) == len(declared_languages.XLM_R.split()) == 94
    assert {"deu_Latn", "hin_Deva", "zho_Hant", "kmr_Latn"} <= set(found)


def test_nllb_by_its_tokens(make_checkpoint):
    reference = f"hf:{make_checkpoint('nllb')}"
    tower = load_tower(reference, modality="text")
    found = declared_languages.languages_of(tower, reference)
    assert found == ("deu_Latn", "eng_Latn", "fra_Latn")


def test_a_tower_without_a_folder():
    assert declared_languages.languages_of(Silent(), "tiny:pictograms-ranking") == ()
