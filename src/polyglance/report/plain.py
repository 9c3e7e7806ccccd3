"""Reports without a browser: the same tables as Markdown, every number as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from polyglance.languages import registry
from polyglance.report import (
    building,
    groups,
    hard_languages,
    language_lists,
    published_table,
    resources,
    tables,
    wording,
)
from polyglance.report.tables import Figure, Section, View
from polyglance.results import spreadsheets
from polyglance.results.schema import Result
from polyglance.storage import atomic, outputs

CSV_COLUMNS = (
    "task",
    "split",
    "language",
    "english_name",
    "script",
    "family",
    "resources",
    "direction",
    "metric",
    "caption_policy",
    "variant",
    "other_language",
    "value_name",
    "value",
    "low",
    "high",
    "num_queries",
    "num_candidates",
    "num_dropped",
    "captions_duplicated",
    "prompts_taken",
    "supported",
    "model",
    "model_id",
    "data_id",
    "code_version",
)


def write_markdown(
    path: Path,
    *,
    title: str,
    results: Sequence[Result],
    model_order: Sequence[str],
    baseline: str,
    notes: Sequence[str] = (),
    modality: str = "image",
    distilled: Mapping[str, Collection[str]] = MappingProxyType({}),
    counts: resources.Counts = MappingProxyType({}),
) -> Path:
    """Write the numbers of the page as Markdown tables.

    Every measure as means; models, groups and languages in the main value of each split,
    direction, variant and partner; supported and distilled languages; correlations with resources;
    published numbers; what was dropped.

    Args:
        path: The file to write; its folder is made.
        title: Heading.
        results: What was measured.
        model_order: Every model of the results, as they are to be listed.
        baseline: The model the others are compared with.
        notes: Plain sentences to be read with the numbers.
        modality: What the content items are.
        distilled: As for `page.write_report`.
        counts: As for `page.write_report`.

    Returns:
        `path`.

    Raises:
        ResultError: For results that may not be set beside each other.
        UnknownNameError: For a model or baseline that `model_order` lacks.
    """
    sections = building.build_sections(results, model_order=model_order, baseline=baseline)
    lines = [f"# {_cell(title)}", outputs.MARKDOWN_MARK]
    lines += [f"- {_cell(note)}" for note in notes]
    names = tables.section_names(sections, modality=modality)
    for name, section in zip(names, sections, strict=True):
        policy = wording.policy_name(section.caption_policy, modality=modality)
        lines += ["", f"## {_cell(name)}", ""]
        lines.append(f"Per cent, {policy}; 95 % intervals in brackets.")
        lines += ["", *_measure_rows(section, modality=modality)]
        for view in _main_of_each(section.views):
            lines += ["", f"### {_cell(tables.view_name(view.key, modality=modality))}", ""]
            lines += [*_model_rows(view), "", *_group_rows(view), ""]
            lines += _language_rows(section, view)
        lines += _supported_rows(section, modality=modality)
        lines += _distilled_rows(section, distilled, modality=modality)
        lines += _resource_rows(section, {**counts, **resources.known_counts()})
        lines += _hard_rows(section, modality=modality)
        lines += _published_rows(section, results, modality=modality)
        lines += _dropped_rows(section)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, "\n".join(lines) + "\n")
    return path


def write_csv(path: Path, results: Iterable[Result]) -> Path:
    """Write every number of every result as a row of CSV; fractions, nothing rounded.

    Args:
        path: The file to write; its folder is made.
        results: Anything that was measured, comparable or not: a row says what it is.

    Returns:
        `path`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in results:
        writer.writerows(map(spreadsheets.cell, row) for row in _csv_rows(result))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text.getvalue())
    return path


