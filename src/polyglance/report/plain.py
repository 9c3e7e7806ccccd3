"""How do results read without a browser? The same tables as Markdown, every number as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from polyglance import files, languages
from polyglance.report import building, tables, wording
from polyglance.report.tables import Figure, Section, View
from polyglance.results import Result

CSV_COLUMNS = (
    "task",
    "split",
    "language",
    "english_name",
    "script",
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
) -> Path:
    """Write the headline and the main view of each split as Markdown tables.

    Args:
        path: The file to write; its folder is made.
        title: Heading.
        results: What was measured.
        model_order: Every model of the results, as they are to be listed.
        baseline: The model the others are compared with.
        notes: Plain sentences to be read with the numbers.
        modality: What the content items are.

    Returns:
        `path`.

    Raises:
        ResultError: For results that may not be set beside each other.
        UnknownNameError: For a model or baseline that `model_order` lacks.
    """
    sections = building.build_sections(results, model_order=model_order, baseline=baseline)
    lines = [f"# {_cell(title)}", ""]
    lines += [f"- {_cell(note)}" for note in notes]
    for section in sections:
        main = section.views[0]
        lines += ["", f"## {_cell(section.task)}", ""]
        lines.append(
            f"Per cent, {wording.value_name(main.value)}, "
            f"{wording.direction_name(main.direction, modality=modality)}, "
            f"{wording.policy_name(section.caption_policy, modality=modality)}; "
            "95 % intervals in brackets."
        )
        for split in section.splits:
            view = section.in_split(main, split)
            if view is not None:
                lines += ["", f"### {_cell(wording.split_name(split))}", ""]
                lines += [*_model_rows(view), "", *_language_rows(section, view)]
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, "\n".join(lines) + "\n")
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
        writer.writerows(_csv_rows(result))
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, text.getvalue())
    return path


def _csv_rows(result: Result) -> Iterable[list[object]]:
    """One row a value, in the order of `CSV_COLUMNS`."""
    row = languages.get_language(result.language)
    for name, value in result.values.items():
        low, high = result.intervals.get(name, ("", ""))
        yield [
            result.task,
            result.split,
            result.language,
            row.english_name,
            row.script,
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
            result.model,
            result.model_id,
            result.data_id,
            result.code_version,
        ]


def _model_rows(view: View) -> list[str]:
    rows = tables.headlines(view)
    count = max(row.num_others for row in rows)
    lines = [f"| Model | English | mean of {count} other languages |", "| --- | ---: | ---: |"]
    for row in rows:
        lines.append(f"| {_cell(row.model)} | {_figure(row.english)} | {_figure(row.others)} |")
    return lines


def _language_rows(section: Section, view: View) -> list[str]:
    models = " | ".join(_cell(model) for model in section.models)
    lines = [
        f"| Language | Own name | Id | {models} |",
        f"| --- | --- | --- |{' ---: |' * len(section.models)}",
    ]
    for language in section.languages:
        row = languages.get_language(language)
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
