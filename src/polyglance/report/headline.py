"""The head of a report: the three cards, the table of models, and what switches views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from polyglance.report import tables, wording
from polyglance.report.tables import Figure, Headline, Section, View

# Shapes and colours repeat beyond these; `page.css` has the colours --m0 to --m7.
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
MOST_RADIOS = 5
_SHAPE_PATHS = {
    "circle": "M10 6a4 4 0 1 1-8 0a4 4 0 1 1 8 0z",
    "square": "M2.5 2.5h7v7h-7z",
    "triangle-up": "M6 2l4.5 8h-9z",
    "diamond": "M6 1l4 5l-4 5l-4-5z",
    "cross": "M4.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "triangle-down": "M6 10l4.5-8h-9z",
    "triangle-right": "M10 6l-8 4.5v-9z",
    "triangle-left": "M2 6l8 4.5v-9z",
}


def model_slots(models: Sequence[str], *, baseline: str) -> dict[str, int]:
    """Which colour and shape each model has: 0 is the baseline's, whatever its place.

    >>> model_slots(["ridge", "before", "m2m"], baseline="before")
    {'ridge': 1, 'before': 0, 'm2m': 2}
    """
    others = [model for model in models if model != baseline]
    slots = {model: 1 + place % (len(SHAPES) - 1) for place, model in enumerate(others)}
    return {model: slots.get(model, 0) for model in models}


def swatch(slot: int) -> str:
    """The mark of a model: its shape in its colour; says nothing to screen readers."""
    path = _SHAPE_PATHS[SHAPES[slot]]
    return (
        f'<svg class="swatch" style="color:var(--m{slot})" viewBox="0 0 12 12" aria-hidden="true">'
        f'<path fill="currentColor" d="{path}"/></svg>'
    )


def short_name(section: Section, model: str) -> str:
    """A model's short name; the whole one shows where the pointer rests."""
    label = section.label(model)
    title = "" if label == model else f' title="{escape(model)}"'
    return f"<bdi{title}>{escape(label)}</bdi>"


def cards(section: Section, *, baseline: str, after: str | None) -> str:
    """Before and after in large figures: the other languages by split, then English.

    Args:
        section: Its first view is the main one.
        baseline: Before.
        after: The model shown as after; None gives nothing.
    """
    main = section.views[0]
    if after is None or baseline not in main.figures:
        return ""
    made: list[str] = []
    views = [section.in_split(main, split) for split in section.splits]
    for view in views[:2]:
        rows = _by_model(view)
        if view is not None and baseline in rows and after in rows:
            label = f"Mean over {_others(section, rows[after].num_others)}"
            part = wording.split_name(view.split)
            made.append(_card(label, part, rows[baseline].others, rows[after].others))
    rows = _by_model(main)
    english = (rows[baseline].english, rows[after].english)
    made.append(_card("English", wording.split_name(main.split), *english))
    shown = "".join(made)
    return f'<div class="cards">{shown}</div>' if shown else ""


def model_table(section: Section, *, number: int, baseline: str, modality: str) -> str:
    """Every model: English and the mean over the other languages, by split.

    The page's script fills it anew for another direction or value.
    """
    main = section.views[0]
    slots = model_slots(section.all_models, baseline=baseline)
    heads = {split: _by_model(section.in_split(main, split)) for split in section.splits}
    parts = {"english": "English", "others": "other languages"}
    if tables.ENGLISH not in section.languages:
        parts = {"others": "mean of the languages"}
    top = "".join(
        f'<th scope="colgroup" colspan="{len(parts)}">{escape(wording.split_name(split))}</th>'
        for split in section.splits
    )
    below = "".join(f'<th scope="col">{part}</th>' for part in parts.values()) * len(heads)
    body = []
    for model in section.models:
        cells = ""
        for split in section.splits:
            row = heads[split].get(model)
            for part in parts:
                figure = getattr(row, part) if row else None
                cells += _head_cell(figure, split=split, part=part)
        name = f'<th scope="row">{swatch(slots[model])}{short_name(section, model)}</th>'
        body.append(f'<tr data-model="{section.models.index(model)}">{name}{cells}</tr>')
    caption = (
        f"Per cent, <b data-slot=value>{escape(wording.value_name(main.value))}</b>, "
        f"<b data-slot=direction>{wording.direction_name(main.direction, modality=modality)}</b>; "
        "below each number its 95&nbsp;% interval"
    )
    return (
        f'<p class="hint above" id="models-{number}">{caption}</p>'
        f'<div class="scroller" role="region" tabindex="0" aria-labelledby="models-{number}">'
        f'<table class="models" aria-labelledby="models-{number}">'
        f'<thead><tr><th rowspan="2" scope="col">Model</th>{top}</tr><tr>{below}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        f'<p class="hint" data-slot="chance">{chance_sentence(main)}</p>'
    )


