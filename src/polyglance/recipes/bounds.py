"""Values that the fields of a recipe's config may have, beside their types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from polyglance import errors


@dataclass(frozen=True)
class Allowed:
    """Which values, in words and as a test."""

    said: str
    is_allowed: Callable[[Any], bool]


Count = Annotated[int, Allowed("1 or more", lambda value: value >= 1)]
CountOrZero = Annotated[int, Allowed("0 or more", lambda value: value >= 0)]
Positive = Annotated[float, Allowed("above 0 and finite", lambda value: 0 < value < math.inf)]
NotNegative = Annotated[float, Allowed("0 or more and finite", lambda value: 0 <= value < math.inf)]
Share = Annotated[float, Allowed("from 0, below 1", lambda value: 0 <= value < 1)]
DevShare = Annotated[float, Allowed("from 0 to 0.5", lambda value: 0 <= value <= 0.5)]
DevShareAboveZero = Annotated[
    float, Allowed("above 0 and at most 0.5", lambda value: 0 < value <= 0.5)
]


def check(config: Any) -> None:
    """Refuse a value that its field may not have, before anything is loaded.

    Args:
        config: A dataclass whose fields carry the types above; others are free.

    Raises:
        UnknownNameError: For a value that is none of a field's choices.
        ConfigError: For a number out of its range.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for each in fields(config):
        value, kind = getattr(config, each.name), hints[each.name]
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise errors.unknown_name(f"value of {each.name}", value, allowed=get_args(kind))
        is_many = get_origin(kind) is tuple
        for one in value if is_many else (value,):
            wrong = [
                said for said in _allowed(kind) if one is not None and not said.is_allowed(one)
            ]
            if wrong:
                raise errors.ConfigError(
                    f"{each.name} {one}; it must be {wrong[0].said}",
                    hint=f"leave it out for {each.default}, the default",
                )


def _allowed(kind: Any) -> list[Allowed]:
    """What an annotation says of values, also inside a union or a tuple."""
    if get_origin(kind) is Annotated:
        return [each for each in kind.__metadata__ if isinstance(each, Allowed)]
    return [said for part in get_args(kind) for said in _allowed(part)]
