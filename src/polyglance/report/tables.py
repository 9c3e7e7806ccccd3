"""Sections, views and figures of a report, and pure functions of them.

A *section* holds what shares task, metric and caption policy; a *view* of it one split, direction,
value, variant and partner (`seen`, text to content, `hit_rate_at_10`). Numbers of one view may be
set side by side, numbers of two sections never (`Result.kind`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from polyglance.report import wording
from polyglance.results.schema import Direction, Result

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
        names: Some of it, by name, and why.
    """

    reason: str
    total: int
    num_languages: int
    most: int
    most_language: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """Captions of a language that say what an earlier one says, and stay.

    Attributes:
        language: Language id.
        count: How many; the most, where splits differ.
        caption: The one that is there most often.
        times: How often that is.
    """

    language: str
    count: int
    caption: str
    times: int


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
        repeated: Languages with repeated captions, most first.
        prompts_taken: Languages by the prompts that were taken, where a variant leaves that open.
        supported: By model, the measured languages that it is said to know; models of which
            nothing says so are absent.
        model_ids: Fingerprint by model.
        data_ids: Fingerprints by language.
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
    repeated: tuple[Repeated, ...]
    prompts_taken: Mapping[str, int]
    supported: Mapping[str, frozenset[str]]
    model_ids: Mapping[str, str]
    data_ids: Mapping[str, str]
    code_versions: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """What sets it apart from other sections."""
        return (self.task, self.metric, self.caption_policy)

    def label(self, model: str) -> str:
        """What a model is called where there is little room."""
        return wording.short_names(self.all_models)[model]

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


def section_names(sections: Sequence[Section], *, modality: str) -> list[str]:
    """What sections are called: by their task, and where several are of it, by what differs."""
    names = []
    for section in sections:
        others = [other for other in sections if other.task == section.task]
        parts = []
        if any(other.caption_policy != section.caption_policy for other in others):
            parts.append(wording.policy_name(section.caption_policy, modality=modality))
        if any(other.metric != section.metric for other in others):
            parts.append(section.metric.replace("_", " "))
        names.append(f"{section.task} ({'; '.join(parts)})" if parts else section.task)
    return names


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One model in one view.

    Attributes:
        model: Its name.
        english: None where English was not measured.
        others: Mean over the languages other than English that every model of the view has; its
            ends are the means of the languages' ends. That is wider than the interval of the
            mean, since languages do not err in step; it speaks of other images, not of other
            languages.
        num_others: How many languages that is.
    """

    model: str
    english: Figure | None
    others: Figure | None
    num_others: int


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
    # Results that came from another tool say no number of candidates.
    if k is None or fewest != most or fewest < 1 or view.direction != "text_to_content":
        return None
    return min(1.0, k / fewest)


def in_order_of(view: View, languages: Sequence[str], *, model: str) -> list[str]:
    """Languages by a model's value, best first; those without one last, by id."""
    figures = view.figures.get(model, {})

    def rank(language: str) -> tuple[bool, float, str]:
        figure = figures.get(language)
        return (figure is None, -figure.value if figure else 0.0, language)

    return sorted(languages, key=rank)


def view_key(row: Result, value: str) -> ViewKey:
    """The view that a value of a result stands in."""
    partner = ITSELF if row.other_language == row.language else row.other_language
    return (row.split, row.direction, value, row.variant, partner)


def view_name(key: ViewKey, *, modality: str) -> str:
    """What a view is called, all of it.

    >>> view_name(("test", "content_to_class", "accuracy", "labels", ""), modality="image")
    'image to class, accuracy, labels, test'
    """
    split, direction, value, variant, partner = key
    words = [
        wording.direction_name(direction, modality=modality),
        wording.value_name(value),
        *([wording.variant_name(variant)] if variant else []),
        *([wording.partner_name(partner)] if partner else []),
        wording.split_name(split),
    ]
    return ", ".join(words)


def mean(values: Sequence[float]) -> float:
    """The mean of one number or more."""
    return math.fsum(values) / len(values)
