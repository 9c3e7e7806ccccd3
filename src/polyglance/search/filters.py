"""Filters of a search: folder, date and size, applied before anything is ranked.

Dates are days of the camera's clock where an image has a time of its own, else of its
file's last change by the clock of this computer.
"""

from __future__ import annotations

import calendar
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.search.folders import Folders, Place

COLUMNS = ("id", "path", "size", "mtime_ns", "taken_at")
"""What a filter looks at; an index may lack some, and then has no answer to ask of them."""

# An earlier year is a typing error; photos of paintings may say 1600.
FIRST_YEAR = 1000
# The years whose days all have nanoseconds of 64 bits.
FIRST_OF_FILES, LAST_OF_FILES = 1678, 2261
_STEP = {False: {"days": 1}, True: {"seconds": 1}}
_TYPED = re.compile(
    r"(?P<year>\d{4})([-/.](?P<month>\d{1,2})([-/.](?P<day>\d{1,2})"
    r"([t ](?P<hour>\d{1,2}):(?P<minute>\d{2})(:(?P<second>\d{2})([.,]\d+)?)?"
    r" ?(?P<zone>z|[-+]\d{2}:?\d{2})?)?)?)?"
)
_CLOSE = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})")
_DAY_FIRST = re.compile(r"(?P<day>\d{1,2})[-/.] ?(?P<month>\d{1,2})[-/.] ?(?P<year>\d{4})")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What an answer must satisfy; the fields left out allow everything.

    Attributes:
        folders: It lies in one of these, or below, as people type them: see `folders`.
        since: Taken on this day, or at this moment, or later.
        until: Taken on this day, or in this second, or earlier.
        min_bytes: Its file has at least so many.
        max_bytes: At most so many.
        here: Where relative folders may start beside the index; None for the index alone.
    """

    folders: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    here: Path | None = None

    def __post_init__(self) -> None:
        end = self.until and first_moment_after(self.until)
        if self.since and end and first_moment(self.since) >= end:
            raise errors.ConfigError(
                f"from {self.since} to {self.until}; the first day must not be after the last",
                hint="change the two",
            )
        low, high = self.min_bytes, self.max_bytes
        for size, which in ((low, "smallest"), (high, "largest")):
            if size is not None and size < 0:
                raise errors.ConfigError(
                    f"the {which} size is {size:,} bytes; 0 or more are allowed",
                    hint="give a size such as 300kB, or leave it out",
                )
        if low is not None and high is not None and high < low:
            raise errors.ConfigError(
                f"the smallest size of {low:,} bytes is above the largest of {high:,}",
                hint="change one of the two",
            )

    @classmethod
    def of_typed(
        cls,
        *,
        folders: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        min_size: str | int | None = None,
        max_size: str | int | None = None,
        here: Path | None = None,
    ) -> Filters | None:
        """Filters of what people type; None where nothing is left out.

        Args:
            folders: See `folders`.
            since: See `day`.
            until: See `last_day`.
            min_size: In bytes, or as `num_bytes` reads it.
            max_size: The same.
            here: As the attribute.

        Raises:
            InputError: No day, or no size.
            ConfigError: Bounds that nothing can meet.

        >>> found = Filters.of_typed(until="2024", min_size="2kB")
        >>> (found.until, found.min_bytes), Filters.of_typed()
        ((datetime.date(2024, 12, 31), 2000), None)
        """
        found = cls(
            folders=tuple(folders),
            since=None if since is None else day(since),
            until=None if until is None else last_day(until),
            min_bytes=num_bytes(min_size) if isinstance(min_size, str) else min_size,
            max_bytes=num_bytes(max_size) if isinstance(max_size, str) else max_size,
            here=here,
        )
        return found if found.needed else None

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that decide."""
        asked = {
            "id": self.folders,
            "path": self.folders,
            "size": (self.min_bytes, self.max_bytes) != (None, None),
            "mtime_ns": self.since or self.until,
            "taken_at": self.since or self.until,
        }
        return tuple(name for name in COLUMNS if asked[name])

    def require(self, columns: Sequence[str]) -> None:
        """Refuse to decide by what an index does not hold; without `taken_at` the file's time does.

        Args:
            columns: Those of the index.

        Raises:
            ConfigError: It lacks a column.
        """
        lacking = [name for name in self.needed if name not in (*columns, "taken_at")]
        if lacking:
            raise errors.ConfigError(
                f"the index does not know the {', '.join(lacking)} of its items, by which the "
                "answers are to be chosen",
                hint="leave that filter out; given vectors have no files",
            )

    def condition(self, columns: Sequence[str], *, folders: Folders) -> str | None:
        """A condition of Lance that rows must meet; None where everything is allowed.

        Args:
            columns: Those of the index.
            folders: Those of the index, among which the typed ones are found.

        Raises:
            InputError: A folder holds nothing of the index.
        """
        parts = []
        if self.folders:
            places = [
                place for typed in self.folders for place in folders.find(typed, here=self.here)
            ]
            if Place("id", "") not in places:  # which all lie in
                inside = [
                    f"starts_with({name}, {_quoted(folder + '/')})" for name, folder in places
                ]
                parts.append(f"({' OR '.join(inside)})")
        if self.min_bytes is not None:
            parts.append(f"size >= {self.min_bytes}")
        if self.max_bytes is not None:
            parts.append(f"size <= {self.max_bytes}")
        if self.since or self.until:
            parts.append(self._of_time("taken_at" in columns))
        return " AND ".join(parts) or None

    def _of_time(self, has_camera_time: bool) -> str:
        """The condition on when it was taken; what is not said bounds nothing."""
        first = None if self.since is None else first_moment(self.since)
        end = None if self.until is None else first_moment_after(self.until)
        by_file = [] if first is None else [f"mtime_ns >= {_nanoseconds(first)}"]
        by_file += [] if end is None else [f"mtime_ns < {_nanoseconds(end)}"]
        by_file = by_file or ["mtime_ns IS NOT NULL"]
        if not has_camera_time:
            return f"({' AND '.join(by_file)})"
        by_camera = ["taken_at IS NOT NULL"]
        by_camera += [] if first is None else [f"taken_at >= timestamp '{first}'"]
        by_camera += [] if end is None else [f"taken_at < timestamp '{end}'"]
        return f"(({' AND '.join(by_camera)}) OR (taken_at IS NULL AND {' AND '.join(by_file)}))"

    def each(self) -> tuple[tuple[str, Filters], ...]:
        """Every filter alone, with what it asks in words: to say which one lets nothing pass."""
        said: list[tuple[str, Filters]] = []
        if self.folders:
            names = " or ".join(map(repr, self.folders))
            said.append((f"in {names}", Filters(folders=self.folders, here=self.here)))
        if self.since is not None:
            said.append((f"from {self.since} on", Filters(since=self.since)))
        if self.until is not None:
            said.append((f"until {self.until}", Filters(until=self.until)))
        if self.min_bytes is not None:
            said.append((f"of {self.min_bytes:,} bytes or more", Filters(min_bytes=self.min_bytes)))
        if self.max_bytes is not None:
            said.append((f"of {self.max_bytes:,} bytes or less", Filters(max_bytes=self.max_bytes)))
        return tuple(said)


