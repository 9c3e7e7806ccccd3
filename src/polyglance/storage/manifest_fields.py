"""Manifest schemas as dataclasses: annotations say what each field may be.

    class Score:
        pack: Share                              # Annotated[float, Between(0, 1)]
        speaks: Literal["pack", "teacher"]

    read(Score, {"pack": 7, "speaks": "pack"}, place="pack.json")
    # pack.json says pack = 7; allowed is a number from 0 to 1

Numbers are finite, unknown fields are refused, fields without a default are needed. What is known
of a manifest is thus said once, and whoever adds a field to a dataclass has it checked.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from polyglance import errors

T = TypeVar("T")

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Rule:
    """What a value of the right type must satisfy besides.

    Attributes:
        holds: Whether a value does.
        allowed: What is allowed, for the message.
    """

    holds: Callable[[Any], bool]
    allowed: str


def between(low: float, high: float) -> Rule:
    """Numbers from `low` to `high`, both included."""
    return Rule(lambda value: bool(low <= value <= high), f"a number from {low:g} to {high:g}")


def at_least(low: int) -> Rule:
    """Numbers from `low` on."""
    return Rule(lambda value: bool(value >= low), f"a number of at least {low}")


def form(pattern: str, allowed: str) -> Rule:
    """Texts that are wholly of a form."""
    return Rule(lambda value: re.fullmatch(pattern, value) is not None, allowed)


Share = Annotated[float, between(0, 1)]
Count = Annotated[int, at_least(0)]
Width = Annotated[int, between(1, 1_000_000)]
Name = Annotated[str, form(r"(?s).*\S.*", "a name")]


_ABSENT = object()


class _Refused(Exception):
    """A value that its annotation does not allow; turned into an error where the place is known."""

    def __init__(self, given: object, allowed: str, *, at: str = "") -> None:
        super().__init__(allowed)
        self.given, self.allowed, self.at = given, allowed, at

    def within(self, name: object) -> _Refused:
        """The same error, seen from the enclosing value."""
        at = f"{name}.{self.at}" if self.at else f"{name}"
        return _Refused(self.given, self.allowed, at=at)

    def told(self, place: Path | str) -> str:
        """The message."""
        if self.given is _ABSENT:
            return f"{place} does not say its {self.at}"
        # As the file has them, which is JSON.
        is_word = self.given is None or isinstance(self.given, bool)
        shown = json.dumps(self.given) if is_word else repr(self.given)
        if len(shown) > SHOWN_CHARACTERS:
            shown = shown[:SHOWN_CHARACTERS] + "..."
        said = f"says {self.at} =" if self.at else "is"
        return f"{place} {said} {shown}; allowed is {self.allowed}"


def read(schema: type[T], found: Mapping[str, Any], *, place: Path | str, hint: str) -> T:
    """A manifest's content as what its schema says it is.

    Args:
        schema: A dataclass.
        found: What was read.
        place: The file, for the message.
        hint: What to do where it does not fit.

    Raises:
        StoreError: A field that is unknown, absent or not allowed: names it, what it says, and what
            is allowed.
    """
    try:
        read_as: T = _dataclass(schema, found)
    except _Refused as refused:
        raise errors.StoreError(refused.told(place), hint=hint) from None
    return read_as


def field_of(found: object, name: str, annotation: Any, *, place: Path | str = "it") -> Any:
    """One field of a table that others wrote, whose other fields are not looked at.

    Args:
        found: What was read.
        name: Of the field.
        annotation: What it may be.
        place: What says it, for the message.

    Raises:
        ValueError: It is absent or not allowed: names it, what it says, and what is allowed.

    >>> field_of({"metrics": None}, "metrics", Mapping[str, float])
    Traceback (most recent call last):
        ...
    ValueError: it says metrics = null; allowed is a table
    """
    try:
        if not isinstance(found, Mapping):
            raise _Refused(found, "a table")
        if name not in found:
            raise _Refused(_ABSENT, "a value", at=name)
        return _part(name, annotation, found[name])
    except _Refused as refused:
        raise ValueError(refused.told(place)) from None


@cache
def _fields(schema: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The annotations of a dataclass's fields by name, and the names without a default."""
    hints = get_type_hints(schema, include_extras=True)
    known = [each for each in fields(schema) if each.init]
    needed = [each for each in known if each.default is each.default_factory is MISSING]
    return {each.name: hints[each.name] for each in known}, frozenset(e.name for e in needed)


