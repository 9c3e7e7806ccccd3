"""Result tables of 80 columns: one for each task, means of groups, and what was dropped."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from polyglance import errors

if TYPE_CHECKING:
    from polyglance.records import Quarantined
    from polyglance.results.schema import Result
    from polyglance.tasks import Task

WIDTH = 80
LANGUAGE_WIDTH, ASKED_WIDTH, CELL_WIDTH = 16, 20, 22
MAX_COLUMNS = 2
SHOWN_MISSING = 5
SHOWN_DROPPED = 5

# What a table shows, the task's own metric first and as far as there is room: heading, direction,
# value. The rest is in --json and --out.
COLUMNS = (
    ("text to image R@10", "text_to_content", "hit_rate_at_10"),
    ("image to text R@10", "content_to_text", "hit_rate_at_10"),
    ("accuracy", "content_to_class", "accuracy"),
    ("macro-F1", "content_to_class", "macro_f1"),
    ("Spearman x 100", "text_with_other", "spearman"),
    ("text to text R@10", "text_to_other", "hit_rate_at_10"),
    ("from other R@10", "other_to_text", "hit_rate_at_10"),
    ("accuracy to other", "text_to_other", "accuracy"),
    ("accuracy from other", "other_to_text", "accuracy"),
    ("neighbour R@1", "content_to_content", "hit_rate_at_1"),
    ("average recall", "text_to_content", "average_recall"),
    ("text to image MRR", "text_to_content", "mean_reciprocal_rank"),
    ("image to text MRR", "content_to_text", "mean_reciprocal_rank"),
    ("images to sentence", "content_to_text", "accuracy"),
    ("sentences to image", "text_to_content", "accuracy"),
)
Column = tuple[str, str, str]


def task_list(tasks: Mapping[str, Task]) -> str:
    """The table of tasks: what each asks, in how many languages, of which files."""
    lines = []
    for name, row in tasks.items():
        count = (
            f"{row.num_languages:>4} languages" if row.num_languages else f"{'any language':>14}"
        )
        lines += _wrapped(f"{name:<20}{count}  ", row.summary)
        facts = [f"captions: {row.policy}"] if row.policy != "none" else []
        facts += [f"images: {row.images}"] if row.images else []
        facts += [f"files: {', '.join(row.files)}"] if row.files else []
        lines += [typer.style(line, dim=True) for line in _wrapped(" " * 20, "; ".join(facts))]
    return "\n".join(lines)


def task_json(tasks: Mapping[str, Task]) -> str:
    """The same for programs: what of each task can be written down."""
    shown = ("kind", "summary", "num_languages", "metric", "policy", "splits", "images", "files")
    rows = [{"task": name, **{f: getattr(row, f) for f in shown}} for name, row in tasks.items()]
    return json.dumps(rows, ensure_ascii=False, indent=2)


def result_table(
    task: str, rows: Sequence[Result], *, groups: Mapping[str, Collection[str]] | None = None
) -> str:
    """One task's results: a line for each language and way of asking, means, what was dropped.

    Args:
        task: Its name.
        rows: Results of one model on it.
        groups: Languages whose means are printed beside that of all.
    """
    there = [column for column in COLUMNS if any(_has(row, column) for row in rows)]
    shown = sorted(there, key=lambda column: not column[2].startswith(rows[0].metric))[:MAX_COLUMNS]
    if not shown:
        shown = [(row.metric, row.direction, next(iter(row.values))) for row in rows[:1]]
    lines = [
        task,
        typer.style(f"of {rows[0].called}", dim=True),
        f"{'language':<{LANGUAGE_WIDTH}}{'':<{ASKED_WIDTH}}"
        + "".join(f"{heading:>{CELL_WIDTH}}" for heading, _, _ in shown),
    ]
    by_line: dict[tuple[str, str], list[Result]] = {}
    for row in rows:
        by_line.setdefault((row.language, _asked(row, rows)), []).append(row)
    for (language, asked), found in by_line.items():
        cells = [_cell(found, column) for column in shown]
        lines.append(_line(f"{language:<{LANGUAGE_WIDTH}}{asked}", cells))
    lines += _means(rows, shown, groups=groups or {})
    if alone := sum(not row.intervals for row in rows):
        # A table of one image would look as sure as one of a thousand.
        lines.append(f"{alone:,} results of a single image or sentence: no interval can be given")
    lines += [typer.style(line, dim=True) for line in (*_candidates(rows), *_dropped(rows))]
    return "\n".join(lines)


def _candidates(rows: Sequence[Result]) -> list[str]:
    """That languages are not asked the same, where what could be found differs in number."""
    by_way: dict[tuple[str, ...], list[Result]] = {}
    for row in rows:
        way = (row.direction, row.split, row.caption_policy, row.variant)
        by_way.setdefault(way, []).append(row)
    lines = []
    for (direction, *_), found in by_way.items():
        least = min(found, key=lambda row: row.num_candidates)
        most = max(found, key=lambda row: row.num_candidates)
        if least.num_candidates < most.num_candidates:
            lines += textwrap.wrap(
                f"{direction.replace('_', ' ')}: {least.num_candidates:,} ({least.language}) to "
                f"{most.num_candidates:,} ({most.language}) candidates: among fewer, more is "
                "found by chance",
                WIDTH,
            )
    return lines


def set_aside_lines(task: str, items: Sequence[Quarantined], *, num_asked: int) -> list[str]:
    """Which languages were left out of a task, all by name, reason by reason.

    Args:
        task: Its name.
        items: Ids of languages, and why.
        num_asked: How many languages were asked for.
    """
    by_reason: dict[str, list[str]] = {}
    for item in items:
        by_reason.setdefault(item.reason, []).append(item.id)
    lines = []
    for reason, names in by_reason.items():
        said = f"{task}: {len(names):,} of {num_asked:,} languages set aside, {reason}: "
        lines += textwrap.wrap(said + ", ".join(names), WIDTH, subsequent_indent="  ")
    return lines


def unusable_lines(task: str, items: Sequence[Quarantined]) -> list[str]:
    """Files and lines of a task that could not be used: how many, and the first by name.

    Args:
        task: Its name.
        items: Files and lines, and why.
    """
    if not items:
        return []
    lines = [f"{task}: {len(items):,} set aside"]
    for said in errors.few([f"{one.id}: {one.reason}" for one in items], limit=SHOWN_DROPPED):
        lines += textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _asked(row: Result, rows: Iterable[Result]) -> str:
    """What sets a line apart from others of its language, where anything does in this task."""
    several = [
        name
        for name in ("split", "caption_policy", "variant", "other_language")
        if len({getattr(each, name) for each in rows}) > 1
    ]
    return " ".join(str(getattr(row, name)) for name in several)[: ASKED_WIDTH - 1]


def _means(
    rows: Sequence[Result], shown: Sequence[Column], *, groups: Mapping[str, Collection[str]]
) -> list[str]:
    """Unweighted means over languages, for each split and variant."""
    from polyglance.metrics.group_means import group_means

    pairs = {(row.language, row.other_language) for row in rows}
    if len(pairs) < 2:
        return []
    several = len({other for _, other in pairs}) > 1
    by_way: dict[tuple[str, ...], list[Result]] = {}
    for row in rows:
        by_way.setdefault((row.split, row.caption_policy, row.variant), []).append(row)
    lines = []
    for found in by_way.values():
        values = [
            {
                f"{row.language}-{row.other_language}" if several else row.language: row.values[key]
                for row in found
                if _has(row, (heading, direction, key))
            }
            for heading, direction, key in shown
        ]
        unit = "pairs" if several else "languages"
        named = {f"mean of {len(values[0])} {unit}": set(values[0]), **_supported(found), **groups}
        asked = "" if len(by_way) == 1 else _asked(found[0], rows)
        means = [group_means(column, groups=named) for column in values]
        for name in named:
            first = means[0][name]
            if not first.num_members:
                continue
            cells = [_percent(mean[name].mean) for mean in means]
            lines.append(_line(f"{name} {asked}", cells))
            if first.missing:
                lines += _missing(first.missing)
    return lines


def _supported(rows: Sequence[Result]) -> dict[str, set[str]]:
    """The languages that the model is said to know, where that is known and is not all of them."""
    known = {row.language for row in rows if row.supported}
    if not known or all(row.supported for row in rows):
        return {}
    return {f"mean of {len(known)} supported": known}


def _missing(languages: Sequence[str]) -> list[str]:
    """Who is not in a mean, by name as far as there is room."""
    named = ", ".join(languages[:SHOWN_MISSING])
    more = len(languages) - SHOWN_MISSING
    tail = f" and {more} more" if more > 0 else ""
    return [typer.style(line, dim=True) for line in _wrapped("  without ", named + tail)]


def _dropped(rows: Sequence[Result]) -> list[str]:
    """What could not take part: in every language alike, or where it was most."""
    most: dict[str, dict[str, int]] = {}
    for row in rows:
        for reason, count in row.num_dropped.items():
            counts = most.setdefault(reason, {})
            counts[row.language] = max(count, counts.get(row.language, 0))
    lines = []
    for reason, counts in most.items():
        name = reason.replace("_", " ")
        worst = max(counts, key=lambda language: counts[language])
        num_affected = sum(count > 0 for count in counts.values())
        if not counts[worst]:
            continue
        if len(counts) == 1 or len(set(counts.values())) == 1:
            lines.append(f"{name}: {counts[worst]:,}")
        else:
            where = f"in {num_affected} of {len(counts)} languages"
            lines.append(f"{name}: up to {counts[worst]:,} ({worst}), {where}")
        named = dict.fromkeys(said for row in rows for said in row.dropped_names.get(reason, ()))
        for said in list(named)[:SHOWN_DROPPED]:
            lines += textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _has(row: Result, column: Column) -> bool:
    return row.direction == column[1] and column[2] in row.values


def _cell(rows: Iterable[Result], column: Column) -> str:
    for row in rows:
        if _has(row, column):
            value = _percent(row.values[column[2]])
            if column[2] not in row.intervals:
                return value
            low, high = row.intervals[column[2]]
            return f"{value} [{_percent(low)}, {_percent(high)}]"
    return "-"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def _line(label: str, cells: Iterable[str]) -> str:
    padded = "".join(f"{cell:>{CELL_WIDTH}}" for cell in cells)
    return f"{label:<{LANGUAGE_WIDTH + ASKED_WIDTH}}{padded}"


def _wrapped(start: str, text: str) -> list[str]:
    """Text behind `start`, going on under itself."""
    return (
        textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
        if text
        else []
    )
