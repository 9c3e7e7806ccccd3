"""Display names of values, splits, directions and reasons, and the formatting of numbers.

Fractions stay fractions in data; only here do they turn into per cent. What the field calls
"recall at k" is a hit rate inside and "R@k" in a report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from polyglance.languages import registry
from polyglance.results.schema import Direction

MISSING = "–"
# The sign that is as wide as a plus and that screen readers say as "minus".
MINUS = "\u2212"

_HIT_RATE = re.compile(r"hit_rate_at_(\d+)")
# A model, or a model and a pack, as `evaluation` names them.
_REFERENCE = re.compile(r"\S+( \+ \S+)?")
_VALUE_NAMES = {
    "mrr": "MRR",
    "mean_reciprocal_rank": "MRR",
    "macro_f1": "macro-F1",
    "accuracy_at_5": "top-5 accuracy",
    "spearman": "Spearman’s ρ",
    "knn_accuracy": "nearest-neighbour accuracy",
}
_DIRECTIONS: Mapping[Direction, str] = MappingProxyType(
    {
        "text_to_content": "text to {modality}",
        "content_to_text": "{modality} to text",
        "content_to_class": "{modality} to class",
        "content_to_content": "{modality} to {modality}",
        "text_to_other": "text to its translation",
        "other_to_text": "translation to its text",
        "text_with_other": "text beside text",
    }
)
# langcodes says "Simplified" and "Traditional", which mean nothing alone.
_SCRIPT_NAMES = {"Hans": "Simplified Han", "Hant": "Traditional Han"}
_POLICIES = {
    "first": "the first caption of each {modality}",
    "all": "all captions",
    "unique": "all captions, equal ones counted once",
    "none": "no captions, the task has none",
}
_REASONS = {
    "captions_beyond_first": "captions after the first of the same item",
    "captions_repeated": "captions that repeat another of the same item",
    "captions_without_content": "captions whose item is not at hand",
    "items_damaged": "items that cannot be read",
    "items_missing": "items that are missing",
    "images_of_unnamed_classes": "images of a class that has no name in the language",
    "pairs_without_score": "pairs that people gave no score",
    "pairs_with_an_empty_side": "pairs with an empty side",
    "tars_damaged": "tars that cannot be read to their end",
    "repeated_candidates": "candidates that repeat another, found as one",
    "vectors_missing": "items without a precomputed vector",
}


def value_name(name: str) -> str:
    """What a value is called in a report.

    >>> value_name("hit_rate_at_10"), value_name("macro_f1"), value_name("bitext_accuracy")
    ('R@10', 'macro-F1', 'bitext accuracy')
    """
    hit_rate = _HIT_RATE.fullmatch(name)
    if hit_rate:
        return f"R@{hit_rate[1]}"
    return _VALUE_NAMES.get(name, name.replace("_", " "))


def hit_rate_k(name: str) -> int | None:
    """The k of a hit rate; None for any other value.

    >>> hit_rate_k("hit_rate_at_10"), hit_rate_k("mrr")
    (10, None)
    """
    hit_rate = _HIT_RATE.fullmatch(name)
    return int(hit_rate[1]) if hit_rate else None


def split_name(split: str) -> str:
    """What a split is called.

    >>> split_name("held_out")
    'held out'
    """
    return split.replace("_", " ")


def direction_name(direction: Direction, *, modality: str) -> str:
    """What a direction is called.

    >>> direction_name("text_to_content", modality="image")
    'text to image'
    >>> direction_name("content_to_class", modality="audio")
    'audio to class'
    """
    return _DIRECTIONS[direction].format(modality=modality)


def variant_name(variant: str) -> str:
    """What a way of asking is called.

    >>> variant_name("translated"), variant_name("")
    ('translated', 'as it is')
    """
    return variant.replace("_", " ") or "as it is"


def partner_name(partner: str) -> str:
    """What the other language of a pair is called.

    >>> partner_name("itself"), partner_name("eng_Latn"), partner_name("")
    ('the same language', 'English', 'none')
    """
    if partner in ("", "itself"):
        return "the same language" if partner else "none"
    return registry.get_language(partner).english_name


def policy_name(policy: str, *, modality: str) -> str:
    """What a caption policy means, as the end of a sentence.

    >>> policy_name("first", modality="image")
    'the first caption of each image'
    """
    return _POLICIES.get(policy, policy).format(modality=modality)


def short_names(models: Sequence[str]) -> dict[str, str]:
    """What models are called where there is little room: the last part of a reference or path.

    A name stays as it is where it is no reference, or where the short one would mean two models.

    >>> short_names(["hf:openai/clip", "hf:openai/clip + packs/ridge", "before"])
    {'hf:openai/clip': 'clip', 'hf:openai/clip + packs/ridge': 'ridge', 'before': 'before'}
    """
    short = {
        name: re.split("[/:]", name.rstrip("/"))[-1] if _REFERENCE.fullmatch(name) else name
        for name in models
    }
    counts = Counter(short.values())
    return {name: part if part and counts[part] == 1 else name for name, part in short.items()}


def per_cent(value: float | None) -> str:
    """A fraction in per cent with one decimal, without the sign; a dash for none.

    >>> per_cent(0.5523), per_cent(None), per_cent(-0.0001)
    ('55.2', '–', '0.0')
    """
    if value is None:
        return MISSING
    shown = f"{100 * value:.1f}"
    return "0.0" if shown == "-0.0" else shown.replace("-", MINUS)


def points(difference: float | None) -> str:
    """A difference of fractions in percentage points, with its sign.

    >>> points(0.508), points(-0.012), points(0.0), points(None)
    ('+50.8', '−1.2', '0.0', '–')
    """
    if difference is None:
        return MISSING
    shown = per_cent(difference)
    return f"+{shown}" if difference > 0 and shown != "0.0" else shown


def span(low: float | None, high: float | None) -> str:
    """An interval in per cent; empty without one.

    >>> span(0.5, 0.6), span(-0.1, 0.1), span(None, None)
    ('50.0–60.0', '−10.0 to 10.0', '')
    """
    if low is None or high is None:
        return ""
    between = " to " if low < 0 else "–"  # a dash before a minus reads badly
    return f"{per_cent(low)}{between}{per_cent(high)}"


@cache
def script_name(code: str) -> str:
    """The English name of a script of ISO 15924; the code where it has none.

    >>> script_name("Deva"), script_name("Hans"), script_name("Zzzy")
    ('Devanagari', 'Simplified Han', 'Zzzy')
    """
    if code in _SCRIPT_NAMES:
        return _SCRIPT_NAMES[code]
    import langcodes  # 0.05 s

    name = str(langcodes.Language.make(script=code).describe().get("script", code))
    return code if name.startswith("Unknown") else name


def reason_name(reason: str) -> str:
    """A reason in words.

    >>> reason_name("items_missing"), reason_name("too_long")
    ('items that are missing', 'too long')
    """
    return _REASONS.get(reason, reason.replace("_", " "))


def number_of(number: int, noun: str) -> str:
    """A number of things.

    >>> number_of(1, "language"), number_of(1200, "language")
    ('1 language', '1,200 languages')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def decimals(value: float) -> str:
    """A number with two decimals and a real minus, none before zero.

    >>> decimals(-0.5), decimals(-0.001)
    ('−0.50', '0.00')
    """
    return f"{value:z.2f}".replace("-", MINUS)
