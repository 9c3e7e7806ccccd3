"""Published numbers of the same measurement, beside ours, over the same languages.

Only numbers that `published.comparable` allows: the same task, split, language, direction, policy,
variant and value. A mean is over the languages that the paper and every model of ours have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from polyglance.languages import registry
from polyglance.report import headline, tables, wording
from polyglance.report.tables import Section, View, ViewKey
from polyglance.results import published
from polyglance.results.published import PublishedNumber
from polyglance.results.schema import Result


@dataclass(frozen=True, kw_only=True)
class Published:
    """What one table of a paper says of one model in one view.

    Attributes:
        model: As the paper calls it.
        table: The table's name, with the paper's.
        figures: Fractions by language, those that our models have too.
        means: Means over these languages: the paper's under "", ours by model.
    """

    model: str
    table: str
    figures: Mapping[str, float]
    means: Mapping[str, float]


def beside(section: Section, results: Iterable[Result]) -> dict[ViewKey, list[Published]]:
    """What was published, by view of a section, in the order of the views; best first."""
    if section.task not in {number.task for number in published.published_numbers()}:
        return {}
    found: dict[ViewKey, dict[tuple[str, str], dict[str, float]]] = {}
    asked: set[tuple[str, ...]] = set()
    for row in results:
        if (row.task, row.metric, row.caption_policy) != section.key:
            continue
        # What may stand beside a result does not depend on the model.
        if (row.language, *row.kind) in asked:
            continue
        asked.add((row.language, *row.kind))
        for number in published.comparable(row):
            key = tables.view_key(row, number.metric)
            by_model = found.setdefault(key, {})
            figures = by_model.setdefault((number.model, number.table), {})
            figures.setdefault(row.language, _fraction(number))
    return {
        view.key: rows for view in section.views if (rows := _rows(view, found.get(view.key, {})))
    }


def published_section(section: Section, results: Iterable[Result], *, modality: str) -> str:
    """The published numbers of a section; empty where there are none."""
    found = beside(section, results)
    if not found:
        return ""
    made = "".join(
        f"<details{' open' if place == 0 else ''}>"
        f"<summary>{escape(tables.view_name(key, modality=modality))}</summary>"
        f"{_table(section, rows)}{_by_language(section, key, rows)}</details>"
        for place, (key, rows) in enumerate(found.items())
    )
    return (
        f'<h3>Published</h3><p class="hint above">Printed in papers, not measured here: the same '
        "task, split, measure, direction and captions. Ours stand beside them as means over the "
        f"same languages, in per cent.</p>{made}"
    )


def _fraction(number: PublishedNumber) -> float:
    assert number.fraction is not None  # as `comparable` promises
    return number.fraction


def _rows(view: View, found: Mapping[tuple[str, str], Mapping[str, float]]) -> list[Published]:
    shared = set.intersection(*(set(figures) for figures in view.figures.values()))
    rows = []
    for (model, table), figures in found.items():
        both = {name: value for name, value in sorted(figures.items()) if name in shared}
        if both:
            means = {"": tables.mean(list(both.values()))}
            for ours, measured in view.figures.items():
                means[ours] = tables.mean([measured[name].value for name in both])
            rows.append(Published(model=model, table=table, figures=both, means=means))
    return sorted(rows, key=lambda row: -row.means[""])


def _table(section: Section, rows: Sequence[Published]) -> str:
    heads = "".join(
        f'<th scope="col" class="num">ours: {headline.short_name(section, model)}</th>'
        for model in section.models
    )
    body = "".join(
        f'<tr><th scope="row"><bdi>{escape(row.model)}</bdi></th>'
        f"<td>{escape(row.table)}</td>"
        f'<td class="num">{_languages(row)}</td>'
        f'<td class="num"><b>{wording.per_cent(row.means[""])}</b></td>'
        + "".join(
            f'<td class="num">{wording.per_cent(row.means.get(model))}</td>'
            for model in section.models
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroller half" role="region" tabindex="0" aria-label="Published numbers">'
        '<table class="published"><thead><tr><th scope="col">Published model</th>'
        '<th scope="col">Paper and table</th><th scope="col" class="num">Languages</th>'
        f'<th scope="col" class="num">Published</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _by_language(section: Section, key: ViewKey, rows: Sequence[Published]) -> str:
    """Every published number beside every one of ours, a language a row."""
    view = next(view for view in section.views if view.key == key)
    names = [name for name in section.languages if any(name in row.figures for row in rows)]
    if len(names) < 2:
        return ""
    heads = "".join(
        f'<th scope="col" class="num"><bdi>{escape(row.model)}</bdi> '
        f'<span class="ci">{escape(row.table)}</span></th>'
        for row in rows
    ) + "".join(
        f'<th scope="col" class="num">ours: {headline.short_name(section, model)}</th>'
        for model in section.models
    )
    body = ""
    for name in names:
        figures = [row.figures.get(name) for row in rows]
        for model in section.models:
            figure = view.figure(model, name)
            figures.append(None if figure is None else figure.value)
        cells = "".join(f'<td class="num">{wording.per_cent(value)}</td>' for value in figures)
        row = registry.get_language(name)
        body += f'<tr><th scope="row">{escape(row.english_name)}</th>{cells}</tr>'
    return (
        f"<details><summary>Language by language, {len(names)}</summary>"
        '<div class="scroller half" role="region" tabindex="0" aria-label="Published by language">'
        f'<table class="published"><thead><tr><th scope="col">Language</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _languages(row: Published) -> str:
    if len(row.figures) > 1:
        return f"{len(row.figures):,}"
    return escape(registry.get_language(next(iter(row.figures))).english_name)
