"""Checksums of manifests: each one's own, and those of the files beside it.

A manifest of ours is the last file of its folder and says the SHA-256 of the others. A subfolder
with a manifest of its own is sealed by that one, and the outer one seals the inner manifest: each
file is read once. A manifest without checksums (an older one, or one whose `checksum` was taken out
since it was changed on purpose) is read as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.storage import digests, manifest_fields

CHECKSUM, SEALED = "checksum", "sealed"
INNER_MANIFEST = "tower.json"
# For people, who may add to it.
NOT_SEALED = ("README.md",)
LFS_HEAD = b"version https://git-lfs"


def checksum(content: Mapping[str, Any]) -> str:
    """Of what a manifest says, whatever the order and the layout of its lines.

    >>> checksum({"a": 1, "b": [2]}) == checksum({"b": [2], "a": 1})
    True
    """
    said = {name: value for name, value in content.items() if name != CHECKSUM}
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return digests.sha256(plain.encode())[:32]


def require_unchanged(found: Mapping[str, Any], *, place: Path | str) -> None:
    """Refuse a manifest that says something else than when it was written.

    Raises:
        StoreError: Its checksum is another.
    """
    if CHECKSUM in found and found[CHECKSUM] != checksum(found):
        raise errors.StoreError(
            f"{place} was changed or damaged since it was written: its checksum is "
            f"{checksum(found)}, and it says {found[CHECKSUM]}",
            hint=f"get it from a copy, or make it again; if you changed it on purpose, take the "
            f"line {CHECKSUM!r} out",
        )


@dataclass(frozen=True)
class _Seal:
    sealed: Mapping[str, str]


def noted_in(found: Mapping[str, Any], *, place: Path) -> Mapping[str, str]:
    """The checksums of files that a manifest says, by name.

    Raises:
        StoreError: It says something else there.
    """
    return manifest_fields.read(
        _Seal,
        {SEALED: found.get(SEALED, {})},
        place=place,
        hint="get the folder from a copy, or make it again",
    ).sealed


def of_folder(folder: Path, *, manifest: str) -> dict[str, str]:
    """The checksums of the files of a folder, which are on the disk for good when this returns.

    Args:
        folder: Whole but for its manifest.
        manifest: The manifest's name.
    """
    found = {}
    for path in _own_files(folder):
        if path != folder / manifest:
            found[path.relative_to(folder).as_posix()] = digests.sha256_of_file(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    return found


def require_whole(folder: Path, sealed: Mapping[str, str]) -> None:
    """Refuse a folder some file of which is not what its manifest was written over.

    Raises:
        StoreError: A file that is absent, cut, another one, or a pointer in its place.
    """
    for name, wanted in sealed.items():
        inside = (folder / name).resolve()
        if not inside.is_relative_to(folder.resolve()):
            raise errors.StoreError(
                f"{folder} says that it holds {name!r}, which lies outside",
                hint="do not load folders that you do not trust",
            )
        try:
            found = digests.sha256_of_file(inside)
        except OSError as error:
            raise errors.StoreError(
                f"{folder / name} cannot be read: {error.strerror or error}; its manifest needs it",
                hint="get the whole folder from a copy, or make it again",
            ) from error
        if found != wanted:
            raise errors.StoreError(
                f"{folder / name} is {_what_it_is(inside)}: its SHA-256 is {found[:16]}..., and "
                f"the manifest was written over {wanted[:16]}...",
                hint="get the file from a copy (git lfs pull, or download it again), or make the "
                "folder again",
            )


def _own_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            inner = path / INNER_MANIFEST
            if inner.is_file():
                yield inner
            else:
                yield from _own_files(path)
        elif path.name not in NOT_SEALED:
            yield path


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        is_pointer = file.read(len(LFS_HEAD)) == LFS_HEAD
    return "a pointer of Git LFS and not the file" if is_pointer else "not the file that was saved"
