"""The schema of a result, and its JSON lines.

A file of results only grows: a line that is whole is never taken out, whatever stands beside it.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from polyglance import __version__, errors
from polyglance.storage import atomic, locks, manifest_fields

SCHEMA_VERSION = 1
BOM = b"\xef\xbb\xbf"
# What is said of half a line at the end, as a killed run leaves one.
HALF = "ends in the middle of a line"

# Rows hold it, and the start of one that was cut: the first field that is written.
ROW_SIGN = b'"schema_version"'

# How far a value may lie outside its own interval: both come from sums of floats.
INTERVAL_ROUNDING = 1e-9

Direction = Literal[
    "text_to_content",
    "content_to_text",
    "content_to_class",
    "content_to_content",
    "text_to_other",
    "other_to_text",
    "text_with_other",
]
"""Which side asks which; `other` is the text of another language (`Result.other_language`)."""

CaptionPolicy = Literal["first", "all", "unique", "none"]


# The end of each line: the CRC-32 of what stands before it, so that a flipped digit is no score.
CHECKSUM_MARK, LINE_END = ', "checksum": "', '"}'


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one task, split, language and direction.

    Attributes:
        task: Name of the task.
        split: Which part of it.
        language: Language id of the texts.
        direction: Which side asks.
        metric: What `values` holds, such as `hit_rate`.
        variant: How it was asked, where there are several ways, such as the prompts of a
            classification.
        other_language: Language id of the other texts, where two languages meet.
        caption_policy: Which captions took part.
        values: Fractions by name, such as `hit_rate_at_10`.
        intervals: 95 % intervals by name, over content items; none where there is one alone.
        num_queries: How many asked.
        num_candidates: How many could be found.
        num_dropped: What could not take part, by reason.
        dropped_names: What some of that is called, and why it could not, by reason.
        model: How the model is called; its reference, where it has one.
        pack: How its language pack is called; empty where there is none.
        model_id: Fingerprint of model and pack.
        data_id: Fingerprint of texts and contents.
        score_id: Fingerprint of all that a score is computed from: model, texts, the bytes of the
            contents, prompts and the code that scores. A row with another one is measured anew.
        code_version: Of polyglance.
        prompts_taken: Which prompts it was, where `variant` leaves that open.
        captions_duplicated: Captions, or labels of classes, that take part and say what an
            earlier one says. They stay, and lower what can be reached, unless the policy is
            `unique`.
        most_repeated_caption: The caption that is there most often; empty where none repeats.
        most_repeated_times: How often that is.
        supported: Whether the model is said to know the language, by its tower, card or pack; None
            where nothing says which languages it knows.
    """

    task: str
    split: str
    language: str
    direction: Direction
    metric: str
    caption_policy: CaptionPolicy
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    num_queries: manifest_fields.Count
    num_candidates: manifest_fields.Count
    num_dropped: Mapping[str, manifest_fields.Count] = field(default_factory=dict)
    model: str
    pack: str = ""
    model_id: str
    data_id: str
    score_id: str = ""
    code_version: str = __version__
    variant: str = ""
    other_language: str = ""
    prompts_taken: str = ""
    captions_duplicated: manifest_fields.Count = 0
    most_repeated_caption: str = ""
    most_repeated_times: manifest_fields.Count = 0
    dropped_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    supported: bool | None = None

    @property
    def called(self) -> str:
        """What model and pack together are called, for people.

        A name for tables; whoever needs one of the two takes the field.
        """
        return f"{self.model} + {self.pack}" if self.pack else self.model

    @property
    def kind(self) -> tuple[str, ...]:
        """What two results must share to be set beside each other."""
        return (
            self.task,
            self.split,
            self.direction,
            self.metric,
            self.caption_policy,
            self.variant,
            self.other_language,
        )


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What can be read of a file of results.

    Attributes:
        rows: Every line that is a whole result, in the order of the file.
        said: A sentence for each line that is none, or for the file as a whole.
        doubtful: Model id, task and language of the rows beside a damaged line, which may have
            held more of them.
    """

    rows: tuple[Result, ...] = ()
    said: tuple[str, ...] = ()
    doubtful: frozenset[tuple[str, str, str]] = frozenset()


@dataclass(frozen=True)
class _Left:
    """A file of results between two additions.

    Attributes:
        places: Of all its rows.
        size: In bytes, without half a line at its end.
        gap: What must stand before the next line.
    """

    places: frozenset[tuple[str, ...]]
    size: int
    gap: bytes = b""


# The file that this process added to last. Reading all of it anew for each language of a run took
# half of the demo's time; it is read again only where somebody else has written since.
_LEFT: dict[tuple[int, ...], _Left] = {}


def _mark(file: BinaryIO) -> tuple[int, ...]:
    """Which file it is, and in what state."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _as_left(file: BinaryIO) -> _Left | None:
    return _LEFT.get(_mark(file))


