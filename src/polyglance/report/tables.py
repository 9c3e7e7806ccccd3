"""Which rows does a report show? Pure functions from results to sections, views and rows.

A *section* holds what shares task, metric and caption policy; a *view* of it one split, direction,
value, variant and partner (`seen`, text to content, `hit_rate_at_10`). Numbers of one view may be
set side by side, numbers of two sections never (`Result.comparable_with`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from polyglance import errors
from polyglance.report import wording
from polyglance.results import Direction, Result

ENGLISH = "eng_Latn"
SPLIT_ORDER = ("seen", "test", "held_out", "dev")
DIRECTION_ORDER = get_args(Direction)
# The partner of a language that is compared with itself: two texts of one language.
ITSELF = "itself"
# Values by rank, those of one kind of task; the largest k of a hit rate goes before all of these.
VALUE_ORDER = ("accuracy", "macro_f1", "spearman", "bitext_accuracy")


Axis = Literal["split", "direction", "value", "variant", "partner"]
AXES: tuple[Axis, ...] = get_args(Axis)
ViewKey = tuple[str, Direction, str, str, str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, with its 95 % interval where it has one; fractions."""

    value: float
    low: float | None = None
    high: float | None = None

    def clear_of(self, other: Figure) -> bool:
        """Whether both have intervals and these do not touch.

        >>> Figure(0.5, 0.4, 0.6).clear_of(Figure(0.2, 0.1, 0.3))
        True
        >>> Figure(0.5, 0.4, 0.6).clear_of(Figure(0.2))
        False
        """
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return False
        return self.low > other.high or self.high < other.low


@dataclass(frozen=True, kw_only=True)
class View:
    """What may be set side by side.

    Attributes:
        split: Which part of the task.
        direction: Which side asks.
        value: Name of the value, such as `hit_rate_at_10`.
        variant: How it was asked, where there are several ways.
        partner: The other language; `ITSELF` where it is the same one, empty without any.
        figures: By model, then language; only what was measured.
        num_queries: By language.
        num_candidates: Fewest and most over the languages.
    """

    split: str
    direction: Direction
    value: str
    variant: str = ""
    partner: str = ""
    figures: Mapping[str, Mapping[str, Figure]]
    num_queries: Mapping[str, int]
    num_candidates: tuple[int, int]

    @property
    def key(self) -> ViewKey:
        """What sets it apart from the other views of its section."""
        return (self.split, self.direction, self.value, self.variant, self.partner)

    def figure(self, model: str, language: str) -> Figure | None:
        """One number; None where it was not measured."""
        return self.figures.get(model, {}).get(language)


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """What could not take part, for one reason.

    Attributes:
        reason: Name of the reason.
        total: Summed over the languages.
        num_languages: How many languages lost something.
        most: The largest loss of one language.
        most_language: Which one.
    """

    reason: str
    total: int
    num_languages: int
    most: int
    most_language: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """What shares task, metric and caption policy.

    Attributes:
        task: Name of the task.
        metric: What was measured.
        caption_policy: Which captions took part.
        models: In the order given, those that were measured here.
        all_models: Every model of the report: a model keeps its colour in all sections.
        languages: Sorted by id, English in front.
        views: The first one is the main one.
        dropped: Largest first.
        model_ids: Fingerprint by model.
        data_ids: Fingerprint by language.
        code_versions: Of polyglance, sorted.
    """

    task: str
    metric: str
    caption_policy: str
    models: tuple[str, ...]
    all_models: tuple[str, ...]
    languages: tuple[str, ...]
    views: tuple[View, ...]
    dropped: tuple[Dropped, ...]
    model_ids: Mapping[str, str]
    data_ids: Mapping[str, str]
    code_versions: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """What sets it apart from other sections."""
        return (self.task, self.metric, self.caption_policy)

    def options(self, axis: Axis) -> tuple[str, ...]:
        """What the views differ in: every split, direction, ..., the main one first."""
        return tuple(dict.fromkeys(str(getattr(view, axis)) for view in self.views))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, the main one first."""
        return self.options("split")

    def view(
        self,
        *,
        split: str,
        direction: Direction,
        value: str,
        variant: str = "",
        partner: str = "",
    ) -> View | None:
        """The view of that split, direction and so on; None where it was not measured."""
        wanted = (split, direction, value, variant, partner)
        return next((view for view in self.views if view.key == wanted), None)

    def in_split(self, view: View, split: str) -> View | None:
        """The view that differs from another one in its split alone."""
        wanted = (split, *view.key[1:])
        return next((other for other in self.views if other.key == wanted), None)


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One model in one view.

    Attributes:
        model: Its name.
        english: None where English was not measured.
        others: Mean over the languages other than English that every model of the view has; its
            ends are the means of the languages' ends. That is wider than the interval of the
            mean, since languages do not err in step; it speaks of other pictures, not of other
            languages.
        num_others: How many languages that is.
    """

    model: str
    english: Figure | None
    others: Figure | None
    num_others: int