def first_moment(said: date) -> datetime:
    """The first moment of a day, or the moment itself.

    >>> first_moment(date(2024, 7, 31))
    datetime.datetime(2024, 7, 31, 0, 0)
    """
    return said if isinstance(said, datetime) else datetime.combine(said, time())


def first_moment_after(said: date) -> datetime | None:
    """The first moment behind a day, or behind a second; None where there is none any more."""
    try:
        return first_moment(said) + timedelta(**_STEP[isinstance(said, datetime)])
    except OverflowError:
        return None


def day(given: str) -> date:
    """A day or moment as it is typed: `2024-07-31`, or the first day of `2024-07` or `2024`.

    Returns:
        A date; a datetime by the clock of this computer for a time of day (`2024-07-31T18:30`).

    Raises:
        InputError: It is none.

    >>> day("2024-07"), day("2024/7/31 18:30")
    (datetime.date(2024, 7, 1), datetime.datetime(2024, 7, 31, 18, 30))
    """
    return _typed(given)[0]


def last_day(given: str) -> date:
    """The last day of what is typed: of `2024-07` the 31st, of `2024` New Year's Eve.

    Raises:
        InputError: It is none.

    >>> last_day("2024-02"), last_day("2024-02-03 10:00")
    (datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 3, 10, 0, 59))
    """
    return _typed(given)[1]