def _as_read(file: BinaryIO, path: Path) -> _Left:
    """What is in a file; half a line at its end makes room."""
    file.seek(0)
    data = file.read()
    whole = _read_lines(data, path)
    if whole.said and HALF in whole.said[-1]:
        data = data[: data.rfind(b"\n") + 1]
        os.ftruncate(file.fileno(), len(data))
    gap = b"\n" if data and not data.endswith(b"\n") else b""
    return _Left(frozenset(map(_place, whole.rows)), len(data), gap)


def append_results(path: Path, results: Iterable[Result]) -> None:
    """Add results to a file, one JSON object a line; all of them or, on a full disk, none.

    Two runs may share a file: each waits for the other, and adds only rows that are not there. A
    last line without its line feed gets one. Half a line at the end, as a killed run leaves it,
    makes room: what it was to say is measured again.

    Raises:
        DiskFullError: Where there is no room; the file is as it was.
        UnavailableError: Where the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            locks.lock_open(file.fileno(), waits=True)
            before = _as_left(file) or _as_read(file, path)
            lines = {_place(row): _line(row) for row in results}
            fresh = [lines[place] for place in lines if place not in before.places]
            gap = before.gap if fresh else b""
            _write_all(file.fileno(), gap + b"".join(fresh), size=before.size)
            _LEFT.clear()
            after = _Left(
                frozenset({*before.places, *lines}),
                os.fstat(file.fileno()).st_size,
                b"" if fresh else before.gap,
            )
            _LEFT[_mark(file)] = after
    except OSError as error:
        if atomic.is_disk_full(error):
            raise errors.DiskFullError(
                f"results cannot be added to {path}: {error}",
                hint="make room, then run the same command again; it measures what is missing",
            ) from error
        raise errors.UnavailableError(
            f"results cannot be added to {path}: {error}",
            hint="choose a file in a folder that you may write: --out FILE",
        ) from error


def read_results(path: Path) -> list[Result]:
    """Read a file of results, half a line at its end left out.

    Raises:
        UnavailableError: Where there is no such file.
        ResultError: For another line that is no result, naming it.
    """
    if not path.is_file():
        raise errors.UnavailableError(
            f"no results at {path}", hint="run polyglance eval MODEL --task TASK --out FILE first"
        )
    found = read_what_is_whole(path)
    if wrong := [sentence for sentence in found.said if HALF not in sentence]:
        raise errors.ResultError(
            wrong[0],
            hint="delete the line and run polyglance eval again; it measures what is missing",
        )
    return list(found.rows)


def read_what_is_whole(path: Path) -> Whole:
    """Read what can be read of a file of results, and say what cannot."""
    try:
        data = atomic.read_bytes(path)
    except OSError as error:
        return Whole(said=(f"{path} cannot be read: {error.strerror or error}",))
    return _read_lines(data, Path(path))


def to_row(result: Result) -> dict[str, Any]:
    """A result as the JSON object that files hold."""
    return {"schema_version": SCHEMA_VERSION, **asdict(result)}


def from_row(row: Mapping[str, Any]) -> Result:
    """The result of such an object.

    Raises:
        ValueError: For an object of another form, or numbers that no score can be.
    """
    version = manifest_fields.field_of(row, "schema_version", int)
    if version != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is {version}; {SCHEMA_VERSION} can be read")
    return of_fields({k: v for k, v in row.items() if k not in ("schema_version", "checksum")})


def of_fields(found: Mapping[str, Any]) -> Result:
    """A result whose every field is what `Result` declares, of what a file of any form says.

    Args:
        found: The fields by name.

    Raises:
        ValueError: A field is unknown, absent or of another type; a value is none that a score can
            have, or outside its interval. Names the field.
    """
    try:
        result = manifest_fields.read(Result, found, place="it", hint="measure it again")
    except errors.StoreError as error:
        raise ValueError(error.message) from error
    check_values(result.values)
    for name, (low, high) in result.intervals.items():
        check_values({f"interval of {name}": end for end in (low, high)})
        if low > high:
            raise ValueError(f"its interval of {name} goes from {low:g} down to {high:g}")
        if name not in result.values:
            raise ValueError(f"it has an interval of {name} and no value of that name")
        value = result.values[name]
        if not low - INTERVAL_ROUNDING <= value <= high + INTERVAL_ROUNDING:
            raise ValueError(f"its {name} is {value:g}, outside its interval {low:g} to {high:g}")
    return result


def check_values(values: Mapping[str, float]) -> None:
    """Refuse numbers that no score can be, which one odd run of another tool may hold.

    Raises:
        ValueError: For NaN, infinity, or what lies beyond -1 to 1, naming it; or no value at all.

    >>> check_values({"accuracy": 53.2})
    Traceback (most recent call last):
        ...
    ValueError: its accuracy is 53.2; fractions lie from -1 to 1
    """
    if not values:
        raise ValueError("it has no values")
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"its {name} is {value}")
        # Rounding may leave a perfect score a little above.
        if abs(value) > 1 + 1e-6:
            raise ValueError(f"its {name} is {value:g}; fractions lie from -1 to 1")


def _line(result: Result) -> bytes:
    plain = json.dumps(to_row(result), ensure_ascii=False)
    # A file name of broken bytes is told with question marks.
    whole = plain.encode("utf-8", "replace").decode()[:-1]
    return f"{whole}{CHECKSUM_MARK}{_crc_of(whole)}{LINE_END}\n".encode()


def _crc_of(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _place(row: Result) -> tuple[str, ...]:
    """What two rows of one measurement share."""
    return (row.model_id, row.called, row.data_id, row.score_id, row.language, *row.kind)


def _read_lines(data: bytes, path: Path) -> Whole:
    """The results among lines that end as any system ends them, the last one perhaps not at all."""
    rows: list[Result] = []
    said: list[str] = []
    doubtful: set[tuple[str, str, str]] = set()
    last_is_damaged = False
    reasons: list[str] = []
    pieces = data.removeprefix(BOM).split(b"\n")
    for number, piece in enumerate(pieces, 1):
        if not piece.strip():
            continue
        try:
            rows.append(_row_in(piece.decode("utf-8")))
        except ValueError as error:
            reasons.append(f"line {number}: {_reason(error)}")
            said.append(_sentence(path, number, piece, error, is_last=number == len(pieces)))
            doubtful.update((row.model_id, row.task, row.language) for row in rows[-1:])
            last_is_damaged = True
            continue
        if last_is_damaged:
            doubtful.add((rows[-1].model_id, rows[-1].task, rows[-1].language))
        last_is_damaged = False
    is_ours = rows or any(HALF in sentence for sentence in said[-1:])
    if reasons and not is_ours and not any(map(_is_meant_as_row, pieces)):
        said = [f"{path} is no file of results ({reasons[0]})"]
    return Whole(rows=tuple(rows), said=tuple(said), doubtful=frozenset(doubtful))


def _is_meant_as_row(piece: bytes) -> bool:
    """Whether a line is one of ours, damaged perhaps, and not of another kind of file."""
    return piece.lstrip().startswith(b"{") and ROW_SIGN in piece


def _row_in(line: str) -> Result:
    """The result of a line, which must be what was written.

    Raises:
        ValueError: It is not; JSONDecodeError where the line is no JSON.
    """
    whole, mark, noted = line.rstrip("\r").rpartition(CHECKSUM_MARK)
    if mark and noted != _crc_of(whole) + LINE_END:
        raise ValueError(
            "it was changed or damaged since it was written (if you meant it, take its checksum "
            "out)"
        )
    try:
        return from_row(json.loads(line))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _sentence(path: Path, number: int, piece: bytes, error: ValueError, *, is_last: bool) -> str:
    """What is wrong with a line."""
    if is_last and piece.lstrip().startswith(b"{") and _is_cut(error):
        return f"{path} {HALF}: line {number} is left out, all before it is kept"
    return f"{path}, line {number} is no result: {_reason(error)}"


def _is_cut(error: ValueError) -> bool:
    """Whether it is what half a line gives: no JSON, or half a character."""
    return isinstance(error, json.JSONDecodeError | UnicodeDecodeError)


def _reason(error: ValueError) -> str:
    """Why a line is no result, without the words of Python."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8 text"
    return "it is no JSON object" if isinstance(error, json.JSONDecodeError) else str(error)


def _write_all(descriptor: int, data: bytes, *, size: int) -> None:
    """Append in one piece, or leave the file at the size that it had."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, size)
        raise
