"""The version of a store's table that is opened: the newest one that reached the disk.

Every version up to the one that `checksums.json` names was synced. A newer one is a killed writer's
and whole, or the power was cut: then its manifest cannot be read or its files are cut, and the
noted version is opened and that is said.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance import errors, progress
from polyglance.storage import checksums, schema
from polyglance.storage.checksums import Sums
from polyglance.vectors import unusable_rows

if TYPE_CHECKING:
    import lance


def open_newest(store: Path, folder: Path, sums: Sums | None) -> lance.LanceDataset:
    """Open the newest version that is whole.

    Args:
        store: The store's folder.
        folder: The table's.
        sums: What is noted; None where nothing is.

    Raises:
        FileNotFoundError: There is no table.
        StoreError: It cannot be read, or is not what was noted.
    """
    newest = checksums.newest_version(folder)
    if sums is None:
        return open_version(store, folder)
    manifest = checksums.manifest_name(folder, sums.version)
    if newest <= sums.version:
        # Before Lance reads it: a damaged one may mean anything.
        checksums.refuse(store, checksums.damages(folder, sums, [manifest]))
        return open_version(store, folder)
    try:
        opened = open_version(store, folder)
        is_whole = not _cut_files(opened, folder, sums)
    except errors.StoreError:
        is_whole = False
    if is_whole:
        return opened
    progress.say(
        f"the newest version of {store} did not reach the disk; the one before is read, of which "
        f"nothing is lost: {schema.repair_hint(store)}"
    )
    checksums.refuse(store, checksums.damages(folder, sums, [manifest]))
    return open_version(store, folder, version=sums.version)


def require_sound(store: Path, folder: Path, table: lance.LanceDataset, noted: int | None) -> None:
    """Refuse to write behind a version that did not reach the disk.

    Args:
        store: The store's folder.
        folder: The table's.
        table: As it is open.
        noted: The version that was noted last; None where nothing is.

    Raises:
        StoreError: A newer version than the one that is open, or rows that a power cut emptied.
    """
    if noted is None or table.version == noted == checksums.newest_version(folder):
        return
    said = ""
    if checksums.newest_version(folder) > table.version:
        said = f"a newer version of {store} did not reach the disk"
    elif count := num_unusable(store, table, checksums.read(store)):
        said = f"{count:,} rows of {store} did not reach the disk"
    if said:
        raise errors.StoreError(
            f"{said}; nothing is written behind it", hint=schema.repair_hint(store)
        )


def num_unusable(store: Path, table: lance.LanceDataset, sums: Sums | None) -> int:
    """How many rows of the pieces that are not noted have a vector that points nowhere."""
    known = {} if sums is None else sums.files
    count = 0
    for fragment in table.get_fragments():
        if all(f"data/{file.path}" in known for file in fragment.data_files()):
            continue
        with schema.reading(store):
            for batch in fragment.to_batches(columns=["vector"]):
                count += len(unusable_rows(schema.matrix(batch["vector"])))
    return count


def open_version(store: Path, folder: Path, *, version: int | None = None) -> lance.LanceDataset:
    """Open a version of a store's table.

    Args:
        store: The store's folder.
        folder: The table's.
        version: Which; None for the newest.

    Raises:
        StoreError: It cannot be read, or is not the table of a store.
    """
    import lance

    with schema.reading(store):
        table = lance.dataset(str(folder.absolute()), version=version)
        # A manifest of zeros is a valid one, of a table without columns.
        if lacking := set(schema.BASE_COLUMNS) - set(table.schema.names):
            raise ValueError(f"it has no column {', '.join(sorted(lacking))}")
        return table


def _cut_files(table: lance.LanceDataset, folder: Path, sums: Sums) -> list[str]:
    """Files that nobody noted and that are absent or shorter than their version says."""
    found = []
    for fragment in table.get_fragments():
        for file in fragment.data_files():
            name, size = f"data/{file.path}", file.file_size_bytes
            if name in sums.files:
                continue
            try:
                is_cut = size is not None and os.path.getsize(folder / name) != size
            except OSError:
                is_cut = True
            found += [name] * is_cut
    return found
