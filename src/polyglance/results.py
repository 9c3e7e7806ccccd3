"""What was measured? The schema of a result, and its JSON lines."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from polyglance import __version__, errors, files

SCHEMA_VERSION = 1

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
        intervals: 95 % intervals by name, bootstrapped over content items.
        num_queries: How many asked.
        num_candidates: How many could be found.
        num_dropped: What could not take part, by reason.
        dropped_names: What some of that is called, and why it could not, by reason.
        model: How the model is called.
        model_id: Fingerprint of model and pack.
        data_id: Fingerprint of texts and contents.
        code_version: Of polyglance.
        prompts_taken: Which prompts it was, where `variant` leaves that open.
        captions_duplicated: Captions, or labels of classes, that take part and say what an
            earlier one says. They stay, and lower what can be reached, unless the policy is
            `unique`.
        most_repeated_caption: The caption that is there most often; empty where none repeats.
        most_repeated_times: How often that is.
    """

    task: str
    split: str
    language: str
    direction: Direction
    metric: str
    caption_policy: CaptionPolicy
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    num_queries: int
    num_candidates: int
    num_dropped: Mapping[str, int] = field(default_factory=dict)
    model: str
    model_id: str
    data_id: str
    code_version: str = __version__
    variant: str = ""
    other_language: str = ""
    prompts_taken: str = ""
    captions_duplicated: int = 0
    most_repeated_caption: str = ""
    most_repeated_times: int = 0
    dropped_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def comparable_with(self, other: Result) -> bool:
        """Whether the two may be set beside each other: same task, split, metric, policy..."""
        return self.kind == other.kind

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


def append_results(path: Path, results: Iterable[Result]) -> None:
    """Add results to a file, one JSON object a line; all of them or, on a full disk, none.

    Raises:
        DiskFullError: Where there is no room; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [_line(result) for result in results]
    if path.is_file() and not _ends_whole(path):
        lines = [*(_line(result) for result in read_results(path)), *lines]
        files.write_text(path, "".join(lines))
        return
    size = path.stat().st_size if path.is_file() else 0
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
    except OSError as error:
        os.truncate(path, size)
        raise errors.DiskFullError(
            f"results cannot be added to {path}: {error}",
            hint="make room, then run the same command again; it measures what is missing",
        ) from error


def read_results(path: Path) -> list[Result]:
    """Read a file of results.

    Where its last line was interrupted, that line's language is left out, to be measured again.

    Raises:
        UnavailableError: Where there is no such file.
        ResultError: For a line that is no result, naming it.
    """
    if not path.is_file():
        raise errors.UnavailableError(
            f"no results at {path}", hint="run polyglance eval MODEL --task TASK --out FILE first"
        )
    lines = path.read_text("utf-8", "surrogateescape").split("\n")
    unfinished = lines.pop()
    rows = [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if unfinished:
        rows = _without_last_language(rows)
    return rows


def read_what_is_whole(path: Path) -> tuple[list[Result], list[str]]:
    """Read what can be read of a file of results, and say what cannot.

    Returns:
        The results, and a sentence for each line that is none or was interrupted; one sentence
        and no results where the file as a whole cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{path} cannot be read: {error}"]
    unfinished = lines.pop()
    rows: list[Result] = []
    said: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [_parse(line, path, number)] if line.strip() else []
        except errors.ResultError as error:
            said.append(error.message)
    if unfinished:
        rows = _without_last_language(rows)
        said.append(f"{path} ends in the middle of a line; the language written last is left out")
    return rows, said


def to_row(result: Result) -> dict[str, Any]:
    """A result as the JSON object that files hold."""
    return {"schema_version": SCHEMA_VERSION, **asdict(result)}


def from_row(row: Mapping[str, Any]) -> Result:
    """The result of such an object.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: For an object of another form.
    """
    found = dict(row)
    found.pop("checksum", None)
    if found.pop("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"its schema_version is not {SCHEMA_VERSION}")
    found["values"] = {k: float(v) for k, v in found["values"].items()}
    found["intervals"] = {k: (v[0], v[1]) for k, v in found.get("intervals", {}).items()}
    found["dropped_names"] = {k: tuple(v) for k, v in found.get("dropped_names", {}).items()}
    return Result(**found)


def _line(result: Result) -> str:
    plain = json.dumps(to_row(result), ensure_ascii=False)
    whole = plain.encode("utf-8", "replace").decode()[:-1]
    return f"{whole}{CHECKSUM_MARK}{_crc_of(whole)}{LINE_END}\n"


def _crc_of(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _without_last_language(rows: list[Result]) -> list[Result]:
    """Without the rows at the end that were written together with the line that is not whole."""
    if not rows:
        return rows
    last = (rows[-1].model_id, rows[-1].task, rows[-1].language)
    while rows and (rows[-1].model_id, rows[-1].task, rows[-1].language) == last:
        rows = rows[:-1]
    return rows


def _parse(line: str, path: Path, number: int) -> Result:
    try:
        return _row_in(line)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise errors.ResultError(
            f"{path}, line {number} is no result: {error}",
            hint="delete the line and run polyglance eval again; it measures what is missing",
        ) from error


def _row_in(line: str) -> Result:
    """The result of a line, which must be what was written.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is not.
    """
    whole, mark, noted = line.rstrip("\r").rpartition(CHECKSUM_MARK)
    if mark and noted != _crc_of(whole) + LINE_END:
        raise ValueError(
            "it was changed or damaged since it was written (if you meant it, take its checksum "
            "out)"
        )
    return from_row(json.loads(line))
