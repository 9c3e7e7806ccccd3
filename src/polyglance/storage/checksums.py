"""Checksums of a store's table, noted once its files are on the disk for good.

`checksums.json` names a version of the table and every file that it consists of. It is written
after those were synced, so that what it names outlives a power cut; a newer version that it does
not name yet is a killed writer's. Files of a table never change, so each is read once when it is
noted. When a store is opened, all sizes are compared, and the bytes of the smallest files up to
`READ_BYTES` in all, in a thread beside whatever else is loaded (CRC-32, 1.8 GB/s a core): an index
of 60,000 x 768 is read whole, of a larger one the manifest and all but the largest atomic.
`check-index` reads everything.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance import errors
from polyglance.storage import atomic, manifests, schema
from polyglance.storage.manifest_fields import Count

if TYPE_CHECKING:
    import lance

NAME, KIND, SCHEMA_VERSION = "checksums.json", "store-checksums", 1
READ_BYTES = 256 * 2**20
CHUNK_BYTES = 1 << 20
VERSIONS = "_versions"
# Lance names the manifest of a version so that the newest comes first.
_LAST = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What is noted of a table.

    Attributes:
        version: Which version.
        files: By name within the table: size in bytes, and CRC-32.
    """

    version: Count
    files: Mapping[str, tuple[Count, Count]]


@dataclass(frozen=True)
class Damage:
    """A file of a table that is not what was noted.

    Attributes:
        name: Within the table.
        reason: What is wrong with it.
    """

    name: str
    reason: str


def read(store: Path) -> Sums | None:
    """What is noted of a store; None where nothing is, as of one that an older version wrote.

    Raises:
        StoreError: The note itself is damaged.
    """
    if not (store / NAME).is_file():
        return None
    return manifests.read_manifest_as(
        Sums,
        store / NAME,
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        hint=schema.repair_hint(store),
    )


def note(store: Path, table: lance.LanceDataset, *, folder: Path) -> Sums:
    """Sync the files of a table's version, then note their checksums.

    Args:
        store: The store's folder.
        table: As it was just written.
        folder: Of the table.
    """
    before = read(store)
    known = {} if before is None else before.files
    found, synced = {}, set()
    for name in names_of(table, folder):
        if name in known:
            found[name] = known[name]
        else:
            found[name] = (os.path.getsize(folder / name), crc_of(folder / name, sync=True))
            synced.add((folder / name).parent)
    for each in (*sorted(synced), folder):
        atomic.sync_folder(each)
    sums = Sums(version=table.version, files=found)
    listed = {name: list(both) for name, both in found.items()}
    content = {"version": sums.version, "files": listed}
    manifests.write_manifest(store / NAME, content, kind=KIND, schema_version=SCHEMA_VERSION)
    return sums


def names_of(table: lance.LanceDataset, folder: Path) -> list[str]:
    """The files of a table's open version, by their names within its folder."""
    found = [manifest_name(folder, table.version)]
    for fragment in table.get_fragments():
        found += [f"data/{file.path}" for file in fragment.data_files()]
        if deletions := fragment.deletion_file():
            found.append(deletions)
    for index in table.describe_indices():
        for segment in index.segments:
            inside = folder / "_indices" / str(segment.uuid)
            found += [f"_indices/{segment.uuid}/{one.name}" for one in sorted(inside.glob("*"))]
    return found


def manifest_name(folder: Path, version: int) -> str:
    """Of a version, within the table's folder."""
    name = f"{VERSIONS}/{_LAST - version:020}.manifest"
    older = f"{VERSIONS}/{version}.manifest"
    return older if (folder / older).exists() else name


def newest_version(folder: Path) -> int:
    """The number of the newest version whose manifest lies in a table's folder; 0 for none.

    Raises:
        OSError: There is no such folder.
    """
    found = [0]
    for name in os.listdir(folder / VERSIONS):
        stem, _, ending = name.partition(".")
        if ending == "manifest" and stem.isdigit():
            found.append(version_of(stem))
    return max(found)


def version_of(stem: str) -> int:
    """The version whose manifest is called so."""
    return _LAST - int(stem) if len(stem) == 20 else int(stem)


def identity(store: Path, folder: Path, version: int) -> tuple[object, ...]:
    """Which table this is, whatever its version is called: another one in its place differs.

    Raises:
        OSError: It is not there.
    """
    there, written = os.stat(store), os.stat(folder / manifest_name(folder, version))
    which = [(each.st_dev, each.st_ino) for each in (there, written)]
    return (*which, written.st_mtime_ns, written.st_size)


def crc_of(path: Path, *, sync: bool = False) -> int:
    """The CRC-32 of a file's bytes."""
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found = zlib.crc32(chunk, found)
        if sync:
            os.fsync(file.fileno())
    return found


def damages(
    folder: Path, sums: Sums, names: Iterable[str], *, limit_bytes: float = float("inf")
) -> list[Damage]:
    """What is wrong with files of a table.

    Args:
        folder: The table's.
        sums: What is noted; files that it does not name are passed over.
        names: Which atomic.
        limit_bytes: So much is read, the smallest files first; of the others sizes alone.
    """
    found, budget = [], limit_bytes
    noted = sorted((sums.files[name], name) for name in set(names) & set(sums.files))
    for (size, crc), name in noted:
        try:
            given = os.path.getsize(folder / name)
            if given != size:
                found.append(Damage(name, f"{given:,} bytes in the place of {size:,}"))
                continue
            budget -= size
            if budget >= 0 and crc_of(folder / name) != crc:
                found.append(Damage(name, "other bytes than were written"))
        except FileNotFoundError:
            found.append(Damage(name, "absent"))
        except OSError as error:
            found.append(Damage(name, error.strerror or str(error)))
    return found


def refuse(store: Path, found: list[Damage]) -> None:
    """Refuse a table with damaged atomic.

    Raises:
        StoreError: Names the first, and the command that repairs.
    """
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise errors.StoreError(
            f"the table of {store} is damaged: {found[0].name} is {found[0].reason}{more}",
            hint=schema.repair_hint(store),
        )


class Check:
    """A table's files compared with what is noted, in a thread of its own.

    Args:
        store: The store's folder.
        folder: The table's.
        sums: What is noted.
        names: The files of the version that is open.
    """

    def __init__(self, store: Path, folder: Path, sums: Sums, names: Iterable[str]) -> None:
        self._store, self._folder, self._sums = store, folder, sums
        self._names = set(names)
        self._found: list[Damage] = []
        self._thread: threading.Thread | None = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._found = damages(self._folder, self._sums, self._names, limit_bytes=READ_BYTES)

    def require(self) -> None:
        """Wait for it, and refuse what is damaged.

        Raises:
            StoreError: As `refuse`.
        """
        thread = self._thread
        if thread is not None:
            thread.join()
            self._thread = None
        refuse(self._store, self._found)