def _csv_rows(result: Result) -> Iterable[list[object]]:
    """One row a value, in the order of `CSV_COLUMNS`."""
    row = registry.get_language(result.language)
    for name, value in result.values.items():
        low, high = result.intervals.get(name, ("", ""))
        yield [
            result.task,
            result.split,
            result.language,
            row.english_name,
            row.script,
            groups.group_of(result.language, "family"),
            groups.group_of(result.language, "resources"),
            result.direction,
            result.metric,
            result.caption_policy,
            result.variant,
            result.other_language,
            name,
            value,
            low,
            high,
            result.num_queries,
            result.num_candidates,
            json.dumps(dict(result.num_dropped), ensure_ascii=False),
            result.captions_duplicated,
            result.prompts_taken,
            {True: "yes", False: "no", None: ""}[result.supported],
            result.called,
            result.model_id,
            result.data_id,
            result.code_version,
        ]


def _main_of_each(views: Sequence[View]) -> list[View]:
    """Of each split, direction, variant and partner the first value, which is the main one."""
    found: dict[tuple[str, ...], View] = {}
    for view in views:
        split, direction, _, variant, partner = view.key
        found.setdefault((split, direction, variant, partner), view)
    return list(found.values())


def _measure_rows(section: Section, *, modality: str) -> list[str]:
    """Every measure: the mean over the languages other than English."""
    lines = _head(["Mean over other languages", "Languages"], section.models)
    for view in section.views:
        by_model = {row.model: row for row in tables.headlines(view)}
        count = max(row.num_others for row in by_model.values())
        cells = [
            _figure(by_model[model].others if model in by_model else None)
            for model in section.models
        ]
        name = _cell(tables.view_name(view.key, modality=modality))
        lines.append(f"| {name} | {count} | {' | '.join(cells)} |")
    return lines


def _group_rows(view: View) -> list[str]:
    """The mean by resources, script and family."""
    lines = _head(["Group", "Languages"], view.figures)
    for by, title in groups.TITLES.items():
        for name, (count, means) in groups.group_means(view, by).items():
            cells = " | ".join(_figure(figure) for figure in means.values())
            lines.append(f"| {title}: {_cell(name)} | {count} | {cells} |")
    return lines


def _supported_rows(section: Section, *, modality: str) -> list[str]:
    """Each model over the languages that it is said to know."""
    found = language_lists.supported_means(section)
    if not found:
        return []
    lines = ["", "### Over supported languages", ""]
    lines += _head(["Measure", "Model"], ["Supported", "Mean over them"])
    for view, means in found:
        name = _cell(tables.view_name(view.key, modality=modality))
        for model, row in means.items():
            share = f"{row.num_supported} of {row.num_measured}"
            lines.append(f"| {name} | {_cell(model)} | {share} | {_figure(row.figure)} |")
    return lines


def _distilled_rows(
    section: Section, lists: Mapping[str, Collection[str]], *, modality: str
) -> list[str]:
    """Languages that a model was distilled in beside the others of their group."""
    lines: list[str] = []
    for view, found in language_lists.distilled_languages(section, lists):
        name = _cell(tables.view_name(view.key, modality=modality))
        for one in found:
            lines += ["", f"### Distilled languages of {_cell(one.model)}: {name}", ""]
            lines += _head(
                ["Resources", "Model"], ["Distilled", "Mean", "Mean of the others", "Difference"]
            )
            for row in one.rows:
                figures = (row.distilled, row.others, row.difference)
                cells = " | ".join(_figure(figure) for figure in figures)
                share = f"{row.num_distilled} of {row.num_languages}"
                lines.append(f"| {row.group} | {_cell(row.model)} | {share} | {cells} |")
    return lines


def _resource_rows(section: Section, counts: resources.Counts) -> list[str]:
    """How the main figures go with counts of resources."""
    rows = resources.correlations(section, counts)
    if not rows:
        return []
    lines = ["", "### Against resources", ""]
    lines += _head(["Resources", "Model"], ["Languages", "Spearman", "Pearson, of the logarithm"])
    for row in rows:
        cells = " | ".join(
            f"{one.mean:.2f} ({one.low:.2f} to {one.high:.2f})"
            for one in (row.found.spearman, row.found.pearson)
        )
        lines.append(
            f"| {_cell(row.resource)} | {_cell(row.model)} | {row.found.num_points} | {cells} |"
        )
    return lines