def _dataclass(schema: Any, found: Any) -> Any:
    if not isinstance(found, Mapping):
        raise _Refused(found, f"a table of {schema.__name__}")
    known, needed = _fields(schema)
    for name in found:
        if name not in known:
            near = errors.nearest(str(name), known) or sorted(known)
            raise _Refused(
                found[name], f"no field of that name (but {', '.join(near)})", at=str(name)
            )
    if absent := [name for name in known if name in needed and name not in found]:
        raise _Refused(_ABSENT, "a value", at=", ".join(absent))
    return schema(**{name: _part(name, known[name], value) for name, value in found.items()})


def _part(name: object, annotation: Any, value: Any) -> Any:
    try:
        return _checked(annotation, value)
    except _Refused as refused:
        raise refused.within(name) from None


@cache
def _taken_apart(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """What an annotation is of, all tables and all lists alike, and its arguments."""
    origin = get_origin(annotation)
    for each in (Mapping, Sequence):
        if isinstance(origin, type) and issubclass(origin, each):
            origin = each
    return origin, get_args(annotation)


def _checked(annotation: Any, value: Any) -> Any:
    """A value as its annotation has it: lists become tuples, tables become dataclasses."""
    if annotation in _PLAIN:  # first: results have thousands of them, and all else costs more
        return _plain(annotation, value)
    origin, arguments = _taken_apart(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        value = _checked(arguments[0], value)
        for rule in arguments[1:]:
            if isinstance(rule, Rule) and not rule.holds(value):
                raise _Refused(value, rule.allowed)
        return value
    if origin is Literal:
        if isinstance(value, (str, int)) and value in arguments:
            return value
        raise _Refused(value, " or ".join(map(repr, arguments)))
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value)
    if origin is Mapping:
        return _table(arguments, value)
    if origin is Sequence:
        return _list(arguments, value)
    if is_dataclass(annotation):
        return _dataclass(annotation, value)
    raise TypeError(f"a manifest's field cannot be checked as {annotation}")


def _one_of(annotations: Sequence[Any], value: Any) -> Any:
    allowed = []
    for each in annotations:
        try:
            return _checked(each, value)
        except _Refused as refused:
            if refused.at:  # it is meant to be this one: say what is wrong inside
                raise
            allowed.append(refused.allowed)
    raise _Refused(value, " or ".join(allowed))


def _table(arguments: Sequence[Any], value: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _Refused(value, "a table")
    of_name, of_value = arguments
    return {_part(name, of_name, name): _part(name, of_value, each) for name, each in value.items()}


def _list(arguments: Sequence[Any], value: Any) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _Refused(value, "a list")
    if len(arguments) == 2 and arguments[1] is not Ellipsis and len(value) != 2:
        raise _Refused(value, "a list of two")
    of_each = (
        [arguments[0]] * len(value)
        if Ellipsis in arguments or len(arguments) == 1
        else (list(arguments))
    )
    return tuple(
        _part(number, annotation, each)
        for number, (annotation, each) in enumerate(zip(of_each, value, strict=True))
    )


# JSON has one kind of numbers, and True is no number.
_PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    type(None): ((type(None),), "nothing (null)"),
}


def _plain(annotation: Any, value: Any) -> Any:
    kinds, allowed = _PLAIN[annotation]
    if not isinstance(value, kinds) or (isinstance(value, bool) and annotation is not bool):
        raise _Refused(value, allowed)
    return _number(value) if annotation is float else value


def _number(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise _Refused(value, "a finite number")
    return number
