"""Script first, then the detector, among the languages at hand."""

import subprocess
import sys

import pytest

from polyglance.languages import all_languages
from polyglance.search import language_guess

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "rus_Cyrl", "ukr_Cyrl", "jpn_Jpan", "heb_Hebr")


@pytest.mark.parametrize(
    ("text", "language"),
    [("כלב", "heb_Hebr"), ("スイカ", "jpn_Jpan"), ("犬の写真", "jpn_Jpan"), ("犬", "jpn_Jpan")],
)
def test_a_script_of_one_language_decides_alone(text, language):
    (found,) = language_guess.likely(text, languages=LANGUAGES)
    assert (found.language, found.share) == (language, 1.0)


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("狮子", ("zho_Hans",)),
        ("獅子", ("zho_Hant", "jpn_Jpan")),
        ("山", ("zho_Hans", "zho_Hant", "jpn_Jpan")),
        ("狮獅", ("zho_Hans", "zho_Hant", "jpn_Jpan")),
    ],
)
def test_characters_of_one_way_to_write_chinese(text, languages):
    at_hand = ("zho_Hans", "zho_Hant", "jpn_Jpan", "eng_Latn")
    found = set(language_guess.of_script(text, languages=at_hand))
    assert set(languages) <= found | {"jpn_Jpan"}
    assert found <= set(languages) | {"jpn_Jpan"}


def test_letters_of_a_language_that_the_detector_does_not_know():
    assert language_guess.of_script("Хӑйӑр", languages=("rus_Cyrl", "chv_Cyrl")) == ("chv_Cyrl",)
    assert language_guess.of_script("Хӑйӑр", languages=("rus_Cyrl",)) == ("rus_Cyrl",)


def test_own_letters_are_nobody_elses():
    letters = list(language_guess.OWN_LETTERS.values())
    assert sum(map(len, letters)) == len(frozenset().union(*letters))


def test_where_the_script_decides_no_detector_is_loaded():
    code = (
        "import sys; from polyglance.search import language_guess as g; "
        "g.likely('כלב', languages=('heb_Hebr', 'eng_Latn')); "
        "sys.exit('py3langid' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ein Hund spielt im Garten mit dem Ball", "deu_Latn"),
        ("un chien joue dans le jardin avec une balle", "fra_Latn"),
        ("a dog plays with a ball in the garden", "eng_Latn"),
        ("собака играет во дворе с мячом", "rus_Cyrl"),
        ("собака грає у дворі з м'ячем", "ukr_Cyrl"),
    ],
)
def test_sentences_are_recognised(text, language):
    assert language_guess.guess(text, languages=LANGUAGES)[0].language == language


@pytest.mark.parametrize("text", ["pain", "Hund", "2024", "🐕", "", "אב c"])
def test_shares_sum_to_one_and_fall(text):
    shares = [one.share for one in language_guess.guess(text, languages=LANGUAGES)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_only_the_languages_at_hand():
    found = language_guess.guess("chien", languages=("deu_Latn", "eng_Latn"))
    assert {one.language for one in found} == {"deu_Latn", "eng_Latn"}


def test_most_letters_decide_and_digits_do_not():
    assert language_guess.scripts_of("12345 Hund и") == {"Latn"}
    assert language_guess.scripts_of("12 !?") == frozenset()


def test_a_language_that_the_detector_does_not_know_has_a_small_share():
    found = language_guess.guess("Haus am See", languages=("deu_Latn", "hsb_Latn"))
    assert found[0].language == "deu_Latn"
    assert 0 < found[1].share < 0.01


def test_every_script_that_packs_are_likely_to_have_is_in_the_table():
    known = set().union(*language_guess.SCRIPTS.values())
    assert {row.script for row in all_languages() if row.in_flores} <= known