def build_sections(
    results: Iterable[Result], *, model_order: Sequence[str], baseline: str
) -> list[Section]:
    """Sort results into what may be set side by side.

    Args:
        results: Any number of tasks, splits, languages, directions and models; equal ones count
            once.
        model_order: Every model of the results.
        baseline: The one the others are compared with, one of `model_order`.

    Returns:
        Sections in the order of their first result.

    Raises:
        ResultError: For no results at all, a model without any, two results of one model where
            there can be one, or results of other texts or content items under one language.
        UnknownNameError: For a baseline or a model that `model_order` does not name.
    """
    rows = list(results)
    _check_models(rows, model_order=model_order, baseline=baseline)
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    for row in rows:
        grouped.setdefault((row.task, row.metric, row.caption_policy), []).append(row)
    return [_section(members, model_order=model_order) for members in grouped.values()]


def headlines(view: View) -> list[Headline]:
    """English and the mean over the other languages, for each model of a view.

    Only languages that every model of the view has enter the mean, so that means are of the same
    languages.
    """
    shared = set.intersection(*(set(figures) for figures in view.figures.values()))
    others = sorted(shared - {ENGLISH})
    return [
        Headline(
            model=model,
            english=figures.get(ENGLISH),
            others=mean_figure([figures[language] for language in others]),
            num_others=len(others),
        )
        for model, figures in view.figures.items()
    ]


def mean_figure(figures: Sequence[Figure]) -> Figure | None:
    """The mean of figures and of the ends of their intervals; None of nothing.

    >>> mean_figure([Figure(0.25, 0.0, 0.5), Figure(0.75, 0.5, 1.0)])
    Figure(value=0.5, low=0.25, high=0.75)
    >>> mean_figure([Figure(0.25, 0.0, 0.5), Figure(0.75)])
    Figure(value=0.5, low=None, high=None)
    """
    if not figures:
        return None
    lows = [figure.low for figure in figures if figure.low is not None]
    highs = [figure.high for figure in figures if figure.high is not None]
    value = mean([figure.value for figure in figures])
    if len(lows) < len(figures) or len(highs) < len(figures):
        return Figure(value)
    return Figure(value, mean(lows), mean(highs))


def best_model(view: View, *, baseline: str) -> str | None:
    """The model, other than the baseline, with the highest mean over the other languages.

    Where no language is shared the mean over all it has decides. None where there is no other.
    """
    by_model = {row.model: row for row in headlines(view) if row.model != baseline}
    if not by_model:
        return None

    def rank(model: str) -> float:
        others = by_model[model].others
        if others is not None:
            return others.value
        return mean([figure.value for figure in view.figures[model].values()])

    return max(by_model, key=rank)


def chance(view: View) -> float | None:
    """The hit rate of a scorer that knows nothing, where each query has one right answer.

    None for other values than hit rates, and where the number of candidates varies.
    """
    k = wording.hit_rate_k(view.value)
    fewest, most = view.num_candidates
    if k is None or fewest != most or view.direction != "text_to_content":
        return None
    return min(1.0, k / fewest)


def in_order_of(view: View, languages: Sequence[str], *, model: str) -> list[str]:
    """Languages by a model's value, best first; those without one last, by id."""
    figures = view.figures.get(model, {})

    def rank(language: str) -> tuple[bool, float, str]:
        figure = figures.get(language)
        return (figure is None, -figure.value if figure else 0.0, language)

    return sorted(languages, key=rank)


def _check_models(rows: Sequence[Result], *, model_order: Sequence[str], baseline: str) -> None:
    if not rows:
        raise errors.ResultError(
            "no results were given; a report needs one at least",
            hint="run polyglance eval MODEL --task TASK --out FILE first",
        )
    found = {row.model for row in rows}
    for model in sorted(found - set(model_order)):
        raise errors.unknown_name("model among the results", model, allowed=model_order)
    if baseline not in model_order:
        raise errors.unknown_name("baseline", baseline, allowed=model_order)
    for model in model_order:
        if model not in found:
            raise errors.ResultError(
                f"no results of {model!r}; there are results of {', '.join(sorted(found))}",
                hint="measure that model, or leave it out of the report",
            )


def _section(rows: Sequence[Result], *, model_order: Sequence[str]) -> Section:
    """A section of rows that share task, metric and caption policy."""
    model_ids, data_ids = _model_ids(rows), _data_ids(rows)
    by_key: dict[ViewKey, list[Result]] = {}
    for row in _one_each(rows):
        for name in row.values:
            by_key.setdefault(view_key(row, name), []).append(row)
    views = [
        view
        for key in sorted(by_key, key=_view_rank)
        if (view := _view(by_key[key], key=key, model_order=model_order)) is not None
    ]
    if not views:
        raise errors.ResultError(
            f"the results of {rows[0].task} hold no number (all are absent or not finite)",
            hint="measure it again: polyglance eval",
        )
    measured = {model for view in views for model in view.figures}
    languages = {row.language for row in rows}
    return Section(
        task=rows[0].task,
        metric=rows[0].metric,
        caption_policy=rows[0].caption_policy,
        models=tuple(model for model in model_order if model in measured),
        all_models=tuple(model_order),
        languages=tuple(sorted(languages, key=lambda name: (name != ENGLISH, name))),
        views=tuple(views),
        dropped=tuple(_dropped(rows)),
        model_ids=model_ids,
        data_ids=data_ids,
        code_versions=tuple(sorted({row.code_version for row in rows})),
    )


