"""Text normalisation: the forms in which encoders read texts, each with what it folds.

A text is brought into one form, here and nowhere else, before a tower's tokenizer sees it: in
training, in evaluation and in a search alike. Which form depends on what the tower was trained
with; its fingerprint names it, so that caches and packs know. Every form starts from `plain`,
which takes away only what no reader sees: marks without ink, and codes by which keyboards and
typography tell the same letter apart (full width, ligatures, letters of formulas).

    plain            most pretrained encoders: their own tokenizers do the rest
    lower            trained on lower-cased text, with a tokenizer that keeps the case (SigLIP 2)
    uncurled         straight quotes, signs of one width (CLIP, through ftfy)
    uncurled-lower   both (Chinese CLIP)
    folded           our n-gram towers: whatever keyboards and typography make of the same word
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import regex

TextForm = Literal["plain", "lower", "uncurled", "uncurled-lower", "folded"]

# Raised when a form changes what a tower reads; it is part of the fingerprints of towers.
VERSION: Mapping[TextForm, int] = MappingProxyType(
    {"plain": 2, "lower": 2, "uncurled": 2, "uncurled-lower": 2, "folded": 1}
)

# Invisible: what directs, joins, breaks or stretches. Some of it is spelling in some places: see
# `_needed`. Tatweel only stretches an Arabic word. Interlinear anchors are no text.
_INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\u0640\uFFF9-\uFFFB]")
_ZWSP, _ZWNJ, _ZWJ = "\u200b", "\u200c", "\u200d"
# Where a joiner is spelling: in Arabic letters (Persian), behind a letter or sign of India.
_JOINED = regex.compile(
    r"[\p{Arab}\p{Syrc}\p{Mong}\p{Deva}\p{Beng}\p{Guru}\p{Gujr}\p{Orya}\p{Taml}\p{Telu}\p{Knda}"
    r"\p{Mlym}\p{Sinh}\p{Khmr}\p{Mymr}]"
)
# Scripts without spaces, in which a zero-width one says where a word ends.
_UNSPACED = regex.compile(r"[\p{Khmr}\p{Laoo}\p{Mymr}\p{Thai}\p{Tibt}]")
_PICTURE = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{RI}0-9#*]")
_SELECTED = regex.compile(r"[\p{Extended_Pictographic}0-9#*\p{Han}\p{Mymr}\p{Mong}\p{Phag}]")
# The same letter under another code: digits and Latin letters of full width, kana and hangul of
# half width, ligatures of Latin and Armenian, Hebrew and Arabic letters in the shape of a place,
# and letters of formulas. Signs stay: in Chinese those of full width are the usual ones.
_SAME_LETTER = regex.compile(
    r"[\uFF10-\uFF19\uFF21-\uFF3A\uFF41-\uFF5A\uFF66-\uFFDC\uFB00-\uFB04\uFB06\uFB13-\uFB17"
    r"\uFB20-\uFB4F\uFB50-\uFDC7\uFE70-\uFEFC\U0001D400-\U0001D7FF]+"
)
_SPACE_OR_CONTROL = regex.compile(r"[\s\p{Cc}]+")

# Straightened as ftfy does it for CLIP.
_STRAIGHT = {
    **dict.fromkeys(map(ord, "‘’‚‛ʼ"), "'"),
    **dict.fromkeys(map(ord, "“”„‟"), '"'),
}
_LIGATURES = {
    "Ĳ": "IJ", "ĳ": "ij", "ŉ": "ʼn", "Ǳ": "DZ", "ǲ": "Dz", "ǳ": "dz", "Ǆ": "DŽ", "ǅ": "Dž",
    "ǆ": "dž", "Ǉ": "LJ", "ǈ": "Lj", "ǉ": "lj", "Ǌ": "NJ", "ǋ": "Nj", "ǌ": "nj", "ﬅ": "ſt",
}  # fmt: skip
_SILENT = frozenset({"Mn", "Mc", "Me", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})
_WIDE = regex.compile(r"[\uFF01-\uFFEF\u3000]+")

# Folded: marks above and below letters that are left out in writing, seen decomposed.
_FOLDED_MARKS = regex.compile(
    r"[\u0591-\u05BD\u05BF\u05C1-\u05C7]"  # Hebrew points and accents
    r"|[\p{Mn}&&[\u0600-\u06FF\u0750-\u077F\u0870-\u08FF]]"  # Arabic vowels, hamza, madda
    r"|(?<=\p{Greek}\u0308?)[\u0300\u0301\u0304\u0306\u0313\u0314\u0342\u0345]"
    r"|(?<=[Ii])\u0307"  # what is left of a Turkish capital
    r"|(?<=[Ее])\u0308",  # Russian yo
    flags=regex.VERSION1,
)
_VOWEL_SIGNS = regex.compile(r"[\u0591-\u05BD\u05BF\u05C1-\u05C7\u064B-\u0652\u0670]")
# A letter of its own in Malayalam and Bengali, in the spelling from before it had a code.
_OLD_LETTERS = {
    "ണ്\u200d": "ൺ", "ന്\u200d": "ൻ", "ര്\u200d": "ർ", "ല്\u200d": "ൽ", "ള്\u200d": "ൾ",
    "ക്\u200d": "ൿ", "ত্\u200d": "ৎ",
}  # fmt: skip
_OLD_LETTER = regex.compile("|".join(_OLD_LETTERS))
# One letter for those that keyboards of neighbouring languages have in each other's place.
_FOLDED_LETTERS = {
    **{ord(dash): "-" for dash in "‐‑‒–—―−⸺⸻﹘﹣－־᠆⁃"},
    **dict.fromkeys(map(ord, "‘’‚‛ʹʻʼʽˈ՚׳′`´‵ꞌ＇"), "'"),
    **dict.fromkeys(map(ord, "“”„‟«»״″‶〝〞〟＂"), '"'),
    **dict.fromkeys(map(ord, "·‧∙⋅"), "·"),  # Catalan
    **dict.fromkeys(map(ord, "يىیۍ"), "ی"),
    **dict.fromkeys(map(ord, "كک"), "ک"),
    **dict.fromkeys(map(ord, "هہھەةۃ"), "ه"),
    **dict.fromkeys(map(ord, "اٱ"), "ا"),
    ord("ı"): "i",  # the lower case of a Turkish I, which other languages have as i
    ord("ǝ"): "ə",  # Azerbaijani
    ord("œ"): "oe",  # French keyboards have no key for it
    ord("\u0326"): "\u0327",  # Romanian letters with a comma, for long written with a cedilla
    ord("〜"): "~",
}
# Thai and Lao signs that are typed in either order, or as two of half the width.
_TWO_SARA_E = "\u0e40\u0e40", "\u0e41"
_SIGN_BEFORE_TONE = regex.compile(r"([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb])")
_ACUTE = {
    ord(letter): "'" for letter in "´\u1ffd΄᾽᾿"
}  # compatibility forms would make a space of them
# Whatever is not only a matter of case and compatibility; other texts need no further step.
_TOUCHED = regex.compile(
    r"[\p{Arab}\p{Greek}\p{Hebr}\p{Pd}\p{Pi}\p{Pf}\p{Cc}\u0300-\u036F\u0600-\u06FF\uFFF9-\uFFFB"
    r"\u0e40\u0e4d\u0ecd[\p{Nd}--[0-9]]ıёșțǝœ‚„〝〞〟‵‶′″〜·‧∙⋅−⁃`´\u1FFDʹʻʼʽˈ՚ꞌ\p{Default_Ignorable_Code_Point}]",
    flags=regex.VERSION1,
)
_DIGIT = regex.compile(r"[\p{Nd}--[0-9]]", flags=regex.VERSION1)


def plain(text: str) -> str:
    r"""A text without what no reader sees: composed, single spaces, no marks that only lay it out.

    Joiners stay where they are spelling (Persian, the scripts of India) and inside emoji, spaces of
    no width between words of scripts that have no others, selectors behind what they select. The
    letters of keyboards of full width, of ligatures and of formulas are the usual ones.

    >>> plain("\ufeffFi\u00adsch\u200f \n Suppe")
    'Fisch Suppe'
    >>> plain("سمـكة") == "سمكة", plain("می\u200cخواهم") == "می\u200cخواهم"
    (True, True)
    >>> plain("ﬁsh"), plain("ｆｉｓｈ！"), plain("𝐟𝐢𝐬𝐡")
    ('fish', 'fish！', 'fish')
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = text if text.isprintable() else _SPACE_OR_CONTROL.sub(" ", text)
    seen = _SAME_LETTER.sub(lambda found: unicodedata.normalize("NFKC", found[0]), seen)
    if _INVISIBLE.search(seen):
        seen = _without_invisible(seen)
    # Two hyphens differ from the plain one only in where a line may break.
    composed = unicodedata.normalize("NFC", seen).replace("\u2010", "-").replace("\u2011", "-")
    return " ".join(composed.split())


