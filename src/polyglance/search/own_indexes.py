"""Indexes in the user's data folder: where `index` writes without `--out`, and `search` looks.

    DATA/indexes/Pictures-1f0c9a/     keyed by the photo folder and the model
    DATA/indexes/last.txt             the name of the one that was made or brought up to date last

They are never inside the folder that is indexed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from polyglance import errors
from polyglance.model import shipped
from polyglance.model.shipped import absolute
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
    key = digests.of_parts(
        [str(real).encode("utf-8", "surrogateescape"), b"\0", absolute(model), _space_of(model)]
    )
    name = _ODD.sub("-", real.name.encode("utf-8", "replace").decode())[:40] or "disk"
    return found / f"{name}-{key[:8]}"


def _space_of(model: str) -> str:
    """The space of a model that ships: with other weights it gets an index of its own."""
    if not shipped.is_shipped(model):
        return ""
    from polyglance.model import dual_encoder  # most searches need no place

    return dual_encoder.read_facts(shipped.folder_of(model)).space_id


def note_last(index: Path) -> None:
    """Remember which of them `search` asks."""
    atomic.write_text(index.parent / LAST, f"{index.name}\n")


def last() -> Path:
    """The one that was made or brought up to date last.

    Raises:
        UnavailableError: There is none.
    """
    noted = folder() / LAST
    name = noted.read_text("utf-8").strip() if noted.is_file() else ""
    found = folder() / name
    if not name or found.parent != folder() or not (found / MANIFEST_NAME).is_file():
        raise errors.UnavailableError(
            "no index was named, and none was made yet that could be asked in its place",
            hint="polyglance index ~/Pictures makes one; --index INDEX names another",
        )
    return found
