"""Published numbers of the same measurement, beside ours, over the same languages.

Only numbers that `published.comparable` allows: the same task, split, language, direction, policy,
variant and value. A mean is over the languages that the paper and every model of ours have; one
that the paper itself prints is there where every model of ours has all its languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from polyglance.report import tables
from polyglance.report.tables import Section, View, ViewKey
from polyglance.results import published
from polyglance.results.published import PublishedNumber, groups
from polyglance.results.published.groups import ComparableMean
from polyglance.results.schema import Result


@dataclass(frozen=True, kw_only=True)
class Published:
    """What one table of a paper says of one model in one view.

    Attributes:
        model: As the paper calls it.
        table: The table's name, with the paper's.
        figures: Fractions by language, those that our models have too; none of a printed mean.
        means: Means over these languages: the paper's under "", ours by model.
        group: Of a mean that the paper prints, the paper's name of its languages.
        num_languages: Over how many languages.
    """

    model: str
    table: str
    figures: Mapping[str, float]
    means: Mapping[str, float]
    group: str = ""
    num_languages: int


def beside(section: Section, results: Iterable[Result]) -> dict[ViewKey, list[Published]]:
    """What was published, by view of a section, in the order of the views; best first."""
    if section.task not in {number.task for number in published.published_numbers()}:
        return {}
    found: dict[ViewKey, dict[tuple[str, str], dict[str, float]]] = {}
    asked: set[tuple[str, ...]] = set()
    own = [r for r in results if (r.task, r.metric, r.caption_policy) == section.key]
    for row in own:
        # What may stand beside a result does not depend on the model.
        if (row.language, *row.kind) in asked:
            continue
        asked.add((row.language, *row.kind))
        for number in published.comparable(row):
            key = tables.view_key(row, number.metric)
            by_model = found.setdefault(key, {})
            figures = by_model.setdefault((number.model, number.table), {})
            figures.setdefault(row.language, _fraction(number))
    means = _printed_means(own)
    return {
        view.key: rows
        for view in section.views
        if (rows := _rows(view, found.get(view.key, {}), means.get(view.key, {})))
    }


def printed_in(languages: Sequence[str], rows: Sequence[Published]) -> list[str]:
    """The languages that any of the rows has."""
    return [name for name in languages if any(name in row.figures for row in rows)]


def _fraction(number: PublishedNumber) -> float:
    assert number.fraction is not None  # as `comparable` promises
    return number.fraction


def _printed_means(
    results: Iterable[Result],
) -> dict[ViewKey, dict[PublishedNumber, list[ComparableMean]]]:
    """Means that papers print, and ours over the same languages, by view."""
    found: dict[ViewKey, dict[PublishedNumber, list[ComparableMean]]] = {}
    for mean in groups.comparable_means(results):
        key = tables.view_key(mean.like, mean.number.metric)
        found.setdefault(key, {}).setdefault(mean.number, []).append(mean)
    return found


def _rows(
    view: View,
    found: Mapping[tuple[str, str], Mapping[str, float]],
    printed: Mapping[PublishedNumber, Sequence[ComparableMean]],
) -> list[Published]:
    shared = set.intersection(*(set(figures) for figures in view.figures.values()))
    rows = []
    for (model, table), figures in found.items():
        both = {name: value for name, value in sorted(figures.items()) if name in shared}
        if both:
            means = {"": tables.mean(list(both.values()))}
            for ours, measured in view.figures.items():
                means[ours] = tables.mean([measured[name].value for name in both])
            rows.append(
                Published(
                    model=model, table=table, figures=both, means=means, num_languages=len(both)
                )
            )
    for number, ours_of in printed.items():
        ours_by_model = {mean.like.called: mean.mean for mean in ours_of}
        if set(view.figures) <= set(ours_by_model):
            rows.append(
                Published(
                    model=number.model,
                    table=number.table,
                    figures={},
                    means={"": _fraction(number), **ours_by_model},
                    group=number.language.removeprefix(published.GROUP_PREFIX),
                    num_languages=ours_of[0].num_members,
                )
            )
    return sorted(rows, key=lambda row: -row.means[""])
