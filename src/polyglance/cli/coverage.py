"""The command `polyglance published --coverage`: which numbers a task here meets, and why."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from polyglance.evaluation.coverage import Covered
    from polyglance.results.published import PublishedNumber

WIDTH, NAME_WIDTH = 80, 26
# Numbers that no task could ever measure, or that none here does yet.
WITHOUT_TASK = ("task absent", "not a score")


def show(numbers: Sequence[PublishedNumber] | None, *, as_json: bool) -> None:
    """Print the share of numbers that may stand beside a result, by paper and table, and reasons.

    Args:
        numbers: Only these; None takes all.
        as_json: Whether a program reads it, which gets every number that may not, with its reason.
    """
    from polyglance.evaluation.coverage import coverage

    found = coverage(numbers)
    if as_json:
        typer.echo(json.dumps(_for_programs(found), ensure_ascii=False, indent=1))
        return
    typer.echo(f"{'paper, table':<{NAME_WIDTH}}{'comparable':>10}{'of':>7}{'share':>9}")
    for paper in dict.fromkeys(row.number.paper for row in found):
        of_paper = [row for row in found if row.number.paper == paper]
        typer.secho(_line(paper, of_paper), bold=True)
        for table in dict.fromkeys(row.number.table for row in of_paper):
            typer.echo(_line(f"  {table}", (r for r in of_paper if r.number.table == table)))
    typer.secho(_line("all", found), bold=True)
    with_task = [row for row in found if row.reason not in WITHOUT_TASK]
    if len(with_task) < len(found):
        typer.secho(_line("scores with a task here", with_task), bold=True)
    _print_reasons([row for row in found if not row.comparable])


def _line(name: str, rows: Iterable[Covered]) -> str:
    met = [row.comparable for row in rows]
    share = f"{100 * sum(met) / len(met):.1f} %" if met else "-"
    return f"{name:<{NAME_WIDTH}}{sum(met):>10,}{len(met):>7,}{share:>9}"


def _print_reasons(rows: Sequence[Covered]) -> None:
    """Why the others may not be compared: each reason, then where, how many and what of them."""
    from polyglance.results.published.reasons import REASONS

    for reason, count in Counter(row.reason for row in rows).most_common():
        text = f"{reason}: {REASONS.get(reason, 'a gap of the tables')}"
        typer.echo(_wrapped(text, first=f"{count:>5}  "))
        where = Counter((row.number.table, row.why) for row in rows if row.reason == reason)
        for (table, why), part in where.items():
            text = f"{table}: {why}" if why else table
            typer.secho(_wrapped(text, first=f"{'':7}{part:>5}  ", indent=14), dim=True)


def _for_programs(found: Sequence[Covered]) -> dict[str, object]:
    def shares(field: str) -> dict[str, dict[str, int]]:
        named: dict[str, dict[str, int]] = {}
        for row in found:
            name = getattr(row.number, field)
            counts = named.setdefault(name, {"comparable": 0, "numbers": 0})
            counts["comparable"] += row.comparable
            counts["numbers"] += 1
        return named

    fields = ("table", "model", "language", "other_language", "task", "metric", "printed")
    return {
        "comparable": sum(row.comparable for row in found),
        "numbers": len(found),
        "papers": shares("paper"),
        "tables": shares("table"),
        "reasons": dict(Counter(row.reason for row in found if not row.comparable)),
        "not_comparable": [
            {
                **{name: getattr(row.number, name) for name in fields},
                "reason": row.reason,
                "why": row.why,
            }
            for row in found
            if not row.comparable
        ],
    }


def _wrapped(text: str, *, first: str, indent: int = 7) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * indent)
