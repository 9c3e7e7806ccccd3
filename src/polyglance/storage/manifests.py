"""Manifests: JSON with kind and schema version, sealed by a checksum, written last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.storage import manifest_fields, seals
from polyglance.storage.atomic import T, read_json, write_json

MANIFEST_HEAD = ("schema_version", "kind", seals.SEALED, seals.CHECKSUM)


def write_manifest(
    path: Path, content: Mapping[str, Any], *, kind: str, schema_version: int, seal: bool = False
) -> None:
    """Write a manifest, the last file of a folder, with its kind and schema version in front.

    Args:
        path: The manifest file.
        content: What else it says.
        kind: What the folder is: `store`, `pack`, ...
        schema_version: The version of its form, from 1.
        seal: Whether it says the checksums of the other files, which are on the disk for good then.
    """
    said = dict(content)
    if seal:
        said[seals.SEALED] = seals.of_folder(path.parent, manifest=path.name)
    write_json(path, manifest(said, kind=kind, schema_version=schema_version))


def change_manifest(path: Path, changes: Mapping[str, Any]) -> None:
    """Write a manifest of ours anew with some fields changed, over the files that are there now."""
    found = {**read_json(path), **changes}
    if seals.SEALED in found:
        found[seals.SEALED] = seals.of_folder(path.parent, manifest=path.name)
    write_json(path, {**found, seals.CHECKSUM: seals.checksum(found)})


def read_manifest(path: Path, *, kind: str, schema_version: int) -> dict[str, Any]:
    """Read a manifest and refuse what another kind or a newer version wrote, or what has changed.

    Args:
        path: The manifest file.
        kind: The kind expected.
        schema_version: The highest version that can be read.

    Returns:
        What `write_manifest` was given as `content`.

    Raises:
        UnavailableError: There is none: no such folder, or one that was never finished.
        StoreError: Of another kind or version; it or a file beside it is not what was written.
    """
    found = read_json(path)
    content = checked_manifest(found, place=path, kind=kind, schema_version=schema_version)
    seals.require_whole(path.parent, seals.noted_in(found, place=path))
    return content


def read_manifest_as(
    schema: type[T], path: Path, *, kind: str, schema_version: int, hint: str
) -> T:
    """As `read_manifest`, as what a dataclass says it is; see `manifest_fields`.

    Args:
        schema: The dataclass.
        path: The manifest file.
        kind: The kind expected.
        schema_version: The highest version that can be read.
        hint: What to do where it does not fit.
    """
    found = read_json(path)
    content = _content(found, place=path, kind=kind, schema_version=schema_version)
    # First, so that the field is named that somebody wrote by hand.
    read = manifest_fields.read(schema, content, place=path, hint=hint)
    seals.require_unchanged(found, place=path)
    seals.require_whole(path.parent, seals.noted_in(found, place=path))
    return read


def manifest(content: Mapping[str, Any], *, kind: str, schema_version: int) -> dict[str, Any]:
    """What a manifest says: kind and schema version in front of its content, its checksum last."""
    said = {"schema_version": schema_version, "kind": kind, **content}
    return {**said, seals.CHECKSUM: seals.checksum(said)}


def checked_manifest(
    found: Any, *, place: Path | str, kind: str, schema_version: int
) -> dict[str, Any]:
    """The content of a manifest that was read; see `read_manifest`.

    Args:
        found: What `manifest` made.
        place: Of what it tells, for the message.
        kind: The kind expected.
        schema_version: The highest version that can be read.
    """
    content = _content(found, place=place, kind=kind, schema_version=schema_version)
    seals.require_unchanged(found, place=place)
    return content


def _content(found: Any, *, place: Path | str, kind: str, schema_version: int) -> dict[str, Any]:
    given = found.get("kind") if isinstance(found, dict) else None
    if given != kind:
        raise errors.StoreError(
            f"{place} is of the kind {given!r}; a {kind} is expected here",
            hint=f"give the folder of a {kind}",
        )
    version = found.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= schema_version:
        raise errors.StoreError(
            f"{place} has schema version {version!r}; this program reads 1 to {schema_version}",
            hint="pip install --upgrade polyglance, or make the folder again",
        )
    return {name: value for name, value in found.items() if name not in MANIFEST_HEAD}
