"""The head of a task in a report: the cards, the table of models, and what switches views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from polyglance.report import tables, wording
from polyglance.report.tables import Figure, Headline, Section, View

# Shapes and colours repeat beyond these; `page.css` has the colours --m0 to --m7, `parts.html` the
# paths of the shapes.
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One pair of large figures: what it is about, its split, before and after."""

    label: str
    split: str
    before: Figure
    after: Figure


@dataclass(frozen=True, kw_only=True)
class Control:
    """What switches one axis of the views: its title, values with their names, the value shown."""

    axis: tables.Axis
    title: str
    options: Sequence[tuple[str, str]]
    chosen: str


def model_slots(models: Sequence[str], *, baseline: str) -> dict[str, int]:
    """Which colour and shape each model has: 0 is the baseline's, whatever its place.

    >>> model_slots(["ridge", "before", "m2m"], baseline="before")
    {'ridge': 1, 'before': 0, 'm2m': 2}
    """
    others = [model for model in models if model != baseline]
    slots = {model: 1 + place % (len(SHAPES) - 1) for place, model in enumerate(others)}
    return {model: slots.get(model, 0) for model in models}


def cards(section: Section, *, baseline: str, after: str | None) -> list[Card]:
    """Before and after: the other languages by split, then English, where both have a number.

    Args:
        section: Its first view is the main one.
        baseline: Before.
        after: The model shown as after; None gives nothing.
    """
    main = section.views[0]
    if after is None or baseline not in main.figures:
        return []
    found: list[tuple[str, str, Figure | None, Figure | None]] = []
    for split in section.splits[:2]:
        rows = by_model(section.in_split(main, split))
        if baseline in rows and after in rows:
            label = f"Mean over {_others(section, rows[after].num_others)}"
            found.append((label, split, rows[baseline].others, rows[after].others))
    rows = by_model(main)
    found.append(("English", main.split, rows[baseline].english, rows[after].english))
    return [
        Card(label=label, split=split, before=before, after=now)
        for label, split, before, now in found
        if before is not None and now is not None
    ]


def controls(section: Section, *, modality: str) -> list[Control]:
    """What switches direction, value and so on, where there is something to choose from."""
    names: Mapping[tables.Axis, tuple[str, Callable[[str], str]]] = {
        "direction": (
            "Direction",
            lambda name: wording.direction_name(name, modality=modality),  # type: ignore[arg-type]
        ),
        "value": ("Measure", wording.value_name),
        "variant": ("Prompts", wording.variant_name),
        "partner": ("Other language", wording.partner_name),
        "split": ("Split", wording.split_name),
    }
    return [
        Control(
            axis=axis,
            title=title,
            options=[(option, name_of(option)) for option in section.options(axis)],
            chosen=getattr(section.views[0], axis),
        )
        for axis, (title, name_of) in names.items()
        if len(section.options(axis)) > 1
    ]


def by_model(view: View | None) -> dict[str, Headline]:
    """The headlines of a view by model; none of no view."""
    return {} if view is None else {row.model: row for row in tables.headlines(view)}


def _others(section: Section, count: int) -> str:
    other = " other" if tables.ENGLISH in section.languages else ""
    return f"{count:,}{other} language{'' if count == 1 else 's'}"
