"""Language detection for short texts: script first, then a detector, among those allowed.

The letters leave the languages that are written with them; where that is one, it decides alone.
Where a text has no letters (digits, marks, emoji), or none of theirs, no language is named.
Else py3langid shares the text out among those that are left, and the languages that the asker is
known to read count for more. It was chosen on 3,851 labels of one
to three words in a hundred languages, with script and limiting: its first guess is right for 56 %,
one of its first three for 74 %; lingua's for 53 and 67 %, with 24 s and 0.8 GB to start, and in its
low mode for 46 and 62 %.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from polyglance.languages import text_forms
from polyglance.languages.registry import all_languages, get_language

_loading = threading.Lock()

# From this share on the first guess is named alone; below, those with this part of its share too.
CERTAIN = 0.9
WORTH_NAMING = 0.2
# How much more a language counts that the asker is known to read: on those labels its own first
# guesses rise from 58 to 89 %; where all askers read English, those of others fall by 1.7 points.
PREFERRED = 8.0
# How much more English counts, the language of the index's own model, of askers of whom nothing is
# known: of 40 English labels 65 % in the place of 48, of 3,537 others 57.5 % in the place of 58.0.
# Where any of the languages of the world may be meant it needs as much as a known one.
ENGLISH_UNASKED = 3.0
# Of a language that the detector does not know, before all are scaled to sum to 1.
UNKNOWN_SHARE = 1e-4
# Letters of languages that the detector does not know, and that no other language here has.
OWN_LETTERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "chv_Cyrl": frozenset("ӐӑӖӗӲӳ"),
        "shn_Mymr": frozenset("ၵၸၽႁ"),
        "snd_Arab": frozenset("ڀٿٺڃڇڏڊڍڙڪڱڻ"),
    }
)
# The character sets of each way to write Chinese, as Python knows them.
HAN_CODES: Mapping[str, str] = MappingProxyType({"Hans": "gb2312", "Hant": "big5"})
# Where the detector names a language otherwise than ISO 639.
OTHER_CODES: Mapping[str, str] = MappingProxyType({"nob": "no", "kok": "gom"})


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A language that a text may be in.

    Attributes:
        language: Its id.
        share: How likely, from 0 to 1; over all guesses of a text they sum to 1.
    """

    language: str
    share: float


# The first word of a letter's Unicode name, and the scripts of ISO 15924 that have such letters.
SCRIPTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "LATIN": frozenset({"Latn"}),
        "CJK": frozenset({"Hans", "Hant", "Jpan", "Kore"}),
        "HIRAGANA": frozenset({"Jpan"}),
        "KATAKANA": frozenset({"Jpan"}),
        "HANGUL": frozenset({"Hang", "Kore"}),
        "CYRILLIC": frozenset({"Cyrl"}),
        "ARABIC": frozenset({"Arab", "Aran"}),
        "HEBREW": frozenset({"Hebr"}),
        "GREEK": frozenset({"Grek"}),
        "ARMENIAN": frozenset({"Armn"}),
        "GEORGIAN": frozenset({"Geor"}),
        "DEVANAGARI": frozenset({"Deva"}),
        "BENGALI": frozenset({"Beng"}),
        "GURMUKHI": frozenset({"Guru"}),
        "GUJARATI": frozenset({"Gujr"}),
        "ORIYA": frozenset({"Orya"}),
        "TAMIL": frozenset({"Taml"}),
        "TELUGU": frozenset({"Telu"}),
        "KANNADA": frozenset({"Knda"}),
        "MALAYALAM": frozenset({"Mlym"}),
        "SINHALA": frozenset({"Sinh"}),
        "THAI": frozenset({"Thai"}),
        "LAO": frozenset({"Laoo"}),
        "TIBETAN": frozenset({"Tibt"}),
        "MYANMAR": frozenset({"Mymr"}),
        "KHMER": frozenset({"Khmr"}),
        "ETHIOPIC": frozenset({"Ethi"}),
        "CHEROKEE": frozenset({"Cher"}),
        "MONGOLIAN": frozenset({"Mong"}),
        "TIFINAGH": frozenset({"Tfng"}),
        "OL": frozenset({"Olck"}),
        "SYRIAC": frozenset({"Syrc"}),
        "THAANA": frozenset({"Thaa"}),
        "NKO": frozenset({"Nkoo"}),
        "ADLAM": frozenset({"Adlm"}),
        "CANADIAN": frozenset({"Cans"}),
        "MEETEI": frozenset({"Mtei"}),
        "CHAKMA": frozenset({"Cakm"}),
        "HANIFI": frozenset({"Rohg"}),
        "GOTHIC": frozenset({"Goth"}),
        "YI": frozenset({"Yiii"}),
    }
)


def has_letters(text: str) -> bool:
    """Whether a text has a letter, by which a language could be told.

    >>> has_letters("犬"), has_letters("2024!"), has_letters("🐶")
    (True, False, False)
    """
    return any(unicodedata.category(letter)[0] == "L" for letter in text)


