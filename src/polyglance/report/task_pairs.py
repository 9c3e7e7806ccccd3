"""Correlations between tasks, over models and languages: points and coefficients.

Each task is one view: its main split, direction and value, R@1 where it has hit rates (as
Babel-ImageNet, figure 3, sets zero-shot accuracy against text-to-image R@1).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyglance import errors
from polyglance.metrics import significance
from polyglance.metrics.significance import Correlation
from polyglance.report import tables, wording
from polyglance.report.tables import Section, View

SEED = 20
# 28 pairs are eight tasks; each takes half a second for its intervals.
MOST_PAIRS = 28


@dataclass(frozen=True, kw_only=True)
class TaskPair:
    """Two tasks over the models and languages that both have.

    Attributes:
        across: Place of a section and of its view.
        up: The same of another.
        num_points: Models times languages that have both.
        every: Over all points, drawn by language; None where nothing can be said.
        by_model: Over the languages of one model.
    """

    across: tuple[int, int]
    up: tuple[int, int]
    num_points: int
    every: Correlation | None
    by_model: Mapping[str, Correlation]

    @property
    def correlations(self) -> list[tuple[str, Correlation]]:
        """What is known, by what it is over; one model is all models."""
        rows = [("all models", self.every), *self.by_model.items()]
        listed = rows[1:] if len(self.by_model) == 1 else rows
        return [(name, found) for name, found in listed if found is not None]


def task_pairs(sections: Sequence[Section]) -> list[TaskPair]:
    """All pairs of tasks that share points, most points first; classification goes across."""
    views = [(number, *_shown(section)) for number, section in enumerate(sections)]
    ranked = sorted(views, key=lambda item: item[2].direction != "content_to_class")
    listed = []
    for (s, v, first), (t, w, second) in itertools.combinations(ranked, 2):
        points = _points(first, second)
        if points:
            listed.append((len(points), (s, v), (t, w), points))
    listed.sort(key=lambda item: -item[0])
    return [
        TaskPair(
            across=across,
            up=up,
            num_points=count,
            every=_correlation(points),
            by_model={
                model: found
                for model in dict.fromkeys(point[0] for point in points)
                if (found := _correlation([p for p in points if p[0] == model])) is not None
            },
        )
        for count, across, up, points in listed[:MOST_PAIRS]
    ]


def name_of(sections: Sequence[Section], place: tuple[int, int], *, modality: str) -> str:
    """What an axis is called."""
    view = sections[place[0]].views[place[1]]
    name = tables.section_names(sections, modality=modality)[place[0]]
    direction = wording.direction_name(view.direction, modality=modality)
    return f"{name}: {direction}, {wording.value_name(view.value)}"


def payload(
    pairs: Sequence[TaskPair], sections: Sequence[Section], *, modality: str
) -> list[dict[str, Any]]:
    """What the page's script needs to draw the points: which views, and their names."""
    return [
        {
            axis: {"at": place, "name": name_of(sections, place, modality=modality)}
            for axis, place in (("across", pair.across), ("up", pair.up))
        }
        for pair in pairs
    ]


def _shown(section: Section) -> tuple[int, View]:
    """The view that stands for a section, with its place."""
    main = section.views[0]
    wanted = (main.split, main.direction, "hit_rate_at_1", main.variant, main.partner)
    for place, view in enumerate(section.views):
        if view.key == wanted:
            return place, view
    return 0, main


def _points(first: View, second: View) -> list[tuple[str, str, float, float]]:
    return [
        (model, language, figure.value, other.value)
        for model, figures in first.figures.items()
        for language, figure in figures.items()
        if (other := second.figure(model, language)) is not None
    ]


def _correlation(points: Sequence[tuple[str, str, float, float]]) -> Correlation | None:
    try:
        return significance.correlate(
            [point[2] for point in points],
            [point[3] for point in points],
            clusters=[point[1] for point in points],
            seed=SEED,
        )
    except errors.InputError:  # too few points, or all the same
        return None
