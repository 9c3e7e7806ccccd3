"""Repeated results of one measurement: the newest of a file counts, and the first file's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from polyglance.results.schema import Result

MEASURED_ANEW = "results that were measured anew further down"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a file adds to those before it.

    Attributes:
        rows: The results that count.
        superseded: A sentence for each way in which results are left out for others.
        num_repeated: How many stand in an earlier file with the same numbers.
    """

    rows: tuple[Result, ...]
    superseded: tuple[str, ...]
    num_repeated: int


@dataclass(kw_only=True)
class Distinct:
    """Takes files of results one after another, and each result once."""

    _seen: dict[tuple[str, ...], Result] = field(default_factory=dict)

    def take(self, path: Path, rows: Iterable[Result]) -> Taken:
        """The results of a file that stand in none before.

        A file only grows: what was measured again, of changed images say, stands further down.

        Args:
            path: The file, to be named.
            rows: Its results, in its order.
        """
        listed = list(rows)
        newest = {(row.model_id, row.called, row.language, *row.kind): row for row in listed}
        said = []
        if older := len(listed) - len(newest):
            said.append(f"{path}: {older:,} {MEASURED_ANEW}")
        kept, others, same = [], 0, 0
        for row in newest.values():
            key = (row.model_id, row.data_id, row.called, row.language, *row.kind)
            known = self._seen.get(key)
            if known is None:
                self._seen[key] = row
                kept.append(row)
            elif known.values != row.values:
                others += 1
            else:
                same += 1
        if others:
            said.append(
                f"{path}: {others:,} results with other numbers than earlier ones of the same "
                "model and data; the earlier ones are taken"
            )
        return Taken(rows=tuple(kept), superseded=tuple(said), num_repeated=same)