def scripts_of(text: str) -> frozenset[str]:
    """The scripts that a text may be in, by most of its letters; empty where it has none.

    >>> sorted(scripts_of("Ｈund")), sorted(scripts_of("ｽｲｶ")), sorted(scripts_of("2024!"))
    (['Latn'], ['Jpan'], [])
    """
    if not has_letters(text):
        return frozenset()
    counted = Counter(
        unicodedata.name(letter, "").split(" ")[0].split("-")[0]
        for letter in unicodedata.normalize("NFKC", text)
        if unicodedata.category(letter)[0] in "LM"
    )
    known = [(name, count) for name, count in counted.most_common() if name in SCRIPTS]
    if not known:
        return frozenset()
    # Kana among Chinese characters decide: only Japanese mixes them.
    kana = [name for name, _ in known if name in ("HIRAGANA", "KATAKANA", "HANGUL")]
    return SCRIPTS[kana[0] if kana and known[0][0] == "CJK" else known[0][0]]


def of_script(text: str, *, languages: Collection[str]) -> tuple[str, ...]:
    """Of some languages those written in the letters of a text; none where it has none of theirs.

    >>> of_script("собака", languages=("deu_Latn", "rus_Cyrl"))
    ('rus_Cyrl',)
    >>> of_script("狮子", languages=("zho_Hans", "zho_Hant"))
    ('zho_Hans',)
    """
    letters = set(unicodedata.normalize("NFKC", text))
    own = tuple(name for name in languages if OWN_LETTERS.get(name, frozenset()) & letters)
    scripts = scripts_of(text) - _han_excluded(text)
    return own or tuple(name for name in languages if get_language(name).script in scripts)


def _han_excluded(text: str) -> set[str]:
    """Simplified or traditional, where a character is in the old code of one of them alone."""
    lacking = {script for script, code in HAN_CODES.items() if not _fits(text, code)}
    return lacking if len(lacking) == 1 else set()


def _fits(text: str, code: str) -> bool:
    letters = [letter for letter in text if unicodedata.name(letter, "").startswith("CJK")]
    try:
        "".join(letters).encode(code)
    except UnicodeEncodeError:
        return False
    return True


def guess(
    text: str,
    *,
    languages: Collection[str],
    preferred: Collection[str] = (),
    factor: float = PREFERRED,
) -> tuple[Guess, ...]:
    """The languages that a text may be in, most likely first.

    Args:
        text: A short one.
        languages: Ids of those that can be meant.
        preferred: Ids of those that the asker is known to read, as a locale says.
        factor: How much more those count.

    Returns:
        All that its script allows; none where it names no language.
    """
    seen = text_forms.legible(text)
    allowed = of_script(seen, languages=languages)
    if len(allowed) < 2:
        return tuple(Guess(language=name, share=1.0) for name in allowed)
    shares = dict.fromkeys(allowed, UNKNOWN_SHARE)
    by_code: dict[str, list[str]] = {}
    for name in allowed:
        if code := _detector_code(name):
            by_code.setdefault(code, []).append(name)
    # Spaces around it, since the detector counts where words begin and end.
    for code, share in detector().rank(f" {seen} "):
        for name in by_code.get(code, ()):
            shares[name] = max(UNKNOWN_SHARE, share / len(by_code[code]))
    for name in set(preferred) & set(shares):
        shares[name] *= factor
    total = sum(shares.values())
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    return tuple(Guess(language=name, share=shares[name] / total) for name in ordered)


def language_of_all(texts: Sequence[str], *, languages: Sequence[str]) -> str | None:
    """Which of some languages a list of texts is in that are all in one of them.

    A language that the detector knows gets its share among all languages of the world, not among
    these alone; one that it does not know gets the share of what a text looks like most beside
    those. So Ido, which looks like Esperanto, is not taken for English where it is one of the two.

    Args:
        texts: In one language.
        languages: Ids of those that it may be.

    Returns:
        Its id; None where there is no language to choose from.

    >>> language_of_all(["la hundo kuras", "mi vidas la domon"], languages=["eng_Latn", "epo_Latn"])
    'epo_Latn'
    """
    if len(languages) < 2:
        return next(iter(languages), None)
    known = [name for name in languages if _detector_code(name)]
    world = {language.id for language in all_languages()} | set(languages)
    totals = dict.fromkeys(languages, 0.0)
    for text in texts:
        shares = {one.language: one.share for one in guess(text, languages=world)}
        others = [name for name in languages if name not in known and name in shares]
        for name in known:
            totals[name] += shares.get(name, 0.0)
        nearest = max((share for name, share in shares.items() if name not in known), default=0.0)
        for name in others:
            totals[name] += nearest / len(others)
    return max(totals, key=totals.__getitem__)


def worth_naming(found: Sequence[Guess]) -> tuple[Guess, ...]:
    """The guesses worth showing to a person: one where it is certain, else a few."""
    if not found or found[0].share >= CERTAIN:
        return tuple(found[:1])
    return tuple(one for one in found if one.share >= WORTH_NAMING * found[0].share)


def _detector_code(language: str) -> str | None:
    """What the detector calls a language; None where it does not know it."""
    row, known = get_language(language), _detector_codes()
    named = (OTHER_CODES.get(row.iso639_3), row.iso639_1, row.iso639_3)
    return next((code for code in named if code in known), None)


@cache
def _detector_codes() -> frozenset[str]:
    return frozenset(detector().nb_classes)


def detector() -> Any:
    """The detector, loaded once (half a second, 80 MB); it has no state and may be shared."""
    with _loading:
        return _load()


def load_ahead() -> None:
    """Begin to load the detector, beside what else there is to do: most of it is unpacking."""
    threading.Thread(target=detector, name="language-detector", daemon=True).start()


@cache
def _load() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
