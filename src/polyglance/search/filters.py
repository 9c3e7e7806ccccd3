"""Which pictures may answer at all? Folder, date and size, decided before anything is ranked.

Dates are days of the camera's clock where a picture has a time of its own, else of its
file's last change by the clock of this computer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from polyglance import errors

COLUMNS = ("id", "path", "size", "mtime_ns", "taken_at")
"""What a filter looks at; an index may lack some, and then has no answer to ask of them."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What an answer must satisfy; the fields left out allow everything.

    Attributes:
        folders: It lies in one of these, or below: the beginning of its id, as `2024/summer`, or
            of its full path.
        since: Taken on this day or later.
        until: Taken on this day or earlier.
        min_bytes: Its file has at least so many.
        max_bytes: At most so many.
    """

    folders: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since > self.until:
            raise errors.ConfigError(
                f"from {self.since} to {self.until}; the first day must not be after the last",
                hint="change the two",
            )
        low, high = self.min_bytes, self.max_bytes
        if (low or 0) < 0 or (high is not None and high < (low or 0)):
            raise errors.ConfigError(
                f"from {low} to {high} bytes; both must be at least 0 and the first no more than "
                "the second",
                hint="change the two",
            )

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
                "answers shall be chosen",
                hint="leave that filter out; given vectors have no files",
            )

    def condition(self, columns: Sequence[str]) -> str | None:
        """A condition of Lance that rows must meet; None where everything is allowed.

        Args:
            columns: Those of the index.
        """
        parts = []
        if self.folders:
            beginnings = [_quoted(_beginning(folder)) for folder in self.folders]
            inside = [f"starts_with({name}, {b})" for name in ("id", "path") for b in beginnings]
            parts.append(f"({' OR '.join(inside)})")
        if self.min_bytes is not None:
            parts.append(f"size >= {self.min_bytes}")
        if self.max_bytes is not None:
            parts.append(f"size <= {self.max_bytes}")
        if self.since or self.until:
            first, end = self._days()
            by_file = f"(mtime_ns >= {_nanoseconds(first)} AND mtime_ns < {_nanoseconds(end)})"
            if "taken_at" in columns:
                by_camera = (
                    f"taken_at >= timestamp '{first:%Y-%m-%d %H:%M:%S}' AND "
                    f"taken_at < timestamp '{end:%Y-%m-%d %H:%M:%S}'"
                )
                by_file = f"({by_camera}) OR (taken_at IS NULL AND {by_file})"
            parts.append(f"({by_file})")
        return " AND ".join(parts) or None

    def _days(self) -> tuple[datetime, datetime]:
        """The first moment that counts, and the first that does not any more."""
        # Lance keeps times as seconds since 1970, files before that do not exist.
        first = datetime.combine(self.since or date(1970, 1, 2), time())
        last = min(self.until or date(2200, 1, 1), date(2200, 1, 1))
        return first, datetime.combine(last, time()) + timedelta(days=1)


def day(given: str) -> date:
    """A day as it is typed: `2024-07-31`, or the first day of `2024-07` or `2024`.

    Raises:
        InputError: It is none.

    >>> day("2024-07")
    datetime.date(2024, 7, 1)
    """
    return _days_of(given)[0]


def last_day(given: str) -> date:
    """The last day of what is typed: of `2024-07` the 31st, of `2024` New Year's Eve.

    Raises:
        InputError: It is none.

    >>> last_day("2024-02")
    datetime.date(2024, 2, 29)
    """
    return _days_of(given)[1]


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


def _days_of(given: str) -> tuple[date, date]:
    parts = given.strip().split("-")
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            return date(numbers[0], 1, 1), date(numbers[0], 12, 31)
        if len(numbers) == 2:
            following = date(numbers[0] + numbers[1] // 12, numbers[1] % 12 + 1, 1)
            return date(numbers[0], numbers[1], 1), following - timedelta(days=1)
        return date(*numbers), date(*numbers)
    except (ValueError, TypeError):
        raise errors.InputError(
            f"the day {given!r}; allowed is 2024-07-31, 2024-07 or 2024",
            hint="for example --since 2024-07-01 --until 2024-07-31",
        ) from None


def _beginning(folder: str) -> str:
    """How ids and paths in a folder begin."""
    return folder.rstrip("/").removeprefix("./") + "/"


def _nanoseconds(moment: datetime) -> int:
    """Since 1970, of a moment by the clock of this computer."""
    return int(moment.timestamp()) * 1_000_000_000


def _quoted(text: str) -> str:
    """A text in a condition of Lance."""
    return "'" + text.replace("'", "''") + "'"
