"""Unpaired text lifts languages that lie elsewhere, and leaves English as it is."""

import dataclasses

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side, SpaceTower
from polyglance.recipes import drift_adapter, m2m, ridge
from polyglance.recipes.data import unpaired_text
from polyglance.vectors import unit

PHRASES = small_world.PHRASES
# Each language has text of its own half of the phrases; nobody says which is which.
BANK = [
    (language, small_world.translate(phrase, language))
    for number, language in enumerate(small_world.LANGUAGES[:2])
    for phrase in PHRASES[number % 2 :]
]
RECIPES = {
    "ridge": (ridge, ridge.RidgeConfig()),
    "m2m": (m2m, m2m.M2MConfig()),
    "procrustes": (drift_adapter, drift_adapter.ProcrustesConfig()),
    "low-rank": (drift_adapter, drift_adapter.LowRankConfig(num_epochs=2)),
    "residual-mlp": (drift_adapter, drift_adapter.ResidualMlpConfig(num_epochs=2)),
}


def accented():
    return Side(small_world.load_reference("fake:accented"), "fake:accented")


def packs_of(teacher, name):
    module, config = RECIPES[name]
    return [
        module.train(PHRASES, teacher=teacher, tower=accented(), config=config, unpaired=unpaired)
        for unpaired in ((), BANK)
    ]


def hit_rate_at_1(pack, teacher, language):
    texts = [small_world.translate(phrase, language) for phrase in PHRASES]
    said = SpaceTower(pack.side).encode(texts, languages=[language] * len(texts))
    wanted = teacher.encode_texts(PHRASES, languages=[ENGLISH] * len(PHRASES))
    return retrieval.bitext_accuracy(said, wanted)


@pytest.mark.parametrize("name", RECIPES)
def test_means_lift_the_languages_that_have_them(teacher, name):
    without, centred = packs_of(teacher, name)
    for language in small_world.LANGUAGES[:2]:
        before, after = (hit_rate_at_1(p, teacher, language) for p in (without, centred))
        assert after > before + 0.2
    assert centred.side.means.languages == ("deu_Latn", "hin_Deva")
    assert centred.manifest.data["unpaired_texts_of_languages"] == {"deu_Latn": 72, "hin_Deva": 71}


def test_the_map_is_the_same_and_so_is_english(teacher):
    config = dataclasses.replace(RECIPES["ridge"][1], penalties=(0.1,))
    without, centred = (
        ridge.train(PHRASES, teacher=teacher, tower=accented(), config=config, unpaired=unpaired)
        for unpaired in ((), BANK)
    )
    before, after = (
        SpaceTower(pack.side).encode(PHRASES, languages=[ENGLISH] * len(PHRASES))
        for pack in (without, centred)
    )
    assert before.tobytes() == after.tobytes()


def test_a_pack_with_means_comes_back_from_disk(teacher, tmp_path):
    _, pack = packs_of(teacher, "ridge")
    pack.save(tmp_path / "pack")
    loaded = LanguagePack.load(tmp_path / "pack")
    for language in (*small_world.LANGUAGES, ENGLISH, "jpn_Jpan"):
        texts = [small_world.translate(phrase, "deu_Latn") for phrase in PHRASES[:3]]
        before, after = (
            SpaceTower(one.side).encode(texts, languages=[language] * 3) for one in (pack, loaded)
        )
        np.testing.assert_array_equal(before, after)
    assert loaded.side.fingerprint == pack.side.fingerprint
    assert loaded.side.fingerprint != dataclasses.replace(pack.side, means=None).fingerprint


def test_a_pack_whose_means_are_gone_is_refused(teacher, tmp_path):
    _, pack = packs_of(teacher, "ridge")
    pack.save(tmp_path / "pack")
    small_world.edit(tmp_path / "pack" / "pack.json", language_means=["deu_Latn"])
    with pytest.raises(errors.StoreError, match="means of shape"):
        LanguagePack.load(tmp_path / "pack")


def test_a_text_of_unknown_language_is_refused(teacher):
    _, pack = packs_of(teacher, "ridge")
    assert pack.side.uses_language
    assert not accented().uses_language
    with pytest.raises(errors.LanguageError, match="mean of their language"):
        teacher.with_pack(pack).encode_texts(["red circle"], languages=None)


def test_english_of_the_bank_says_where_english_lies():
    """Means of one kind of text compare, whatever the map is fitted on."""
    english = [(ENGLISH, phrase) for phrase in PHRASES]
    far = np.full((3, 40), 9, np.float32)
    found = unpaired_text.encode_unpaired(
        BANK + english, tower=accented(), english=far, head_input="unit"
    )
    wanted = unit(accented().tower.encode([text for name, text in BANK if name == "deu_Latn"]))
    about = unit(accented().tower.encode(PHRASES))
    np.testing.assert_allclose(found.means.offsets[0], wanted.mean(0) - about.mean(0), atol=1e-5)
    assert ENGLISH not in found.vectors


def test_languages_of_few_texts_have_no_mean_and_are_named():
    few = [("arb_Arab", small_world.translate(phrase, "arb_Arab")) for phrase in PHRASES[:9]]
    found = unpaired_text.encode_unpaired(
        [*BANK, *few, *few, ("arb_Arab", " ")],
        tower=accented(),
        english=np.zeros((1, 40), np.float32),
        head_input="raw",
    )
    assert found.means.languages == ("deu_Latn", "hin_Deva")
    assert found.facts["languages_of_too_few_texts_for_a_mean"] == ["arb_Arab"]
    assert found.facts["unpaired_texts_of_languages"]["arb_Arab"] == 9
