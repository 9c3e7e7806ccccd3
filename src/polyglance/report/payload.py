"""What does the page's script know? All numbers of a report as one JSON text that is safe in HTML.

Fractions, five decimals, in lists by model and language, so that 201 languages stay small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from polyglance import languages
from polyglance.report import tables, wording
from polyglance.report.tables import Figure, Section, View

DECIMALS = 5


def of_section(section: Section, *, baseline: str, after: str | None) -> dict[str, Any]:
    """A section as the script reads it.

    Args:
        section: From `tables.build_sections`.
        baseline: What the others are compared with.
        after: The model compared with it at first; None where there is none.
    """
    models = section.models
    return {
        "models": list(models),
        "baseline": models.index(baseline) if baseline in models else None,
        "after": None if after is None else models.index(after),
        "languages": [_language(language) for language in section.languages],
        "splits": list(section.splits),
        "views": [_view(view, section) for view in section.views],
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


def _language(language: str) -> dict[str, str]:
    row = languages.get_language(language)
    return {
        "id": language,
        "english": row.english_name,
        "own": row.own_name,
        "script": row.script,
        "scriptName": wording.script_name(row.script),
    }


def _view(view: View, section: Section) -> dict[str, Any]:
    """One view: values and ends by model and language, headline, chance."""
    by_model = [view.figures.get(model, {}) for model in section.models]
    heads = {row.model: row for row in tables.headlines(view)}
    chance = tables.chance(view)
    return {
        "split": view.split,
        "direction": view.direction,
        "value": view.value,
        "name": wording.value_name(view.value),
        "chance": None if chance is None else _short(chance),
        "candidates": view.num_candidates[0] if chance is not None else None,
        "queries": [view.num_queries.get(language) for language in section.languages],
        **_columns(by_model, section.languages),
        "heads": [
            [*_figure(heads[model].english), *_figure(heads[model].others)]
            if model in heads
            else [None] * 6
            for model in section.models
        ],
        "others": max((row.num_others for row in heads.values()), default=0),
    }


def _columns(
    by_model: Sequence[Mapping[str, Figure]], order: Sequence[str]
) -> dict[str, list[list[float | None]]]:
    """Values, lows and highs, each by model and then language."""
    columns: dict[str, list[list[float | None]]] = {"values": [], "lows": [], "highs": []}
    for figures in by_model:
        triples = [_figure(figures.get(language)) for language in order]
        for name, column in zip(columns, zip(*triples, strict=True), strict=True):
            columns[name].append(list(column))
    return columns


def _figure(figure: Figure | None) -> tuple[float | None, float | None, float | None]:
    if figure is None:
        return (None, None, None)
    return (_short(figure.value), _short(figure.low), _short(figure.high))


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