def folded(text: str) -> str:
    """The one form of all spellings that keyboards and typography make of the same word.

    Compatibility forms, case, Greek accents, Arabic and Hebrew vowel signs, letters that keyboards
    of neighbouring languages exchange, quotes, dashes, digits and joiners no longer differ.

    >>> folded("ΣΚΥΛΟΣ") == folded("σκύλος"), folded("ماهي") == folded("ماهی")
    (True, True)
    >>> folded("L’ARBRE"), folded("Straße"), folded("ﬁsch")
    ("l'arbre", 'strasse', 'fisch')
    """
    usual = unicodedata.normalize("NFKC", text).casefold()
    if not _TOUCHED.search(usual) and not _TOUCHED.search(text):
        return " ".join(unicodedata.normalize("NFC", usual).split())
    seen = _OLD_LETTER.sub(lambda found: _OLD_LETTERS[found[0]], text)
    seen = _INVISIBLE.sub("", _SPACE_OR_CONTROL.sub(" ", seen)).translate(_ACUTE)
    apart = unicodedata.normalize("NFKD", seen)
    # Case between two looks at the marks: a capital's may come apart only when it is small.
    small = unicodedata.normalize("NFKD", _FOLDED_MARKS.sub("", apart).casefold())
    letters = _FOLDED_MARKS.sub("", _INVISIBLE.sub("", small)).translate(_FOLDED_LETTERS)
    letters = _SIGN_BEFORE_TONE.sub(r"\2\1", letters.replace(*_TWO_SARA_E))
    western = _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), letters)
    return " ".join(unicodedata.normalize("NFC", western).split())


