"""Result tables of papers as data, with source and errata.

A table of a paper is a file `PAPER-tableN.tsv` beside this one: one number a line, as it is
printed, in the order in which the paper reads. `tables.tsv` says what each table is and which of
its numbers are means of others (see `averages`); `errata.tsv` says which numbers are wrong.

The columns `variant` and `other_language` of a table may be left out where all are empty.

`groups.tsv` says of which languages a printed mean is (see `groups`), `reasons.tsv` which numbers
can never stand beside a result, and why (see `reasons`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from polyglance import errors
from polyglance.results import schema
from polyglance.results.schema import Result

__all__ = [
    "Erratum",
    "PublishedNumber",
    "Table",
    "comparable",
    "errata",
    "published_numbers",
    "tables",
]

Unit = Literal["percent", "fraction", "count", "milliseconds", "score"]
UNITS: tuple[str, ...] = get_args(Unit)
# A mean over both directions has none of a result's; where a paper does not say, nobody guesses.
DIRECTIONS: tuple[str, ...] = (*get_args(schema.Direction), "both", "unknown")
POLICIES: tuple[str, ...] = (*get_args(schema.CaptionPolicy), "unknown")
GROUP_PREFIX = "group:"
ALL_LANGUAGES = "all"

COLUMNS = (
    "model",
    "language",
    "task",
    "split",
    "metric",
    "direction",
    "caption_policy",
    "value",
    "note",
)
OPTIONAL_COLUMNS = ("variant", "other_language")
FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Erratum:
    """A number that is printed and wrong.

    Attributes:
        table: Name of the table.
        model: As the table names it.
        language: Language id or group.
        metric: As in the table's file.
        printed: What stands there.
        should_be: What it must be, printed in the same unit; empty where nobody can know.
        why: How this is seen.
    """

    table: str
    model: str
    language: str
    metric: str
    printed: str
    should_be: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a paper.

    Attributes:
        table: Its name, `PAPER-tableN`.
        paper: The paper's short name.
        number: What it is called there.
        caption: What it shows, in our words.
        unit: Of its numbers.
        averages: Which numbers are means of others, as `averages.parse_rules` reads it.
        source: Paper, identifier and place.
    """

    table: str
    paper: str
    number: str
    caption: str
    unit: Unit
    averages: str
    source: str


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A number of a table.

    Attributes:
        table: Name of the table.
        paper: The paper's short name.
        model: As the paper calls it.
        language: Language id, `all`, or `group:` and the paper's name of the group.
        other_language: Language id of the other texts, where two languages meet.
        task: Name of the task, ours where we have it.
        split: Which part of it.
        metric: Name as in `Result.values`.
        direction: Which side asks; `both` for a mean over both, `unknown` where not said.
        caption_policy: Which captions took part; `unknown` where not said.
        variant: How it was asked, as in `Result.variant`.
        printed: The number as it is printed.
        unit: Of `printed`.
        note: What else is to be known.
        erratum: What is wrong with it; None for nearly all.
    """

    table: str
    paper: str
    model: str
    language: str
    other_language: str = ""
    task: str
    split: str
    metric: str
    direction: str
    caption_policy: str
    variant: str = ""
    printed: str
    unit: Unit
    note: str = ""
    erratum: Erratum | None = None

    @property
    def value(self) -> float:
        """The number as it is printed, in `unit`."""
        return float(self.printed)

    @property
    def corrected(self) -> str:
        """The number as it should be printed; empty where it is wrong and nobody can know."""
        return self.printed if self.erratum is None else self.erratum.should_be

    @property
    def fraction(self) -> float | None:
        """What it is as a fraction, errata heeded; None where it is none, or not to be known."""
        if not self.corrected or self.unit not in ("percent", "fraction"):
            return None
        return float(self.corrected) / (100 if self.unit == "percent" else 1)


def half_unit(printed: str) -> float:
    """Half a unit of the last printed digit.

    >>> half_unit("74.5"), half_unit("0.250"), half_unit("3")
    (0.05, 0.0005, 0.5)
    """
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def published_numbers(
    *,
    paper: str | None = None,
    task: str | None = None,
    language: str | None = None,
    metric: str | None = None,
    model: str | None = None,
    table: str | None = None,
) -> list[PublishedNumber]:
    """Numbers of the papers, in the order of tables and of each table.

    Args:
        paper: Short name, as `etcl`.
        task: Name of the task.
        language: Language id, `all`, or `group:` and a name.
        metric: Name as in `Result.values`.
        model: A part of the model's name, in any case.
        table: Name of the table.

    Raises:
        UnknownNameError: For a paper, task, metric, model or table that no number has.
    """
    found = [number for row in tables() for number in _numbers(row)]
    for field, wanted in (("paper", paper), ("task", task), ("metric", metric), ("table", table)):
        if wanted is not None:
            _require(field, wanted, {getattr(number, field) for number in found})
    if model is not None and not any(_within(model, number.model) for number in found):
        raise errors.unknown_name("model", model, allowed={number.model for number in found})
    return [
        number
        for number in found
        if (paper is None or number.paper == paper)
        and (task is None or number.task == task)
        and (language is None or language in (number.language, number.other_language))
        and (metric is None or number.metric == metric)
        and (model is None or _within(model, number.model))
        and (table is None or number.table == table)
    ]


@cache
def numbers_of(table: str) -> tuple[PublishedNumber, ...]:
    """The numbers of one table, in its order.

    Raises:
        UnknownNameError: For a table that is not there.
    """
    by_name = {row.table: row for row in tables()}
    _require("table", table, by_name)
    return _numbers(by_name[table])


@cache
def tables() -> tuple[Table, ...]:
    """The tables, in the order of `tables.tsv`."""
    found = tuple(
        Table(**row)  # type: ignore[arg-type]
        for row in read_rows(FOLDER / "tables.tsv", required=tuple(Table.__annotations__))
    )
    for row in found:
        _require("unit", row.unit, UNITS)
    return found


@cache
def errata() -> tuple[Erratum, ...]:
    """The numbers that are printed and wrong."""
    return tuple(
        Erratum(**row)
        for row in read_rows(FOLDER / "errata.tsv", required=tuple(Erratum.__annotations__))
    )


def comparable(result: Result) -> list[PublishedNumber]:
    """The numbers that may be set beside a result.

    Only those of the same task, split, language, direction, caption policy and variant, and of a
    metric that the result has a value of. Never what is known to be wrong without being known
    right, nor a direction that the paper does not say; `PublishedNumber.fraction` is in the unit
    of `Result.values`.
    """
    return [
        number
        for number in _by_place(tables()).get(_place(result), ())
        # What is a mean over both directions stands in the results of either.
        if number.direction in (result.direction, "both")
        and number.metric in result.values
        and number.fraction is not None
    ]


@cache
def _by_place(rows: tuple[Table, ...]) -> dict[tuple[object, ...], list[PublishedNumber]]:
    """All numbers by what they share with results that may stand beside them."""
    found: dict[tuple[object, ...], list[PublishedNumber]] = {}
    for number in (number for table in rows for number in _numbers(table)):
        found.setdefault(_place(number), []).append(number)
    return found


def _place(row: Result | PublishedNumber) -> tuple[object, ...]:
    """What a number and a result must share, beside direction and metric."""
    return (pair_of(row), *asked_as(row))


def asked_as(row: Result | PublishedNumber) -> tuple[str, ...]:
    """Of what and in which way something was asked, in whatever language."""
    return (row.task, row.split, row.variant, row.caption_policy)


def pair_of(row: Result | PublishedNumber) -> frozenset[str] | tuple[str, str]:
    """Its languages; a cosine does not know which of two is named first."""
    pair = (row.language, row.other_language)
    return frozenset(pair) if row.direction == "text_with_other" else pair


@cache
def _numbers(table: Table) -> tuple[PublishedNumber, ...]:
    """The numbers of one table."""
    wrong = {
        (row.model, row.language, row.metric, row.printed): row
        for row in errata()
        if row.table == table.table
    }
    path = FOLDER / f"{table.table}.tsv"
    found = []
    for row in read_rows(path, required=COLUMNS, optional=OPTIONAL_COLUMNS):
        printed = row.pop("value")
        try:
            float(printed)
            _require("direction", row["direction"], DIRECTIONS)
            _require("caption policy", row["caption_policy"], POLICIES)
        except ValueError:
            raise errors.InputError(
                f"{path.name} has {printed!r} where a number is to stand",
                hint="write the number as it is printed, without unit, or leave the line out",
            ) from None
        found.append(
            PublishedNumber(
                table=table.table,
                paper=table.paper,
                unit=table.unit,
                printed=printed,
                erratum=wrong.get((row["model"], row["language"], row["metric"], printed)),
                **row,
            )
        )
    return tuple(found)


def read_rows(
    path: Path, *, required: Iterable[str], optional: Iterable[str] = ()
) -> list[dict[str, str]]:
    """The lines of a table by the names of its header.

    Args:
        path: The table, tab-separated.
        required: Columns that it must have.
        optional: Columns that it may have besides.

    Raises:
        InputError: For columns that are missing or unknown, or a line of another length.
    """
    required = tuple(required)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, restval=None)
        header = reader.fieldnames or ()
        unknown = set(header) - {*required, *optional}
        if unknown or not set(required) <= set(header):
            raise errors.InputError(
                f"{path.name} has the columns {', '.join(header)}; "
                f"it must have {', '.join(required)}",
                hint="write the header as the other tables have it",
            )
        found = []
        for number, row in enumerate(reader, 2):
            if None in row or None in row.values():
                raise errors.InputError(
                    f"{path.name}, line {number} has not the {len(header)} columns of its header",
                    hint="columns are parted by tabs; an empty one keeps its tab",
                )
            found.append(row)
    return found


def _require(field: str, given: str, allowed: Iterable[str]) -> None:
    if given not in allowed:
        raise errors.unknown_name(field, given, allowed=allowed)


def _within(part: str, name: str) -> bool:
    return part.casefold() in name.casefold()
