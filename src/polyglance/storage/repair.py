"""Repair of a store's table: every file and row is read, and what can be mended is.

Mending never guesses: a version whose manifest cannot be read goes, and the one before is the
newest; a piece of the table whose file is not what was written goes with its rows, and so does a
row whose vector or key cannot be used. What went is encoded again by the next `polyglance index`.
Files go that lie in the table's own folders, have the names that Lance gives, and belong to no
version that is left: a killed writer's.

The caller holds the store's lock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyglance import errors
from polyglance.storage import checksums, schema, versions
from polyglance.storage.checksums import Sums
from polyglance.storage.identity import TABLE_NAME
from polyglance.vectors import is_unit, unusable_rows

if TYPE_CHECKING:
    import lance

KEY = re.compile(r"[0-9a-f]{32}")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# What Lance calls its files, by the folder they lie in.
OURS = re.compile(
    rf"data/[0-9a-f]+\.lance|_deletions/[\d-]+\.(?:arrow|bin)|_indices/{UUID}/[\w.-]+"
)
BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        said: In one sentence.
        mended: Whether it is so no longer.
        harmless: Whether answers are right in spite of it.
        mendable: Whether `--repair` can do anything about it.
    """

    said: str
    mended: bool = False
    harmless: bool = False
    mendable: bool = True


@dataclass
class _Table:
    """A table under examination.

    Attributes:
        store, folder: Of the store, and of its table.
        repair: Whether what is found is mended.
        unit: Whether vectors must have length one, as those of an index.
        sums: What is noted of it.
        found: What is wrong.
    """

    store: Path
    repair: bool
    unit: bool
    sums: Sums | None = None
    found: list[Finding] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.store / TABLE_NAME

    def say(self, said: str, *, harmless: bool = False) -> None:
        self.found.append(Finding(said, mended=self.repair, harmless=harmless))


def examine(store: Path, *, repair: bool, unit: bool) -> list[Finding]:
    """Read a store's table in full, and say what is wrong with it.

    Args:
        store: The store's folder.
        repair: Whether it is mended.
        unit: Whether its vectors must have length one.

    Raises:
        StoreError: No version of it can be opened, so that nothing is left to mend.
    """
    this = _Table(store, repair, unit)
    try:
        this.sums = checksums.read(store)
    except errors.PolyglanceError as error:
        this.say(f"{error.message}; the checksums are made anew")
    table = _newest(this)
    if this.sums is None and not this.found:
        this.say("no checksums are noted", harmless=True)
    table = _without_damaged_files(this, table)
    table = _without_bad_rows(this, table)
    _orphans(this, table)
    if repair:
        (store / checksums.NAME).unlink(missing_ok=True)
        checksums.note(store, table, folder=this.folder)
    return this.found


def _newest(this: _Table) -> lance.LanceDataset:
    """The newest version that can be opened; those behind it go."""
    versions = sorted(_versions(this.folder), reverse=True)
    if this.sums is not None and (not versions or versions[0] < this.sums.version):
        newest = versions[0] if versions else "none"
        this.say(f"version {this.sums.version} is not there any more; the newest is {newest}")
    for version in versions:
        name = checksums.manifest_name(this.folder, version)
        reason = ""
        if this.sums is not None:
            reason = ", ".join(d.reason for d in checksums.damages(this.folder, this.sums, [name]))
        if not reason:
            try:
                return _opened(this, version)
            except errors.StoreError as error:
                reason = error.message[:200]
        this.say(f"version {version} cannot be read ({reason}); the one before is taken")
        if this.repair:
            (this.folder / name).unlink()
    raise errors.StoreError(
        f"no version of the table of {this.store} can be read",
        hint="get the folder from a copy, or delete it and index again",
    )


def _opened(this: _Table, version: int) -> lance.LanceDataset:
    table = versions.open_version(this.store, this.folder, version=version)
    with schema.reading(this.store):
        checksums.names_of(table, this.folder)
    return table


def _versions(folder: Path) -> Iterator[int]:
    for path in (folder / checksums.VERSIONS).glob("*.manifest"):
        if path.stem.isdigit():
            yield checksums.version_of(path.stem)


