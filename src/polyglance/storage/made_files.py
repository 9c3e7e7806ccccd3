"""Folders made for other tools: a manifest names each file with its size and SHA-256.

The files are in the form of others and carry no sign of ours, so only the manifest tells them from
a user's own files of the same form. What it does not name, or names otherwise, is not ours: such a
folder is never replaced. Other tools look for `.json` and `.csv`; the manifest is neither.

Source: mteb 2, `mteb/cache/result_cache.py` (reads `**/*.json`); LAION-AI/CLIP_benchmark,
`clip_benchmark/cli.py` (`build` reads `*.json`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.storage import atomic, digests, leftovers, manifest_fields, manifests

MANIFEST = "polyglance.manifest"
KIND, SCHEMA_VERSION = "files-made", 1
_HINT = "name another place"
# Of the 255 that file systems take, so that there is room for endings and marks of work in hand.
MOST_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class _Made:
    bytes: manifest_fields.Count
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    form: str
    files: Mapping[str, _Made]


def short_name(name: str) -> str:
    """A name made of other names, cut where no file could be called so; a digest tells such apart.

    >>> short_name("a_b"), len(short_name("a" * 300)), short_name("a" * 300)[-12:]
    ('a_b', 200, 'aaa-a5de59a0')
    """
    raw = name.encode()
    if len(raw) <= MOST_BYTES:
        return name
    end = f"-{digests.of_parts([name], num_bytes=4)}"
    return raw[: MOST_BYTES - len(end)].decode(errors="ignore") + end


def write(folder: Path, texts: Mapping[str, str], *, form: str) -> list[Path]:
    """Write files and their manifest as a folder; what is there goes when the new one is whole.

    Args:
        folder: New, empty, or one that holds nothing but what its manifest names.
        texts: By path below the folder.
        form: What the files are, for whoever reads the manifest.

    Returns:
        The files, without the manifest.

    Raises:
        OutputError: The folder holds something else.
        DiskFullError: No room; what is there stays.
    """
    made = {}
    with atomic.folder_in_one_step(folder, marker=is_own) as making:
        for name, text in texts.items():
            (making / name).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(making / name, text)
            data = (making / name).read_bytes()
            made[name] = {"bytes": len(data), "sha256": digests.sha256(data)}
        manifests.write_manifest(
            making / MANIFEST,
            {"form": form, "files": made},
            kind=KIND,
            schema_version=SCHEMA_VERSION,
        )
    return [folder / name for name in texts]


def is_own(folder: Path) -> bool:
    """Whether a folder has a manifest of ours and holds nothing that it does not name."""
    return not stranger(folder)


def stranger(folder: Path) -> str:
    """Something in a folder that was not made here or that has changed, in a clause; else empty."""
    if not os.path.lexists(folder / MANIFEST):
        return f"no {MANIFEST} says that polyglance made it"
    try:
        made = manifests.read_manifest_as(
            _Manifest, folder / MANIFEST, kind=KIND, schema_version=SCHEMA_VERSION, hint=_HINT
        ).files
    except errors.PolyglanceError as error:
        return error.message
    kept = {parent for name in made for parent in Path(name).parents}
    for path in _below(folder):
        place, name = folder / path, path.as_posix()
        if name == MANIFEST or leftovers.is_temporary(path.name):
            continue
        if place.is_symlink() or (name not in made and path not in kept):
            return f"its {MANIFEST} does not name {name}"
        if name in made and not _is_unchanged(place, made[name]):
            return f"{name} was changed since polyglance wrote it"
    return ""


def _below(folder: Path) -> Iterator[Path]:
    """All files, folders and links of a folder by their path in it; no link is followed."""
    for place, folders, names in os.walk(folder):
        for name in sorted((*folders, *names)):
            yield (Path(place) / name).relative_to(folder)


def _is_unchanged(path: Path, made: _Made) -> bool:
    if not path.is_file() or path.stat().st_size != made.bytes:
        return False
    return digests.sha256_of_file(path) == made.sha256
