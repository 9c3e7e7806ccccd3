"""Folders of the cache that are made once: under a lock, whole or not at all, checked when read.

Who needs such a folder asks for it with a function that fills it. Two processes at once make it
once; one that is half written or damaged is made again. It is known by the sizes and times of its
files, which costs nothing; where those differ (it was copied), its checksums decide.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.storage import atomic, leftovers, locks, manifest_fields, manifests, seals

MANIFEST = "made.json"
# Longer than anything takes that is made so; who waits then says who is at work.
WAIT_SECONDS = 900.0


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is made once.

    Attributes:
        place: The folder; its name says from what it is made, and in which form.
        kind: Of the manifest.
        schema_version: Of what `fill` gives.
        what: What is done, for who waits for it: "the graph of X is made once".
        num_bytes: What it takes on the disk, at most; 0 where nobody knows.
    """

    place: Path
    kind: str
    schema_version: int
    what: str
    num_bytes: int = 0


@dataclass(frozen=True)
class _File:
    bytes: manifest_fields.Count
    mtime_ns: manifest_fields.Count


@dataclass(frozen=True)
class _Files:
    files: Mapping[str, _File]


def folder(made: Made, fill: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """What the manifest of a folder says, which is made where it is absent or damaged.

    Args:
        made: What and where.
        fill: Writes the files into an empty folder; gives what the manifest says.

    Raises:
        StoreError: Another process has been making it for too long.
        DiskFullError: No room; nothing is left then.
        OutputError: The cache may not be written.
    """
    if (found := read(made)) is not None:
        return found
    try:
        return _locked(made, fill)
    except OSError as error:
        doing = f"{made.what}, in {made.place}"
        raise errors.of_system(error, doing=doing) from error


def _locked(made: Made, fill: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    with atomic.disk_errors(str(made.place)):
        made.place.parent.mkdir(parents=True, exist_ok=True)
        lock = locks.FolderLock(
            made.place.with_name(f"{made.place.name}.lock"), owner=str(made.place)
        )
        with lock.hold(wait_seconds=WAIT_SECONDS):
            found, damage = _look(made)
            if damage:
                progress.say(f"{made.place} is made again: {damage}")
            return _make(made, fill) if found is None else found


def read(made: Made) -> dict[str, Any] | None:
    """What the manifest says; None where the folder must be made: absent, or damaged."""
    return _look(made)[0]


def _look(made: Made) -> tuple[dict[str, Any] | None, str]:
    """What the manifest says, or None; and how the folder is damaged, where it is."""
    path = made.place / MANIFEST
    if not path.is_file():
        return None, ""
    try:
        found = atomic.read_json(path)
        said = manifests.checked_manifest(
            found, place=path, kind=made.kind, schema_version=made.schema_version
        )
        files = {"files": said.pop("files", None)}
        noted = manifest_fields.read(_Files, files, place=path, hint="delete the folder").files
        if not all(_seen(made.place / name) == file for name, file in noted.items()):
            seals.require_whole(made.place, seals.noted_in(found, place=path))
    except errors.PolyglanceError as error:
        return None, error.message
    return said, ""


def _make(made: Made, fill: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    # Who holds the lock is the only writer: what others left is dead, however young it is.
    leftovers.sweep(made.place, grace_seconds=0)
    _require_room(made)
    progress.say(f"{made.what}, in {made.place}")
    # The cache is ours, and the name says what is in it: whatever stands there is replaced.
    with atomic.folder_in_one_step(made.place, marker=lambda _: True) as making:
        said = dict(fill(making))
        seen = {
            path.relative_to(making).as_posix(): vars(_seen(path))
            for path in sorted(making.rglob("*"))
            if path.is_file()
        }
        manifests.write_manifest(
            making / MANIFEST,
            {**said, "files": seen},
            kind=made.kind,
            schema_version=made.schema_version,
            seal=True,
        )
    return said


def _require_room(made: Made) -> None:
    """Refuse a disk on which the folder has no room, before any work."""
    free = shutil.disk_usage(made.place.parent).free
    if free < made.num_bytes:
        raise errors.DiskFullError(
            f"{made.what}, which takes {made.num_bytes / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB "
            f"are free in {made.place.parent}",
            hint="free some space, or move the cache: export POLYGLANCE_CACHE=FOLDER",
        )


def _seen(path: Path) -> _File:
    """Size and time of a file; of one that is absent no file's."""
    try:
        stat = path.stat()
    except OSError:
        return _File(0, 0)
    return _File(stat.st_size, stat.st_mtime_ns)