def chance_sentence(view: View) -> str:
    """What guessing would reach; empty where that cannot be said."""
    chance = tables.chance(view)
    if chance is None:
        return ""
    return (
        f"Guessing among {view.num_candidates[0]:,} candidates with one right answer: "
        f"{wording.per_cent(chance)}&nbsp;%."
    )


def controls(section: Section, *, number: int, modality: str) -> str:
    """What switches direction, value and so on: native to the keyboard.

    Radio buttons where there are few to choose from, a list where there are many.
    """
    main = section.views[0]
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
    made = ""
    for axis, (title, name_of) in names.items():
        options = [(option, name_of(option)) for option in section.options(axis)]
        if len(options) > 1:
            form = radios if len(options) <= MOST_RADIOS else _list
            made += form(axis, title, options, chosen=getattr(main, axis), number=number)
    return made


def figure_html(figure: Figure | None) -> str:
    """A number in per cent with its interval below."""
    if figure is None:
        return f'<span class="v">{wording.MISSING}</span>'
    interval = wording.span(figure.low, figure.high)
    below = f'<span class="ci">{interval}</span>' if interval else ""
    return f'<span class="v">{wording.per_cent(figure.value)}</span>{below}'


def _others(section: Section, count: int) -> str:
    other = " other" if tables.ENGLISH in section.languages else ""
    return f"{count:,}{other} language{'' if count == 1 else 's'}"


def _by_model(view: View | None) -> dict[str, Headline]:
    return {} if view is None else {row.model: row for row in tables.headlines(view)}


def _head_cell(figure: Figure | None, *, split: str, part: str) -> str:
    return (
        f'<td class="num" data-split="{escape(split)}" data-part="{part}">'
        f"{figure_html(figure)}</td>"
    )


def _card(label: str, part: str, before: Figure | None, after: Figure | None) -> str:
    """One card; empty where either number is missing."""
    if before is None or after is None:
        return ""
    gain = after.value - before.value
    same = wording.points(gain) == "0.0"
    change = "unchanged" if same else f"{wording.points(gain)} points"
    widths = [max(0.0, min(100.0, 100 * figure.value)) for figure in (before, after)]
    interval = wording.span(after.low, after.high)
    note = f' <span class="ci">95&nbsp;% interval {interval}</span>' if interval else ""
    return (
        f'<div class="card"><h3>{escape(label)} <span class="pill">{escape(part)}</span></h3>'
        f'<p class="big"><span class="said">from </span>'
        f'<span class="was">{wording.per_cent(before.value)}</span>'
        f'<span class="arrow" aria-hidden="true">→</span><span class="said"> to </span>'
        f'{wording.per_cent(after.value)}<span class="unit">%</span></p>'
        f'<div class="track" aria-hidden="true"><i style="width:{widths[1]:.1f}%"></i>'
        f'<i style="width:{widths[0]:.1f}%"></i></div>'
        f'<p class="change"><b>{change}</b>{note}</p></div>'
    )


def radios(
    name: str, title: str, options: Sequence[tuple[str, str]], *, chosen: str, number: int
) -> str:
    """Radio buttons of one control, in the section of that number."""
    made = ""
    for value, label in options:
        checked = " checked" if value == chosen else ""
        made += (
            f'<label><input type="radio" name="{name}-{number}" data-control="{name}" '
            f'value="{escape(value)}"{checked}><span>{escape(label)}</span></label>'
        )
    return f'<fieldset class="radios"><legend>{title}</legend><div>{made}</div></fieldset>'


def _list(
    name: str, title: str, options: Sequence[tuple[str, str]], *, chosen: str, number: int
) -> str:
    made = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
        f"{escape(label)}</option>"
        for value, label in options
    )
    return (
        f'<label class="field"><span>{title}</span>'
        f'<select name="{name}-{number}" data-control="{name}">{made}</select></label>'
    )
