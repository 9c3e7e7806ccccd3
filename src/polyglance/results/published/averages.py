"""Printed means recomputed from the printed numbers, by the rules of `tables.tsv`.

A rule says which numbers of a table are made of which others:

    language=group:average <- mean language=*
    language=group:others <- mean language=*!eng_Latn
    metric=average_recall & direction=both <- mean metric=hit_rate_at_1|hit_rate_at_5|
        hit_rate_at_10 & direction=text_to_content|content_to_text @ etcl-table8

The left side has conditions on the numbers that are checked; the right side has `mean` or `sum`,
conditions on their members, and behind `@` the tables of these, if they are others. In columns not
named on the right, members are like the number made of them. `|` separates alternatives and `;`
rules, `!` begins what is left out, `*` is all (of languages, all that are no group).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from polyglance import errors
from polyglance.results.published import (
    ALL_LANGUAGES,
    GROUP_PREFIX,
    PublishedNumber,
    Table,
    half_unit,
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


# How a number is made of its members.
OPERATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": _mean, "sum": sum}

_RULE = re.compile(r"(?P<target>.+?) <- (?P<operation>\w+) (?P<members>.+?)( @ (?P<table>\S+))?")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which numbers are made of which others; see the head of this file."""

    target: Conditions
    operation: str
    members: Conditions
    tables: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A printed number beside what follows from others.

    Attributes:
        number: What is made of others.
        members: What it is made of.
        operation: How, a name of `OPERATIONS`.
    """

    number: PublishedNumber
    members: tuple[PublishedNumber, ...]
    operation: str

    @property
    def recomputed(self) -> float:
        """What the printed members give, in the unit of the number."""
        return OPERATIONS[self.operation]([member.value for member in self.members])

    @property
    def excess(self) -> float:
        """How far it lies from what is printed, beyond rounding; 0 or less where it follows."""
        return self.excess_of([self.number.printed, *(member.printed for member in self.members)])

    def excess_of(self, printed: Sequence[str]) -> float:
        """Beyond what rounding allows.

        That is half a unit of the number's last digit, and as much as the rounding of the members,
        all one way, can move what is made of them.
        """
        made, *members = map(float, printed)
        moved, *moved_members = map(half_unit, printed)
        combine = OPERATIONS[self.operation]
        # Decimals in binary miss by a few units of the sixteenth digit.
        return abs(made - combine(members)) - moved - combine(moved_members) - 1e-9


def checks(table: Table | None = None) -> list[Check]:
    """Recompute every number that a rule is about.

    Args:
        table: Of this table; None takes all.

    Returns:
        One check a number, the worst first.
    """
    wanted = tables() if table is None else (table,)
    found = [check for row in wanted for rule in parse_rules(row) for check in _follow(rule, row)]
    return sorted(found, key=lambda check: check.excess, reverse=True)


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
                target=conditions(match["target"]),
                operation=match["operation"],
                members=conditions(match["members"]),
                tables=_names(match["table"] or table.table),
            )
        )
    return rules


def conditions(text: str) -> Conditions:
    """Conditions on numbers, as rules have them.

    Raises:
        UnknownNameError: For a column that no rule may be about.
    """
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
    targets = [n for n in published_numbers(table=table.table) if meets(n, rule.target)]
    candidates = [
        number
        for name in sorted(rule.tables)
        for number in published_numbers(table=name)
        if meets(number, rule.members)
    ]
    alike = [key for key in KEYS if key not in rule.members]
    by_rest: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for number in candidates:
        by_rest.setdefault(tuple(getattr(number, key) for key in alike), []).append(number)
    if not targets:
        raise errors.InputError(
            f"a rule of {table.table} is about no number: {table.averages}",
            hint="compare its conditions with the table's file",
        )
    for number in targets:
        members = by_rest.get(tuple(getattr(number, key) for key in alike), [])
        if not members:
            raise errors.InputError(
                f"{number.model}, {number.language}, {number.metric} of {table.table} has no "
                f"members by the rule {table.averages}",
                hint="compare its conditions with the tables' files",
            )
        yield Check(number=number, members=tuple(members), operation=rule.operation)


def meets(number: PublishedNumber, wanted: Conditions) -> bool:
    """Whether a number has all that conditions want."""
    for column, (taken, left_out) in wanted.items():
        value = getattr(number, column)
        if value in left_out:
            return False
        if value not in taken and not ("*" in taken and not _is_group(column, value)):
            return False
    return True


def _is_group(column: str, value: str) -> bool:
    return column == "language" and (value.startswith(GROUP_PREFIX) or value == ALL_LANGUAGES)
