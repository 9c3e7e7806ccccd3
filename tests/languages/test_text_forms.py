"""A form for each kind of tower: what nobody sees goes, what is spelling stays, ours fold more."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance.languages import text_forms

SAME = [
    ("سمكة", "سَمَكَة"), ("سمكة", "سمـكة"), ("ماهی", "ماهي"), ("كتاب", "کتاب"), ("أحمد", "احمد"),
    ("ہوا", "هوا"), ("ھەور", "هەور"), ("دکمهٔ", "دکمۀ"), ("ﻛﻠﺐ", "كلب"), ("۱۲۳", "123"),
    ("٣٤", "34"), ("１２３", "123"), ("می\u200cخواهم", "میخواهم"), ("חתול", "חָתוּל"),
    ("שׁלום", "שלום"), ("σκύλος", "ΣΚΥΛΟΣ"), ("προϊόν", "ΠΡΟΪΟΝ"), ("ᾳδης", "αδης"),
    ("balık", "BALIK"), ("istanbul", "İstanbul"), ("Straße", "STRASSE"), ("Straße", "STRAẞE"),
    ("ﬁsh", "fish"), ("coŀlecció", "col·lecció"), ("l'arbre", "l’arbre"), ("м'яч", "мʼяч"),
    ("oʻzbek", "o'zbek"), ("oʻzbek", "o‘zbek"), ("arc-en-ciel", "arc\u2011en\u2011ciel"),
    ("1–2", "1-2"), ("pești", "peşti"), ("Əli", "əli"), ("ёлка", "елка"), ("œuf", "oeuf"),
    ("cá", "ca\u0301"), ("한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8"), ("क़लम", "क\u093cलम"),
    ("അവന്\u200d", "അവൻ"), ("น้ำ", "นํ้า"), ("แมว", "เเมว"), ("❤️", "❤"), ("Fisch", "\ufeffFi\u00adsch"),
    ("“a”", '"a"'), ("e´", "e'"), ("ペンギン", "ﾍﾟﾝｷﾞﾝ"), ("a b", "a\u00a0 b\n"),
]  # fmt: skip
APART = [
    ("balik", "balok"),
    ("کھا", "کا"),
    ("ss", "s"),
    ("är", "ar"),
    ("й", "и"),
    ("ї", "і"),
    ("ñ", "n"),
]
KEPT = [
    "می\u200cخواهم",  # Persian
    "ශ්\u200dරී",  # Sinhala
    "ಸಾಫ್ಟ್\u200cವೇರ್",  # Kannada
    "👨\u200d👩\u200d👧",
    "❤️\u200d🔥",
    "1️⃣",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "葛\U000e0100",
    "ទីក្រុង\u200bភ្នំពេញ",
    "سَمَكَة",
    "ΣΚΥΛΟΣ",
    "l’arbre",
]
GONE = [
    ("\u2067سمكة\u2069", "سمكة"),
    ("سمكة\u200f", "سمكة"),
    ("سمـكة", "سمكة"),
    ("\u200bFi\u00adsch\ufeff", "Fisch"),
    ("a\u200db\u200cc", "abc"),
    ("x\ufe0f", "x"),
    ("a\u00a0\tb\x00\nc", "a b c"),
    ("non\u2011stop", "non-stop"),
    ("ca\u0301", "cá"),
    ("ﬁsh", "fish"),
    ("ｃａｔ　２，５", "cat 2，5"),
    ("𝐜𝐚𝐭 𝟚", "cat 2"),
    ("ﾍﾟﾝｷﾞﾝ", "ペンギン"),
    ("ﻛﻠﺐ", "كلب"),
    ("ﭏ", "אל"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_the_same_word_are_folded_into_one(one, other):
    assert text_forms.folded(one) == text_forms.folded(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_words_stay_apart(one, other):
    assert text_forms.folded(one) != text_forms.folded(other)


@pytest.mark.parametrize("text", KEPT)
def test_what_is_spelling_stays_for_pretrained_towers(text):
    assert text_forms.plain(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(("text", "seen"), GONE)
def test_what_nobody_sees_goes_for_all(text, seen):
    assert text_forms.plain(text) == seen


@given(st.text())
def test_a_form_brought_into_itself_stays(text):
    for bring in (text_forms.plain, text_forms.folded, text_forms.uncurled):
        assert bring(bring(text)) == bring(text)
    assert text_forms.folded(text_forms.plain(text)) == text_forms.folded(text)


SCRIPTS = "aéıİßœ’–«ёңחָ־שׁאסَـيىکكهةہΣΆϊᾳ्‌‍കന്กำ้เ１๑٣ｱﾞ가한ᄒ❤️'´·ş\u0326\u0327\u200b\ufeff"


@given(st.text(alphabet=SCRIPTS))
def test_texts_that_are_done_without_a_look_are_done_alike(text):
    class Always:
        def search(self, text):
            return True

    quick = text_forms.folded(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_forms, "_TOUCHED", Always())
        assert text_forms.folded(text) == quick
    assert text_forms.folded(quick) == quick


def test_the_forms_of_pretrained_towers():
    assert text_forms.prepared(["Zwei “ﬁsche”"], form="lower", prefix="Q:\n ") == [
        "q:\n zwei “fische”"
    ]
    assert text_forms.prepared(["Zwei “ﬁsche”"], form="uncurled", prefix="Q: ") == [
        'Q: Zwei "fische"'
    ]
    assert text_forms.prepared(["Zwei “ﬁsche”"], form="uncurled-lower") == ['zwei "fische"']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("!", True),
        ("🐶", True),
        ("\U0001fae9", True),
        ("\ue000", True),
        ("", False),
        ("\u200b", False),
        ("ـَ", False),
        ("\u0301", False),
    ],
)
def test_whether_anything_is_said(text, says):
    assert text_forms.says_something(text) is says