def num_bytes(given: str) -> int:
    """A size as it is typed: `300000`, `300kB`, `2MB`, `1.5 GiB`.

    Raises:
        InputError: It is none.

    >>> num_bytes("2MB"), num_bytes("1.5 KiB")
    (2000000, 1536)
    """
    units = {"": 1, "b": 1}
    for power, letter in enumerate("kmgt", 1):
        units |= {letter: 1000**power, f"{letter}b": 1000**power, f"{letter}ib": 1024**power}
    digits = given.strip().rstrip("".join({*"".join(units), *"KMGTBI"}) + " ")
    unit = given.strip()[len(digits) :].strip().casefold()
    try:
        return round(float(digits) * units[unit])
    except (ValueError, KeyError, OverflowError):
        raise errors.InputError(
            f"the size {given!r}; bytes are wanted, as 300000, 300kB, 2MB or 1.5GiB",
            hint="for example --min-size 300kB",
        ) from None


def _typed(given: str) -> tuple[date, date]:
    """The first and the last day, or second, of what was typed."""
    text = text_forms.folded(given)
    found = _TYPED.fullmatch(text) or _CLOSE.fullmatch(text)
    try:
        if found is None or int(found["year"]) < FIRST_YEAR:
            raise ValueError(given)
        return _first_and_last({key: value for key, value in found.groupdict().items() if value})
    except (ValueError, OverflowError):  # no such day, or none any more in the clock of this zone
        raise errors.InputError(
            f"the day {given!r}; allowed is 2024-07-31, 2024-07 or 2024, also with a time: "
            "2024-07-31T18:30",
            hint=_day_hint(text),
        ) from None


def _first_and_last(parts: dict[str, str]) -> tuple[date, date]:
    """Of what `_TYPED` found.

    Raises:
        ValueError: There is no such day.
    """
    year, month = int(parts["year"]), int(parts.get("month", 0))
    if not month:
        return date(year, 1, 1), date(year, 12, 31)
    if "day" not in parts:
        last = calendar.monthrange(year, month)[1]
        return date(year, month, 1), date(year, month, last)
    that_day = date(year, month, int(parts["day"]))
    if "hour" not in parts:
        return that_day, that_day
    clock = time(int(parts["hour"]), int(parts["minute"]), int(parts.get("second", 0)))
    moment = datetime.combine(that_day, clock)
    if zone := parts.get("zone"):
        aware = datetime.fromisoformat(f"{moment.isoformat()}{zone.upper()}")
        moment = aware.astimezone().replace(tzinfo=None)
    return moment, moment if "second" in parts else moment + timedelta(seconds=59)


def _day_hint(text: str) -> str:
    """What to type instead."""
    if found := _DAY_FIRST.fullmatch(text):
        with contextlib.suppress(ValueError):
            meant = date(int(found["year"]), int(found["month"]), int(found["day"]))
            return f"the year stands first: {meant.isoformat()}"
    return "for example 2024-07-01 for the first of July; on the command line --since 2024-07-01"


def _nanoseconds(moment: datetime) -> int:
    """Since 1970, of a moment by the clock of this computer; files know those of 64 bits alone."""
    if not FIRST_OF_FILES <= moment.year <= LAST_OF_FILES:
        return 1 - 2**63 if moment.year < FIRST_OF_FILES else 2**63 - 1
    return int(moment.timestamp()) * 1_000_000_000


def _quoted(text: str) -> str:
    """A text in a condition of Lance."""
    return "'" + text.replace("'", "''") + "'"
