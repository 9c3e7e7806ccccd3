"""Means over lists of languages: what each model supports, and what a model was distilled in.

M2M's tables 3 and 9 average each model over its own languages. Babel-ImageNet's table 7 sets the
languages that a model was distilled in beside the others, group by group, with another model as a
control: what differs there as well is the languages' own doing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from polyglance.languages import groups
from polyglance.languages.encoder_languages import among
from polyglance.metrics import bootstrap
from polyglance.report import tables
from polyglance.report.tables import Figure, Section, View

SEED = 7
# As the paper has them: the lowest two together.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"low": ("very-low", "low"), "mid": ("mid",), "high": ("high",)}
)


@dataclass(frozen=True, kw_only=True)
class SupportedMean:
    """A model's mean over its own languages.

    Attributes:
        num_supported: Languages that it is said to know, of those measured.
        num_measured: All of them.
        figure: The mean over the first; None where there is none.
    """

    num_supported: int
    num_measured: int
    figure: Figure | None


@dataclass(frozen=True, kw_only=True)
class DistilledGroup:
    """One group of languages of one model.

    Attributes:
        group: Name of the group.
        model: Whose figures they are: the distilled model's, or a control's.
        num_distilled: Languages of the group that were distilled, and measured.
        num_languages: All measured ones of the group.
        distilled: Mean over the former.
        others: Mean over the others; None where there is none.
        difference: How far the first is above the second; its interval is about other languages,
            and there is none where one of them stands alone.
    """

    group: str
    model: str
    num_distilled: int
    num_languages: int
    distilled: Figure | None
    others: Figure | None
    difference: Figure | None


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """Distilled languages beside the others, in one view.

    Attributes:
        model: The one that was distilled.
        rows: By group, the distilled model first, then the controls.
        num_left_out: Measured languages in no group, or not supported by the model.
    """

    model: str
    rows: tuple[DistilledGroup, ...]
    num_left_out: int


def supported_means(section: Section) -> list[tuple[View, dict[str, SupportedMean]]]:
    """Each model over its own languages, in the main value of each direction.

    Nothing where no model is said to know fewer languages than were measured: the mean over all
    says the same.
    """
    found = []
    for view in _main_views(section):
        means = {
            model: _supported_mean(view.figures[model], section.supported[model])
            for model in view.figures
            if model in section.supported
        }
        if any(row.num_supported < row.num_measured for row in means.values()):
            found.append((view, means))
    return found


def distilled_languages(
    section: Section, lists: Mapping[str, Collection[str]]
) -> list[tuple[View, list[Distilled]]]:
    """The languages of each list beside the others, in the main value of each direction.

    Args:
        section: A task.
        lists: By model, the languages that it was distilled in. Of the others count those that
            the model supports, where that is known.
    """
    named = {model: listed for model, listed in lists.items() if model in section.models}
    return [
        (view, rows)
        for view in _main_views(section)
        if (
            rows := [
                _distilled(view, model, listed, among_these=section.supported.get(model))
                for model, listed in named.items()
                if model in view.figures
            ]
        )
    ]


def _main_views(section: Section) -> list[View]:
    """Of each direction, variant and partner the first value, in the first split."""
    found: dict[tuple[str, ...], View] = {}
    for view in section.views:
        if view.split == section.views[0].split:
            found.setdefault((view.direction, view.variant, view.partner), view)
    return list(found.values())


def _supported_mean(figures: Mapping[str, Figure], listed: Collection[str]) -> SupportedMean:
    known = [figure for language, figure in figures.items() if language in listed]
    return SupportedMean(
        num_supported=len(known),
        num_measured=len(figures),
        figure=tables.mean_figure(known),
    )


def _distilled(
    view: View, model: str, listed: Collection[str], *, among_these: Collection[str] | None
) -> Distilled:
    shared = set.intersection(*(set(figures) for figures in view.figures.values()))
    shared = {name for name in shared if not among(name, {tables.ENGLISH})}
    group_of = _group_of(shared)
    candidates = sorted(
        name for name in shared if among_these is None or name in among_these or among(name, listed)
    )
    rows = []
    num_grouped = 0
    for group, names in GROUPS.items():
        members = [name for name in candidates if group_of(name) in names]
        num_grouped += len(members)
        distilled = [name for name in members if among(name, listed)]
        if not members:
            continue
        for who in (model, *(other for other in view.figures if other != model)):
            rows.append(_row(group, who, view.figures[who], members=members, distilled=distilled))
    return Distilled(
        model=model,
        rows=tuple(rows),
        num_left_out=len(shared) - num_grouped,
    )


def _group_of(measured: Collection[str]) -> Callable[[str], str | None]:
    """How languages are grouped: where all of the paper's 100 were measured, these alone count."""
    evaluated = groups.language_groups("babel-imagenet-100").values()
    if all(name in measured for members in evaluated for name in members):
        return groups.evaluated_group
    return groups.resource_group


def _row(
    group: str,
    model: str,
    figures: Mapping[str, Figure],
    *,
    members: Sequence[str],
    distilled: Sequence[str],
) -> DistilledGroup:
    others = [name for name in members if name not in distilled]
    first, second = (
        tables.mean_figure([figures[name] for name in names]) for names in (distilled, others)
    )
    return DistilledGroup(
        group=group,
        model=model,
        num_distilled=len(distilled),
        num_languages=len(members),
        distilled=first,
        others=second,
        difference=difference_of_means(
            [figures[name].value for name in distilled], [figures[name].value for name in others]
        ),
    )


def difference_of_means(first: Sequence[float], second: Sequence[float]) -> Figure | None:
    """How far the mean of some languages is above that of others, with its interval over languages.

    Each list is drawn by itself. None where one is empty; no interval where one holds one value.

    >>> difference_of_means([0.5], [0.25])
    Figure(value=0.25, low=None, high=None)
    """
    if not first or not second:
        return None
    value = tables.mean(first) - tables.mean(second)
    if min(len(first), len(second)) < 2:
        return Figure(value)
    draws = [
        bootstrap.bootstrap_means(
            np.asarray(values)[:, None], clusters=range(len(values)), seed=SEED + place
        ).draws[:, 0]
        for place, values in enumerate((first, second))
    ]
    found = bootstrap.interval_of(
        draws[0] - draws[1], mean=value, num_clusters=min(len(first), len(second))
    )
    return Figure(found.mean, found.low, found.high)
