"""What are results called before readers? Names of values, splits and directions; per cent.

Fractions stay fractions in data; only here do they turn into per cent. What the field calls
"recall at k" is a hit rate inside and "R@k" in a report.
"""

from __future__ import annotations

import re
from functools import cache

from polyglance.results import Direction

MISSING = "–"
# The sign that is as wide as a plus and that screen readers say as "minus".
MINUS = "\u2212"

_HIT_RATE = re.compile(r"hit_rate_at_(\d+)")
_VALUE_NAMES = {"mrr": "MRR", "macro_f1": "macro-F1", "mean_rank": "mean rank"}
# langcodes says "Simplified" and "Traditional", which mean nothing alone.
_SCRIPT_NAMES = {"Hans": "Simplified Han", "Hant": "Traditional Han"}
_POLICIES = {
    "first": "the first caption of each {modality}",
    "all": "all captions",
    "unique": "all captions, equal ones counted once",
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
    """
    asked, found = ("text", modality) if direction == "text_to_content" else (modality, "text")
    return f"{asked} to {found}"


def policy_name(policy: str, *, modality: str) -> str:
    """What a caption policy means, as the end of a sentence.

    >>> policy_name("first", modality="image")
    'the first caption of each image'
    """
    return _POLICIES.get(policy, policy).format(modality=modality)


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

    >>> span(0.5, 0.6), span(None, None)
    ('50.0–60.0', '')
    """
    return "" if low is None or high is None else f"{per_cent(low)}–{per_cent(high)}"


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
