"""What was measured? The schema of a result, and its JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from polyglance import __version__, errors

SCHEMA_VERSION = 1

Direction = Literal["text_to_content", "content_to_text"]
CaptionPolicy = Literal["first", "all", "unique"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one task, split, language and direction.

    Attributes:
        task: Name of the task.
        split: Which part of it.
        language: Language id of the texts.
        direction: Which side asks.
        metric: What `values` holds, such as `hit_rate`.
        caption_policy: Which captions took part.
        values: Fractions by name, such as `hit_rate_at_10`.
        intervals: 95 % intervals by name, bootstrapped over content items.
        num_queries: How many asked.
        num_candidates: How many could be found.
        num_dropped: What could not take part, by reason.
        model: How the model is called.
        model_id: Fingerprint of model and pack.
        data_id: Fingerprint of texts and contents.
        code_version: Of polyglance.
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

    def comparable_with(self, other: Result) -> bool:
        """Whether the two may be set beside each other: same task, split, metric and policy."""
        return (self.task, self.split, self.direction, self.metric, self.caption_policy) == (
            other.task,
            other.split,
            other.direction,
            other.metric,
            other.caption_policy,
        )


def append_results(path: Path, results: Iterable[Result]) -> None:
    """Add results to a file, one JSON object a line; each line is written whole."""
    lines = [
        json.dumps({"schema_version": SCHEMA_VERSION, **asdict(result)}, ensure_ascii=False)
        for result in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))


def read_results(path: Path) -> list[Result]:
    """Read a file of results; an interrupted last line is left out.

    Raises:
        UnavailableError: Where there is no such file.
        ResultError: For a line that is no result, naming it.
    """
    if not path.is_file():
        raise errors.UnavailableError(
            f"no results at {path}", hint="run polyglance eval MODEL --task TASK --out FILE first"
        )
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    unfinished = lines.pop() if not text.endswith("\n") else ""
    del unfinished  # killed while writing; that language is measured again
    return [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]


def _parse(line: str, path: Path, number: int) -> Result:
    try:
        found: dict[str, Any] = json.loads(line)
        if found.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"its schema_version is not {SCHEMA_VERSION}")
        found["intervals"] = {k: (v[0], v[1]) for k, v in found.get("intervals", {}).items()}
        return Result(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise errors.ResultError(
            f"{path}, line {number} is no result: {error}",
            hint="delete the line and run polyglance eval again; it measures what is missing",
        ) from error
