"""Why a printed number can never stand beside a result: said in `reasons.tsv`, or by its columns.

A row of `reasons.tsv` names a table, conditions on its numbers in the form of `averages` (none for
all of them), one of `REASONS`, and what there is to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from polyglance import errors
from polyglance.results import published
from polyglance.results.published import PublishedNumber, averages

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "task absent": "no task here measures it",
        "not a score": "a count, a time, a size, a sum or a difference, and no score of a model",
        "texts not published": "measured on texts that nobody can have",
        "several tasks": "a mean over several tasks, or of means",
        "group unknown": "the paper does not say of which languages it is a mean",
        "direction unknown": "the paper does not say which side asks",
        "captions unknown": "the paper does not say which captions take part",
        "in doubt": "it is printed wrongly, and nobody can know what is right",
    }
)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A row of the file.

    Attributes:
        table: Name of the table.
        where: Which of its numbers; empty for all.
        reason: One of `REASONS`.
        why: What there is to say.
    """

    table: str
    where: str
    reason: str
    why: str


def reason_of(number: PublishedNumber) -> tuple[str, str] | None:
    """Why a number is not to be compared and what there is to say; None where nothing forbids it.

    What the file says goes before what the number's own columns say.
    """
    for row in _by_table().get(number.table, ()):
        if not row.where or averages.meets(number, averages.conditions(row.where)):
            return row.reason, row.why
    if number.direction == "unknown":
        reason = "direction unknown"
    elif number.caption_policy == "unknown":
        reason = "captions unknown"
    elif number.fraction is None:
        reason = "in doubt"
    else:
        return None
    return reason, number.erratum.why if reason == "in doubt" and number.erratum else ""


@cache
def reasons() -> tuple[Reason, ...]:
    """The rows of the file.

    Raises:
        UnknownNameError: For a reason that is none of `REASONS`.
    """
    columns = tuple(Reason.__annotations__)
    found = tuple(
        Reason(**row)
        for row in published.read_rows(published.FOLDER / "reasons.tsv", required=columns)
    )
    for row in found:
        if row.reason not in REASONS:
            raise errors.unknown_name("reason", row.reason, allowed=REASONS)
    return found


@cache
def _by_table() -> Mapping[str, list[Reason]]:
    found: dict[str, list[Reason]] = {}
    for row in reasons():
        found.setdefault(row.table, []).append(row)
    return found
