"""Indexes in the user's data folder: where `index` writes without `--out`, and `search` looks.

    DATA/indexes/Pictures-1f0c9a/     keyed by the photo folder, the model and its space
    DATA/indexes/last.txt             the name of the one that was made or brought up to date last

They are never inside the folder that is indexed.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from polyglance import errors
from polyglance.model.shipped import MODEL_FILE, absolute, folder_of
from polyglance.storage import atomic, digests, locations
from polyglance.storage.identity import MANIFEST_NAME

LAST = "last.txt"
_ODD = re.compile(r"[^\w.-]+")


def folder() -> Path:
    """Where they are.

    Raises:
        UnavailableError: There is no data folder.
    """
    return locations.data_folder() / "indexes"


def place_of(source: Path, *, model: str) -> Path:
    """The index of a folder by a model, there or to be made.

    Args:
        source: What is indexed, however its path is written.
        model: Reference of a dual encoder.

    Raises:
        OutputError: The data folder is inside the folder that is to be indexed.
        UnavailableError: There is no data folder.
    """
    real = Path(os.path.realpath(source))
    found = folder()
    if Path(os.path.realpath(found)).is_relative_to(real):
        raise errors.OutputError(
            f"indexes are kept in {found}, which is inside of {source}",
            hint="name a place for the index: --out INDEX; or another data folder: "
            "export POLYGLANCE_DATA=FOLDER",
        )
    path = str(real).encode("utf-8", "surrogateescape")
    key = digests.of_parts([path, b"\0", absolute(model), b"\0", _space_of(model)])
    name = _ODD.sub("-", real.name.encode("utf-8", "replace").decode())[:40] or "disk"
    return found / f"{name}-{key[:8]}"


def _space_of(model: str) -> str:
    """The space that a model's folder names; one that is trained anew gets an index of its own."""
    try:
        return str(atomic.read_json(folder_of(model) / MODEL_FILE)["space_id"])
    except (errors.PolyglanceError, OSError, KeyError, TypeError):
        return ""  # a model of a library; or one that cannot be read, which is said where it loads


def note_last(index: Path) -> None:
    """Remember which of them `search` asks."""
    atomic.write_text(index.parent / LAST, f"{index.name}\n")


def last() -> Path:
    """The one that was made or brought up to date last.

    Raises:
        UnavailableError: There is none.
    """
    noted = folder() / LAST
    name = noted.read_text("utf-8", "replace").strip() if noted.is_file() else ""
    found = folder() / name
    if name and found.parent == folder() and _is_index(found):
        return found
    others = sorted(str(place) for place in folder().glob("*") if _is_index(place))
    if others:
        raise errors.UnavailableError(
            f"no index was named, and the last one that was made is gone; {folder()} holds "
            f"{', '.join(Path(one).name for one in errors.few(others))}",
            hint=f"name one: --index {shlex.quote(others[0])}",
        )
    raise errors.UnavailableError(
        "no index was named, and none was made yet that could be asked in its place",
        hint="polyglance index ~/Pictures makes one; --index INDEX names another",
    )


def _is_index(place: Path) -> bool:
    return (place / MANIFEST_NAME).is_file()
