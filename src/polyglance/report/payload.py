"""The data of a report's script: all numbers as one JSON text that is safe in HTML.

Fractions, five decimals, in lists by model and language, so that 201 languages stay small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from polyglance.languages import registry
from polyglance.report import groups, tables, wording
from polyglance.report.tables import Figure, Section, View

DECIMALS = 5


def of_languages(order: Sequence[str]) -> dict[str, Any]:
    """Names of languages and of their groups, a column a fact; groups by their place in a list."""
    rows = [registry.get_language(language) for language in order]
    by_kind = {by: list(groups.members(order, by)) for by in groups.TITLES}
    return {
        "id": list(order),
        "english": [row.english_name for row in rows],
        "own": [row.own_name for row in rows],
        "groups": {
            by: {
                "title": groups.TITLES[by],
                "names": names,
                "of": [names.index(groups.group_of(language, by)) for language in order],
            }
            for by, names in by_kind.items()
        },
    }


def of_section(
    section: Section, *, order: Sequence[str], baseline: str, after: str | None
) -> dict[str, Any]:
    """A section as the script reads it.

    Args:
        section: From `building.build_sections`.
        order: Languages of the whole report, as `of_languages` had them.
        baseline: What the others are compared with.
        after: The model compared with it at first; None where there is none.
    """
    models = section.models
    place = {language: i for i, language in enumerate(order)}
    return {
        "models": list(models),
        "baseline": models.index(baseline) if baseline in models else None,
        "after": None if after is None else models.index(after),
        "languages": [place[language] for language in section.languages],
        "views": [_view(view, section) for view in section.views],
        "splits": list(section.splits),
    }


def as_json(value: object) -> str:
    r"""JSON that may stand inside a `<script>`: no `<`, `>` or `&`, no line separators of Unicode.

    >>> as_json({"model": "</script>"})
    '{"model":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _view(view: View, section: Section) -> dict[str, Any]:
    """One view: values and ends by model and language, headline, chance."""
    by_model = [view.figures.get(model, {}) for model in section.models]
    heads = {row.model: row for row in tables.headlines(view)}
    chance = tables.chance(view)
    return {
        **dict(zip(tables.AXES, view.key, strict=True)),
        "name": wording.value_name(view.value),
        "chance": None if chance is None else _short(chance),
        "candidates": view.num_candidates[0] if chance is not None else None,
        "queries": _folded(
            [view.num_queries.get(language) or None for language in section.languages]
        ),
        **_columns(by_model, section.languages),
        "heads": [
            [*_figure(heads[model].english), *_figure(heads[model].others)]
            if model in heads
            else [None] * 6
            for model in section.models
        ],
        "others": max((row.num_others for row in heads.values()), default=0),
    }


def _columns(by_model: Sequence[Mapping[str, Figure]], order: Sequence[str]) -> dict[str, Any]:
    """Values, lows and highs, each by model and then language."""
    columns: dict[str, list[Any]] = {"values": [], "lows": [], "highs": []}
    for figures in by_model:
        triples = [_figure(figures.get(language)) for language in order]
        for name, column in zip(columns, zip(*triples, strict=True), strict=True):
            columns[name].append(_folded(column))
    return columns


def _folded(column: Sequence[float | None]) -> float | list[float | None] | None:
    """A column; the value alone where it is the same in every row.

    >>> _folded([0.5, 0.5]), _folded([0.5, None])
    (0.5, [0.5, None])
    """
    return column[0] if len(set(column)) == 1 else list(column)


def _figure(figure: Figure | None) -> tuple[float | None, float | None, float | None]:
    if figure is None:
        return (None, None, None)
    return (_short(figure.value), _short(figure.low), _short(figure.high))


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
