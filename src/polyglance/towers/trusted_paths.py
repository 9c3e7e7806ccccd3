"""Folders that a pack or a model may name: those that the user has named before.

A pack is a folder from anywhere. One that names `/home/you/...` as its tower would have whatever
lies there opened and read. So a manifest may name what is inside its own folder (`tiny:./tower`),
a model of the hub, and a path only if the user of this machine wrote a pack or model with that path
(the cache folder remembers), or allows it: POLYGLANCE_TOWER_FOLDERS=/models:/more/models.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PureWindowsPath

from polyglance import errors
from polyglance.storage import locations

VARIABLE = "POLYGLANCE_TOWER_FOLDERS"
NOTES = "tower-folders.txt"


def is_path(location: str) -> bool:
    """Whether a location is a place of this machine and no name that means the same everywhere.

    >>> [is_path(each) for each in ("/models/clip", "../clip", "~/clip", "openai/clip")]
    [True, True, True, False]
    """
    parts = location.replace("\\", "/").split("/")
    return (
        location.startswith(("/", "~", "\\"))
        or ".." in parts
        or bool(PureWindowsPath(location).drive)
    )


def note(location: str) -> None:
    """Remember a path that the user's own pack or model names; a name is passed over."""
    if not is_path(location) or _is_allowed(location):
        return
    place = locations.cache_folder() / NOTES
    # Where nothing can be remembered, it is asked for when the pack is loaded.
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8") as file:
            file.write(f"{_real(location)}\n")


def require_allowed(location: str, *, named_by: Path) -> None:
    """Refuse a path that a manifest names and nobody here has named.

    Args:
        location: Of a tower, or of a file that an option names.
        named_by: The folder whose manifest names it.

    Raises:
        StoreError: Says how to allow it.
    """
    if is_path(location) and not _is_allowed(location):
        raise errors.StoreError(
            f"{named_by} names a tower outside of itself, {location}; a folder that comes from "
            "elsewhere may name its own files and models of the hub",
            hint=f"if you trust it: {VARIABLE}={Path(location).parent} polyglance ...",
        )


def _is_allowed(location: str) -> bool:
    real = _real(location)
    given = filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))
    if any(real.is_relative_to(_real(each)) for each in given):
        return True
    try:
        noted = (locations.cache_folder() / NOTES).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return str(real) in noted


def _real(location: str) -> Path:
    return Path(os.path.realpath(os.path.expanduser(location)))
