"""The command `polyglance published`: the numbers that papers reported."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import author_files, coverage, options

if TYPE_CHECKING:
    from polyglance.results.published import Erratum, PublishedNumber, Table

HELP = "Look up the papers' numbers; without options, list their tables."

WIDTH = 80
# Metrics that stand side by side, as columns; any other has a block of its own.
LABELS = {
    **{f"hit_rate_at_{k}": f"R@{k}" for k in (1, 5, 10)},
    **{f"mean_reciprocal_rank_at_{k}": f"MRR@{k}" for k in (1, 5, 10)},
}


def command(
    paper: Annotated[
        str | None, typer.Option("--paper", help="Of this paper: etcl, m2m, uclip ...")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="On this task: xtd10 ...")] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", "-l", help="In this language, or 'all', or 'group:average'."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Of this metric: hit_rate_at_10 ...")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Of models with this in their name.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="Of this table: nllb-clip-table3 ...")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Which printed averages do not follow from their rows?"),
    ] = False,
    covered: Annotated[
        bool,
        typer.Option("--coverage", help="Which numbers can a task here meet, and why not others?"),
    ] = False,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", help="Examine an author's own file of results, or a folder."),
    ] = None,
    as_json: options.JsonOutput = False,
) -> None:
    """List tables, print numbers, recompute printed averages, or say what can be compared."""
    from polyglance import errors
    from polyglance.results import published

    asked = {
        "paper": paper,
        "task": task,
        "metric": metric,
        "model": model,
        "table": table,
        "language": language,
    }
    _require_names(asked)
    asked["language"] = _language_id(language)
    if files:
        _require_alone(asked, {"--check": check, "--coverage": covered})
        author_files.show(files, as_json=as_json)
        return
    if check and covered:
        raise errors.ConfigError(
            "--check beside --coverage; one of them is answered", hint="leave one of them out"
        )
    if covered:
        coverage.show(_found(asked) if any(asked.values()) else None, as_json=as_json)
        return
    if check:
        _print_checks(_found(asked) if any(asked.values()) else None, as_json=as_json)
        return
    if not any(asked.values()):
        _print_tables(published.tables(), as_json=as_json)
        return
    found = _found(asked)
    if as_json:
        rows = [{**asdict(number), "fraction": number.fraction} for number in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    by_name = {row.table: row for row in published.tables()}
    for name, numbers in groupby(found, key=lambda number: number.table):
        _print_table(by_name[name], list(numbers))


def _require_names(asked: Mapping[str, str | None]) -> None:
    """Refuse an empty name, which would be no filter.

    Raises:
        ConfigError: For an option whose value is empty.
    """
    from polyglance import errors

    for name, value in asked.items():
        if value is not None and not value.strip():
            raise errors.ConfigError(
                f"--{name} {value!r} names nothing",
                hint=f"give a {name}, or leave --{name} out to have all",
            )


def _require_alone(asked: Mapping[str, str | None], switches: Mapping[str, bool]) -> None:
    """Refuse what says nothing of an author's own file.

    Raises:
        ConfigError: For a filter or switch beside --file.
    """
    from polyglance import errors

    beside = [f"--{name}" for name, value in asked.items() if value]
    beside += [name for name, given in switches.items() if given]
    if beside:
        raise errors.ConfigError(
            f"{', '.join(beside)} beside --file; a file is examined whole",
            hint=f"leave out {', '.join(beside)}, or --file",
        )


def _found(asked: Mapping[str, str | None]) -> list[PublishedNumber]:
    """The numbers that have all that was asked for.

    Raises:
        UnavailableError: There is none.
    """
    from polyglance import errors
    from polyglance.results import published

    found = published.published_numbers(**asked)
    if not found:
        given = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
        raise errors.UnavailableError(
            f"no published number has all of: {given}", hint="leave one of them out"
        )
    return found


def _language_id(given: str | None) -> str | None:
    from polyglance.languages.registry import normalise_language
    from polyglance.results import published

    if given is None or given == published.ALL_LANGUAGES:
        return given
    return given if given.startswith(published.GROUP_PREFIX) else normalise_language(given)


def _print_tables(rows: Iterable[Table], *, as_json: bool) -> None:
    from polyglance.results import published

    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        count = len(published.published_numbers(table=row.table))
        typer.echo(_wrapped(row.caption, first=f"{row.table:<23}{count:>5}  ", indent=30))


def _print_table(table: Table, numbers: Sequence[PublishedNumber]) -> None:
    """A heading, a block for each way of asking, and what is to be known of single numbers."""
    typer.secho(_wrapped(f"{table.caption} ({table.source})", first=f"{table.table}: "), bold=True)
    blocks: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in numbers:
        label = LABELS.get(number.metric)
        family = f"{label.partition('@')[0]}@k" if label else number.metric
        asked = (number.direction, number.caption_policy, number.variant)
        blocks.setdefault((number.task, number.split, *asked, family), []).append(number)
    for (task, split, direction, policy, variant, family), block in blocks.items():
        asks = "direction not said" if direction == "unknown" else direction.replace("_", " ")
        said = [task, split, family.replace("_", " "), asks]
        said += [f"captions: {policy}"] if policy != "none" else []
        said += [f"prompts: {variant}"] if variant else []
        unit = "per cent" if table.unit == "percent" else table.unit
        typer.echo(_wrapped(f"{', '.join(said)}; {unit}", first=""))
        _print_block(block)
    for note in dict.fromkeys(number.note for number in numbers if number.note):
        typer.secho(_wrapped(note, first="  note: "), dim=True)
    _print_errata([number.erratum for number in numbers if number.erratum is not None])
    typer.echo()


def _print_block(numbers: Sequence[PublishedNumber]) -> None:
    """A line a model and language, a column a metric."""
    columns = list(dict.fromkeys(LABELS.get(number.metric, "") for number in numbers))
    lines: dict[tuple[str, str], list[dict[str, str]]] = {}
    for number in numbers:
        language = "-".join(filter(None, (number.language, number.other_language)))
        mark = "*" if number.erratum is not None else " "
        column = LABELS.get(number.metric, "")
        same = lines.setdefault((number.model, language), [{}])
        if column in same[-1]:
            same.append({})
        same[-1][column] = number.printed + mark
    for_language = max(len(language) for _, language in lines)
    for_model = min(
        WIDTH - 4 - for_language - 9 * len(columns), max(len(model) for model, _ in lines)
    )
    head = "".join(f"{column:>8} " for column in columns)
    if head.strip():
        typer.echo(f"  {'':<{for_model}}  {'':<{for_language}}{head}".rstrip())
    for (model, language), rows in lines.items():
        shown = model if len(model) <= for_model else model[: for_model - 1] + "…"
        for cells in rows:
            values = "".join(f"{cells.get(column, '-'):>9}" for column in columns)
            typer.echo(f"  {shown:<{for_model}}  {language:<{for_language}}{values}".rstrip())


def _print_errata(errata: Iterable[Erratum]) -> None:
    """What is wrong, what it should be and why; what has one reason in one paragraph."""
    by_reason: dict[tuple[str, str, str], list[str]] = {}
    for erratum in errata:
        right = f" should be {erratum.should_be}" if erratum.should_be else " is in doubt"
        reason = (erratum.model, erratum.language, erratum.why)
        by_reason.setdefault(reason, []).append(erratum.printed + right)
    for (model, language, why), said in by_reason.items():
        text = f"{model}, {language}: {', '.join(said)}; {why}"
        typer.secho(_wrapped(text, first="  * "), dim=True)


def _print_checks(numbers: Sequence[PublishedNumber] | None, *, as_json: bool) -> None:
    """What does not follow beyond rounding, worst first.

    Args:
        numbers: Only these are checked; None checks all.
        as_json: Whether a program reads it.
    """
    from polyglance.results.published import averages

    found = averages.checks()
    if numbers is not None:
        wanted = set(numbers)
        found = [check for check in found if check.number in wanted]
    wrong = [check for check in found if check.excess > 0]
    if as_json:
        rows = [
            {
                "number": asdict(check.number),
                "recomputed": check.recomputed,
                "num_members": len(check.members),
                "follows": check.excess <= 0,
            }
            for check in found
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for check in wrong:
        number = check.number
        said = (
            f"{number.printed} is printed, {check.recomputed:.2f} follows from "
            f"{len(check.members)} numbers: {number.model}, {number.language}, {number.task}, "
            f"{number.metric}"
        )
        typer.echo(_wrapped(said, first=f"{number.table:<23}", indent=23))
    typer.echo(f"{len(found) - len(wrong)} of {len(found)} printed averages follow from their rows")


def _wrapped(text: str, *, first: str, indent: int = 4) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False
    )
