"""Do the printed means follow from the printed numbers? Rules of `tables.tsv`, recomputed.

A rule says which numbers of a table are made of which others:

    language=group:average <- mean language=*
    language=group:others <- mean language=*!eng_Latn
    metric=average_recall & direction=both <- mean metric=hit_rate_at_1|hit_rate_at_5|
        hit_rate_at_10 & direction=text_to_content|content_to_text @ etcl-table8

Left stand conditions on the numbers that are checked. Right stand `mean` or `sum` and conditions on
their members; behind `@` the table that these are in, where it is another. In all columns that the
rule does not name, members are like the number that is made of them. `|` parts alternatives, `!`
begins what is left out, `*` is all; for languages, all that are no group. `;` parts rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from polyglance import errors
from polyglance.published import (
    ALL_LANGUAGES,
    GROUP_PREFIX,
    PublishedNumber,
    Table,
    published_numbers,
    tables,
)

KEYS = (
    "model",
    "language",
    "other_language",
    "task",
    "split",
    "metric",
    "direction",
    "variant",
)
Conditions = Mapping[str, tuple[frozenset[str], frozenset[str]]]
"""By column, the values that are taken (`*` for all) and those that are left out."""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


# How a number is made of its members, and how far their rounding may move it: all one way.
OPERATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": _mean, "sum": sum}

_RULE = re.compile(r"(?P<target>.+?) <- (?P<operation>\w+) (?P<members>.+?)( @ (?P<table>\S+))?")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which numbers are made of which others; see the head of this file."""

    target: Conditions
    operation: str
    members: Conditions
    table: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """A printed number beside what follows from others.

    Attributes:
        number: As it is printed.
        recomputed: From the printed members, in the same unit.
        tolerance: How far both may lie apart by rounding: half a unit of the number's last
            digit, and as much as the rounding of the members can move what is made of them.
        num_members: How many members there are.
    """

    number: PublishedNumber
    recomputed: float
    tolerance: float
    num_members: int

    @property
    def excess(self) -> float:
        """How far they lie apart beyond rounding; nothing or less where the number follows."""
        # Decimals in binary miss by a few units of the sixteenth digit.
        return abs(self.number.value - self.recomputed) - self.tolerance - 1e-9


def checks(table: Table | None = None) -> list[Check]:
    """Recompute every number that a rule is about.

    Args:
        table: Of this table; None takes all.

    Returns:
        One check a number, the worst first.
    """
    wanted = tables() if table is None else (table,)
    found = [check for row in wanted for rule in parse_rules(row) for check in _follow(rule, row)]
    return sorted(found, key=lambda check: -check.excess)


def parse_rules(table: Table) -> list[Rule]:
    """The rules of a table.

    Raises:
        InputError: For a rule that cannot be read.
    """
    rules = []
    for text in filter(None, map(str.strip, table.averages.split(";"))):
        match = _RULE.fullmatch(text)
        if match is None or match["operation"] not in OPERATIONS:
            raise errors.InputError(
                f"{table.table} has the rule {text!r}, which is none",
                hint="the form is: language=group:average <- mean language=*",
            )
        rules.append(
            Rule(
                target=_conditions(match["target"]),
                operation=match["operation"],
                members=_conditions(match["members"]),
                table=match["table"] or table.table,
            )
        )
    return rules


def _conditions(text: str) -> Conditions:
    found = {}
    for part in text.split(" & "):
        column, _, values = part.partition("=")
        if column not in KEYS or not values:
            raise errors.unknown_name("column of a rule", part, allowed=KEYS)
        taken, _, left_out = values.partition("!")
        found[column] = (_names(taken), _names(left_out))
    return found


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split("|")))


def _follow(rule: Rule, table: Table) -> Iterable[Check]:
    """A check for each number that a rule is about.

    Raises:
        InputError: Where the rule is about no number, or a number has no members.
    """
    targets = [n for n in published_numbers(table=table.table) if _meets(n, rule.target)]
    candidates = [n for n in published_numbers(table=rule.table) if _meets(n, rule.members)]
    named = {*rule.target, *rule.members}
    alike = [key for key in KEYS if key not in named]
    by_rest: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in candidates:
        by_rest.setdefault(tuple(getattr(number, key) for key in alike), []).append(number)
    if not targets:
        raise errors.InputError(
            f"a rule of {table.table} is about no number: {table.averages}",
            hint="compare its conditions with the table's file",
        )
    combine = OPERATIONS[rule.operation]
    for number in targets:
        members = by_rest.get(tuple(getattr(number, key) for key in alike), [])
        if not members:
            raise errors.InputError(
                f"{number.model}, {number.language}, {number.metric} of {table.table} has no "
                f"members by the rule {table.averages}",
                hint="compare its conditions with the tables' files",
            )
        yield Check(
            number=number,
            recomputed=combine([member.value for member in members]),
            tolerance=number.half_unit + combine([member.half_unit for member in members]),
            num_members=len(members),
        )


def _meets(number: PublishedNumber, conditions: Conditions) -> bool:
    for column, (taken, left_out) in conditions.items():
        value = getattr(number, column)
        if value in left_out:
            return False
        if value not in taken and not ("*" in taken and not _is_group(column, value)):
            return False
    return True


def _is_group(column: str, value: str) -> bool:
    return column == "language" and (value.startswith(GROUP_PREFIX) or value == ALL_LANGUAGES)