def view_key(row: Result, value: str) -> ViewKey:
    """The view that a value of a result stands in."""
    partner = ITSELF if row.other_language == row.language else row.other_language
    return (row.split, row.direction, value, row.variant, partner)


def _view(members: Sequence[Result], *, key: ViewKey, model_order: Sequence[str]) -> View | None:
    """A view of rows that share its key; None where no number is finite."""
    split, direction, value, variant, partner = key
    figures: dict[str, dict[str, Figure]] = {}
    for row in sorted(members, key=lambda row: row.language):
        number = row.values[value]
        if math.isfinite(number):
            low, high = row.intervals.get(value, (None, None))
            figures.setdefault(row.model, {})[row.language] = Figure(number, low, high)
    if not figures:
        return None
    candidates = [row.num_candidates for row in members]
    return View(
        split=split,
        direction=direction,
        value=value,
        variant=variant,
        partner=partner,
        figures={model: figures[model] for model in model_order if model in figures},
        num_queries={row.language: row.num_queries for row in members},
        num_candidates=(min(candidates), max(candidates)),
    )


def _one_each(rows: Sequence[Result]) -> list[Result]:
    """Every row once; refuses two that say different things of one thing."""
    found: dict[tuple[str, ...], Result] = {}
    for row in rows:
        known = found.setdefault((row.model, row.language, *row.kind), row)
        if known != row:
            raise errors.ResultError(
                f"two results of {row.model!r} on {row.task} {row.split}, {row.language}, "
                f"{row.direction}, which differ; a report takes one",
                hint="leave one of the two out, or give the two models different names",
            )
    return list(found.values())


def _model_ids(rows: Sequence[Result]) -> dict[str, str]:
    """The fingerprint of each model; refuses two models under one name."""
    found: dict[str, str] = {}
    for row in rows:
        known = found.setdefault(row.model, row.model_id)
        if known != row.model_id:
            raise errors.ResultError(
                f"two models are called {row.model!r}: {known[:12]} and {row.model_id[:12]}; "
                "a name means one",
                hint="give the two models different names, or leave the old results out",
            )
    return found


def _data_ids(rows: Sequence[Result]) -> dict[str, str]:
    """The fingerprints of each language's data; refuses numbers of two data beside each other."""
    by_kind: dict[tuple[str, ...], Result] = {}
    by_language: dict[str, list[str]] = {}
    for row in rows:
        known = by_kind.setdefault((row.language, *row.kind), row)
        if known.data_id != row.data_id:
            raise errors.ResultError(
                f"{known.model!r} and {row.model!r} were measured on other texts or content items "
                f"of {row.task} in {row.language} ({known.data_id[:12]} and {row.data_id[:12]}); "
                "only numbers of the same data may stand side by side",
                hint="measure both on the same files, or report them apart",
            )
        by_language.setdefault(row.language, []).append(row.data_id)
    return {name: ", ".join(dict.fromkeys(ids)) for name, ids in by_language.items()}


def _view_rank(key: ViewKey) -> tuple[object, ...]:
    """Main views first: the seen split, text asks, the largest k, what stands in `VALUE_ORDER`."""
    split, direction, value, variant, partner = key
    known = SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)
    k = wording.hit_rate_k(value)
    rank = VALUE_ORDER.index(value) if value in VALUE_ORDER else len(VALUE_ORDER)
    measure = (k is None, -(k or 0), rank, value)
    return (known, split, DIRECTION_ORDER.index(direction), *measure, variant, partner)


def _dropped(rows: Sequence[Result]) -> list[Dropped]:
    """What each language lost, counted once though every model, split and direction says it."""
    lost: dict[str, dict[str, int]] = {}
    for row in rows:
        for reason, count in row.num_dropped.items():
            if count:
                by_language = lost.setdefault(reason, {})
                by_language[row.language] = max(count, by_language.get(row.language, 0))
    listed = []
    for reason, by_language in lost.items():
        most_language = max(sorted(by_language), key=lambda language: by_language[language])
        listed.append(
            Dropped(
                reason=reason,
                total=sum(by_language.values()),
                num_languages=len(by_language),
                most=by_language[most_language],
                most_language=most_language,
            )
        )
    return sorted(listed, key=lambda dropped: (-dropped.total, dropped.reason))


def mean(values: Sequence[float]) -> float:
    """The mean of one number or more."""
    return math.fsum(values) / len(values)