def uncurled(text: str) -> str:
    """A plain text with straight quotes, ligatures apart and letters of the usual width.

    >>> uncurled("“ﬁsh” ｆｉｓｈ")
    '"fish" fish'
    """
    seen = plain(text)
    if seen.isascii():
        return seen
    narrow = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), seen)
    apart = "".join(_LIGATURES.get(letter, letter) for letter in narrow)
    return unicodedata.normalize("NFC", apart.translate(_STRAIGHT))


FORMS: Mapping[TextForm, Callable[[str], str]] = MappingProxyType(
    {
        "plain": plain,
        "lower": lambda text: plain(text).lower(),
        "uncurled": uncurled,
        "uncurled-lower": lambda text: uncurled(text).lower(),
        "folded": folded,
    }
)


def prepared(texts: Sequence[str], *, form: TextForm, prefix: str = "") -> list[str]:
    """Texts as a tower of this form reads them.

    Args:
        texts: As they came.
        form: Of the tower.
        prefix: Put in front of every text, with the spaces and lines that it has.

    >>> prepared(["Zwei  Hunde"], form="lower", prefix="Query: ")
    ['query: zwei hunde']
    """
    bring = FORMS[form]
    front = prefix.lower() if form.endswith("lower") else prefix
    return [front + bring(text) for text in texts]


def facts_of(form: TextForm) -> str:
    """What a tower's fingerprint says of its form."""
    return f"{form} {VERSION[form]}"


def legible(text: str) -> str:
    """The form in which a text shows its language: letters as usual, all else as it was typed.

    >>> legible("ｆｉｓｈ"), legible("HUND"), legible("سَمَكَة") == "سمكة"
    ('fish', 'hund', True)
    """
    seen = unicodedata.normalize("NFKC", plain(text))
    if not seen.isascii():
        seen = _VOWEL_SIGNS.sub("", seen).translate(_STRAIGHT)
    return seen.lower() if seen.isupper() and len(seen) > 1 else seen


def says_something(text: str) -> bool:
    r"""Whether anything is left where marks, joiners and spaces are taken away.

    >>> says_something("!"), says_something("\u200b\u200c"), says_something("ـَ")
    (True, False, False)
    """
    # Codes without a character count: a new emoji may be younger than this Python.
    return any(unicodedata.category(letter) not in _SILENT for letter in plain(text))


def _without_invisible(text: str) -> str:
    kept = []
    for at, letter in enumerate(text):
        if not _INVISIBLE.match(letter) or _needed(text, at):
            kept.append(letter)
    return "".join(kept)


def _needed(text: str, at: int) -> bool:
    """Whether an invisible character is part of what is written."""
    letter, before, behind = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if letter == _ZWJ and _is(_PICTURE, behind):
        # Between emoji, perhaps behind the selector of the first.
        return _is(_PICTURE, before) or before == "\ufe0f"
    if letter in (_ZWJ, _ZWNJ):
        return _is(_JOINED, before) and (
            _is(_JOINED, behind) or (letter == _ZWJ and unicodedata.combining(before) == 9)
        )
    if letter == _ZWSP:
        return _is(_UNSPACED, before) and _is(_UNSPACED, behind)
    if "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef":
        return _is(_SELECTED, before)
    if "\u180b" <= letter <= "\u180f":  # selectors and the vowel separator of Mongolian
        return _is(_JOINED, before)
    # A flag of a part of a country is a black flag with tags behind it.
    return "\U000e0020" <= letter <= "\U000e007f" and "🏴" in text[:at]


@lru_cache(maxsize=4096)
def _is(kind: regex.Pattern[str], letter: str) -> bool:
    return bool(letter) and kind.match(letter) is not None
