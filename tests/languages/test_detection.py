"""Script first, then the detector, among the languages at hand."""

import subprocess
import sys

import pytest

from polyglance.languages import detection
from polyglance.languages.registry import all_languages

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "rus_Cyrl", "ukr_Cyrl", "jpn_Jpan", "heb_Hebr")


@pytest.mark.parametrize(
    ("text", "language"),
    [("כלב", "heb_Hebr"), ("スイカ", "jpn_Jpan"), ("犬の写真", "jpn_Jpan"), ("犬", "jpn_Jpan")],
)
def test_a_script_of_one_language_decides_alone(text, language):
    (found,) = detection.guess(text, languages=LANGUAGES)
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
    found = set(detection.of_script(text, languages=at_hand))
    assert set(languages) <= found | {"jpn_Jpan"}
    assert found <= set(languages) | {"jpn_Jpan"}


def test_letters_of_a_language_that_the_detector_does_not_know():
    assert detection.of_script("Хӑйӑр", languages=("rus_Cyrl", "chv_Cyrl")) == ("chv_Cyrl",)
    assert detection.of_script("Хӑйӑр", languages=("rus_Cyrl",)) == ("rus_Cyrl",)


def test_own_letters_are_nobody_elses():
    letters = list(detection.OWN_LETTERS.values())
    assert sum(map(len, letters)) == len(frozenset().union(*letters))


def test_where_the_script_decides_no_detector_is_loaded():
    code = (
        "import sys; from polyglance.languages import detection as g; "
        "g.guess('כלב', languages=('heb_Hebr', 'eng_Latn')); "
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
    assert detection.guess(text, languages=LANGUAGES)[0].language == language


@pytest.mark.parametrize("text", ["pain", "Hund", "אב c", "ＨＵＮＤ"])
def test_shares_sum_to_one_and_fall(text):
    shares = [one.share for one in detection.guess(text, languages=LANGUAGES)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_only_the_languages_at_hand():
    found = detection.guess("chien", languages=("deu_Latn", "eng_Latn"))
    assert {one.language for one in found} == {"deu_Latn", "eng_Latn"}


def test_most_letters_decide_and_digits_do_not():
    assert detection.scripts_of("12345 Hund и") == {"Latn"}
    assert detection.scripts_of("12 !?") == frozenset()


def test_a_language_that_the_detector_does_not_know_has_a_small_share():
    found = detection.guess("Haus am See", languages=("deu_Latn", "hsb_Latn"))
    assert found[0].language == "deu_Latn"
    assert 0 < found[1].share < 0.01


def test_every_script_that_packs_are_likely_to_have_is_in_the_table():
    known = set().union(*detection.SCRIPTS.values())
    assert {row.script for row in all_languages() if row.in_flores} <= known


@pytest.mark.parametrize(
    "text", ["2024", "🐕", "", "!!!", "1️⃣", "\u0301", "👨\u200d👩\u200d👧", "١٢٣", "½ €"]
)
def test_what_has_no_letters_names_no_language(text):
    assert detection.guess(text, languages=LANGUAGES) == ()
    assert not detection.has_letters(text)


def test_letters_of_none_of_the_languages_name_none():
    assert detection.guess("ძაღლი", languages=LANGUAGES) == ()
    assert detection.has_letters("ძაღლი")


@pytest.mark.parametrize(
    ("text", "script"), [("ﾍﾟﾝｷﾞﾝ", "Jpan"), ("ｆｉｓｈ", "Latn"), ("ﻛﻠﺐ", "Arab"), ("ﾡﾢ", "Hang")]
)
def test_scripts_are_told_by_the_usual_forms_of_letters(text, script):
    assert script in detection.scripts_of(text)


def test_marks_do_not_change_the_guess():
    languages = ("arb_Arab", "pes_Arab", "urd_Arab", "heb_Hebr")
    for plain, marked in (("سمكة", "سَمَكَة"), ("سمكة", "سمـكة\u200f"), ("חתול", "חָתוּל")):
        found = [detection.guess(text, languages=languages) for text in (plain, marked)]
        assert found[0] == found[1]


def test_a_language_that_the_asker_reads_counts_for_more():
    languages = ("deu_Latn", "eng_Latn", "nld_Latn")

    def share(text, **known):
        found = detection.guess(text, languages=languages, **known)
        return {one.language: one.share for one in found}["nld_Latn"]

    alone = share("water")
    assert share("water", preferred=("nld_Latn", "rus_Cyrl")) > alone
    assert share("water", preferred=("deu_Latn",)) < alone


def test_what_is_worth_naming():
    guesses = [
        detection.Guess(language=name, share=share)
        for name, share in (("deu_Latn", 0.6), ("nld_Latn", 0.3), ("eng_Latn", 0.1))
    ]
    assert [one.language for one in detection.worth_naming(guesses)] == [
        "deu_Latn",
        "nld_Latn",
    ]
    assert detection.worth_naming([]) == ()


@pytest.mark.parametrize(
    ("texts", "languages", "expected"),
    [
        (["the dog runs", "a red car"], ("deu_Latn", "eng_Latn"), "eng_Latn"),
        (["der Hund läuft", "ein rotes Auto"], ("eng_Latn", "deu_Latn"), "deu_Latn"),
        (["собака бежит"], ("eng_Latn", "rus_Cyrl"), "rus_Cyrl"),
        # The detector does not know Ido.
        (
            ["Me ne savas.", "Tu esas mea amiko.", "Ube vu lojas?"],
            ("eng_Latn", "ido_Latn"),
            "ido_Latn",
        ),
        (["I do not know.", "You are my friend."], ("eng_Latn", "ido_Latn"), "eng_Latn"),
        (["2024"], ("eng_Latn",), "eng_Latn"),
        (["anything"], (), None),
    ],
)
def test_texts_of_one_language_tell_it_together(texts, languages, expected):
    assert detection.language_of_all(texts, languages=languages) == expected