def _hard_rows(section: Section, *, modality: str) -> list[str]:
    """z-scores of the main view, the hardest language first."""
    found = hard_languages.hard_languages(section.views[0])
    if found is None:
        return []
    name = tables.view_name(section.views[0].key, modality=modality)
    lines = ["", f"### Hard languages: {_cell(name)}", ""]
    lines += [
        "Standard deviations below or above each model's own mean over these languages."
        f" {_cell(hard_languages.left_out_sentence(found))}".rstrip(),
        "",
        *_head(["Language", "Id"], ["Mean of the models", *found.by_model]),
    ]
    for language, mean in found.mean.items():
        numbers = [mean, *(row[language] for row in found.by_model.values())]
        cells = " | ".join(hard_languages.z_text(number) for number in numbers)
        english = registry.get_language(language).english_name
        lines.append(f"| {_cell(english)} | `{language}` | {cells} |")
    return lines


def _published_rows(section: Section, results: Sequence[Result], *, modality: str) -> list[str]:
    """What papers printed, over the same languages as ours beside it."""
    lines: list[str] = []
    for key, rows in published_table.beside(section, results).items():
        name = tables.view_name(key, modality=modality)
        lines += ["", f"### Published: {_cell(name)}", ""]
        ours = [model for model in section.models if model in rows[0].means]
        lines += _head(
            ["Published model", "Table", "Languages", "Published"], [f"ours: {m}" for m in ours]
        )
        for row in rows:
            numbers = [row.means[""], *(row.means[model] for model in ours)]
            cells = " | ".join(wording.per_cent(number) for number in numbers)
            count = f"{row.num_languages}{f' (printed: {row.group})' if row.group else ''}"
            lines.append(f"| {_cell(row.model)} | {_cell(row.table)} | {_cell(count)} | {cells} |")
    return lines


def _dropped_rows(section: Section) -> list[str]:
    lines: list[str] = []
    if section.dropped:
        lines += ["", "### What was dropped", "", "| What | Count | Languages |"]
        lines.append("| --- | ---: | ---: |")
        for row in section.dropped:
            reason = _cell("; ".join([wording.reason_name(row.reason), *row.names]))
            lines.append(f"| {reason} | {row.total:,} | {row.num_languages} |")
    if section.repeated:
        total = sum(row.count for row in section.repeated)
        lines += [
            "",
            f"{total:,} texts repeat an earlier one of {len(section.repeated)} languages.",
        ]
    return lines


def _head(titles: Sequence[str], models: Iterable[str]) -> list[str]:
    """The head of a table: titles to the left, models to the right."""
    names = [*titles, *map(_cell, models)]
    right = len(names) - len(titles)
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(titles)}{' ---: |' * right}"]


def _model_rows(view: View) -> list[str]:
    rows = tables.headlines(view)
    count = max(row.num_others for row in rows)
    lines = [f"| Model | English | mean of {count} other languages |", "| --- | ---: | ---: |"]
    for row in rows:
        lines.append(f"| {_cell(row.model)} | {_figure(row.english)} | {_figure(row.others)} |")
    return lines


def _language_rows(section: Section, view: View) -> list[str]:
    lines = _head(["Language", "Own name", "Id"], section.models)
    for language in sorted(view.num_queries, key=lambda name: (name != tables.ENGLISH, name)):
        row = registry.get_language(language)
        figures = " | ".join(_figure(view.figure(model, language)) for model in section.models)
        own = _cell(row.own_name) or wording.MISSING
        lines.append(f"| {_cell(row.english_name)} | {own} | `{language}` | {figures} |")
    return lines


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return wording.MISSING
    interval = wording.span(figure.low, figure.high)
    shown = wording.per_cent(figure.value)
    return f"{shown} ({interval})" if interval else shown


def _cell(text: str) -> str:
    r"""Text that neither ends its cell nor turns into markup.

    >>> print(_cell("a|b <script> *c*"))
    a\|b &lt;script&gt; \*c\*
    """
    for sign in "\\`*_|[]#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