def _without_damaged_files(this: _Table, table: lance.LanceDataset) -> lance.LanceDataset:
    """The table without the pieces and indices whose files are not what was written."""
    damaged: dict[str, str] = {}
    if this.sums is not None:
        names = checksums.names_of(table, this.folder)
        damaged = {d.name: d.reason for d in checksums.damages(this.folder, this.sums, names)}
    for index in table.describe_indices():
        inside = tuple(f"_indices/{segment.uuid}/" for segment in index.segments)
        if bad := [name for name in damaged if name.startswith(inside)]:
            this.say(f"the index {index.name!r}: {bad[0]} is {damaged[bad[0]]}; searched without")
            if this.repair:
                table.drop_index(index.name)
    gone = {}
    for fragment in table.get_fragments():
        names = [f"data/{file.path}" for file in fragment.data_files()]
        bad = [name for name in (*names, fragment.deletion_file()) if name in damaged]
        reason = f"{bad[0]} is {damaged[bad[0]]}" if bad else _unreadable(this, fragment)
        if reason:
            gone[fragment.fragment_id] = reason
            this.say(f"{fragment.metadata.num_rows:,} rows: {reason}")
    if gone and this.repair:
        table = _commit_without(this, table, gone)
    return table


def _unreadable(this: _Table, fragment: Any) -> str:
    try:
        with schema.reading(this.store):
            for _ in fragment.to_batches(batch_size=BLOCK_ROWS):
                pass
    except errors.StoreError as error:
        return error.message[:200]
    return ""


def _commit_without(
    this: _Table, table: lance.LanceDataset, gone: Iterable[int]
) -> lance.LanceDataset:
    import lance

    operation = lance.LanceOperation.Delete(
        updated_fragments=[], deleted_fragment_ids=sorted(gone), predicate="damaged"
    )
    with schema.reading(this.store):
        return lance.LanceDataset.commit(
            str(this.folder.absolute()), operation, read_version=table.version
        )


def _without_bad_rows(this: _Table, table: lance.LanceDataset) -> lance.LanceDataset:
    """The table without rows whose vector or key cannot be used, or whose id came before."""
    bad: dict[str, list[int]] = {}
    seen: set[str] = set()
    for fragment in table.get_fragments():
        try:
            with schema.reading(this.store):
                for batch in fragment.scanner(
                    columns=["id", "key", "vector"], with_row_id=True, batch_size=BLOCK_ROWS
                ).to_batches():
                    _sort_out(batch, bad, seen=seen, unit=this.unit)
        except errors.StoreError:
            continue  # said already, of the piece
    for reason, rows in bad.items():
        this.say(f"{len(rows):,} rows {reason}")
    if bad and this.repair:
        listed = ", ".join(str(row) for rows in bad.values() for row in rows)
        table.delete(f"_rowid IN ({listed})")
        table = _opened(this, table.latest_version)
    return table


def _sort_out(batch: Any, bad: dict[str, list[int]], *, seen: set[str], unit: bool) -> None:
    numbers = batch["_rowid"].to_pylist()
    vectors = schema.matrix(batch["vector"])
    unusable = set(unusable_rows(vectors))
    if unit:
        unusable |= set(np.flatnonzero(~is_unit(vectors)).tolist())
    rows = zip(numbers, batch["id"].to_pylist(), batch["key"].to_pylist(), strict=True)
    for place, (number, identity, key) in enumerate(rows):
        reason = ""
        if place in unusable:
            reason = "with a vector that is not finite, or of a wrong length"
        elif not KEY.fullmatch(key or ""):
            reason = "with a key that is none: it would name another file"
        elif identity in seen:
            reason = "whose id came before"
        seen.add(identity)
        if reason:
            bad.setdefault(reason, []).append(number)


def _orphans(this: _Table, table: lance.LanceDataset) -> None:
    """Files of Lance that belong to no version: what killed writers left."""
    needed: set[str] = set()
    for version in _versions(this.folder):
        try:
            needed.update(checksums.names_of(_opened(this, version), this.folder))
        except errors.StoreError:
            # What it needs is not known: nothing goes then.
            return
    needed.update(checksums.names_of(table, this.folder))
    left = [
        path
        for path in sorted(this.folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and OURS.fullmatch(name := path.relative_to(this.folder).as_posix())
        and name not in needed
    ]
    if not left:
        return
    size = sum(path.stat().st_size for path in left) / 1e6
    this.say(f"{len(left):,} files ({size:.1f} MB) belong to no version: left over", harmless=True)
    if this.repair:
        for path in left:
            path.unlink()
            if path.parent.parent.name == "_indices" and not os.listdir(path.parent):
                path.parent.rmdir()
