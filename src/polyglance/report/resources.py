"""Scores against how well resourced languages are: points and correlations.

Babel-ImageNet's figure 4 takes the tokens that XLM-R was pre-trained on, its figure 7 the captions
of a data set; whoever has other counts brings them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.languages import groups, registry
from polyglance.metrics import significance
from polyglance.metrics.significance import Correlation
from polyglance.report import tables
from polyglance.report.tables import Section, View
from polyglance.sources.text_lines import SetAside, entry_of, read_lines

SEED = 21
TOKENS = "million tokens that XLM-R was pre-trained on"
CLASSES = "ImageNet classes with a label in Babel-ImageNet"
# A number for each language that has one, by what it counts.
Counts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class ResourceCorrelation:
    """How a model's scores go with one kind of resources.

    Attributes:
        resource: What was counted.
        model: Whose scores.
        found: Over the languages other than English; of the logarithm of the count.
    """

    resource: str
    model: str
    found: Correlation


@cache
def known_counts() -> Counts:
    """What is counted for languages everywhere: XLM-R's tokens and Babel-ImageNet's classes."""
    ids = [row.id for row in registry.all_languages()]
    counters = {TOKENS: groups.num_xlm_r_tokens, CLASSES: groups.num_babel_imagenet_classes}
    return MappingProxyType(
        {
            name: MappingProxyType({one: float(n) for one in ids if (n := count(one)) is not None})
            for name, count in counters.items()
        }
    )


def read_counts(path: Path, *, set_aside: SetAside | None = None) -> dict[str, dict[str, float]]:
    """Somebody's own counts: a table with a head, a language code and a number above 0 a line.

    Args:
        path: Tab-separated; the second column's name says what is counted.
        set_aside: Told of each line that cannot be used; None stops at the first.

    Raises:
        UnavailableError: There is no such file.
        LanguageError: Without `set_aside`, a code that is unknown or could mean two languages.
        InputError: Another form, or no line is left; without `set_aside`, also a line without a
            count. Names the line.
    """
    rows = list(csv.reader(read_lines(path), delimiter="\t"))
    # A head that holds a number is the first language, which would be lost.
    if len(rows) < 2 or len(rows[0]) != 2 or _is_number(rows[0][1]):
        raise errors.InputError(
            f"{path} is no table of two columns with a head and a line or more",
            hint="give a language code and a number a line, tab-separated; the head names both",
        )
    counts: dict[str, float] = {}
    for number, row in enumerate(rows[1:], 2):
        with entry_of(path, f"line {number}", set_aside):
            language, count = registry.normalise_language(row[0] if row else ""), _number(row)
            if language in counts:
                raise errors.InputError(
                    f"{language} has its count further up", hint="leave one of them out"
                )
            counts[language] = count
    if not counts:
        raise errors.InputError(
            f"{path} has no line that can be used", hint="give a language code and a number a line"
        )
    return {rows[0][1].strip() or path.stem: counts}


def read_all_counts(paths: Iterable[Path], *, set_aside: SetAside | None = None) -> Counts:
    """The counts of several tables, as `read_counts` reads each.

    Raises:
        InputError: Also for a name of a count that is there already.
    """
    found: dict[str, Mapping[str, float]] = {}
    for path in paths:
        for name, counts in read_counts(path, set_aside=set_aside).items():
            if name in found or name in known_counts():
                raise errors.InputError(
                    f"{path} counts {name!r}, and so does another", hint="name its column otherwise"
                )
            found[name] = counts
    return found


def _number(row: list[str]) -> float:
    """The count of a line."""
    if len(row) == 2 and _is_number(row[1]) and 0 < float(row[1]) < math.inf:
        return float(row[1])
    raise errors.InputError(
        f"{row!r} was found; expected a language and a number above 0, with a tab between them",
        hint="leave out languages of which there is nothing",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def count_of(counts: Mapping[str, float], language: str) -> float | None:
    """The count of a language, or of the one that it is a data set's variety of."""
    return counts.get(language, counts.get(registry.get_language(language).base_id))


def correlations(section: Section, counts: Counts) -> list[ResourceCorrelation]:
    """How each model's main figures go with each count; nothing where too few languages have both.

    Source: Babel-ImageNet, figures 4 and 7 (Spearman's rank correlation).
    """
    return [
        ResourceCorrelation(resource=name, model=model, found=found)
        for name, by_language in counts.items()
        for model in section.views[0].figures
        if (found := _correlation(section.views[0], model, by_language)) is not None
    ]


def _correlation(view: View, model: str, counts: Mapping[str, float]) -> Correlation | None:
    points = [
        (language, math.log10(count), figure.value)
        for language, figure in view.figures[model].items()
        if language != tables.ENGLISH and (count := count_of(counts, language)) is not None
    ]
    try:
        return significance.correlate(
            [point[1] for point in points],
            [point[2] for point in points],
            clusters=[point[0] for point in points],
            seed=SEED,
        )
    except errors.InputError:  # too few points, or all the same
        return None
