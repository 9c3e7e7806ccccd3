"""Where things are: a user's cache and data, and packs and models by path or by a hub's name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from polyglance import errors

# What a hub calls a repository: owner/name.
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def cache_folder() -> Path:
    """The user's cache folder: the variable `POLYGLANCE_CACHE`, or `~/.cache/polyglance`.

    Raises:
        UnavailableError: Neither the variable nor a home folder says where it is.
    """
    return _folder_of("cache", "POLYGLANCE_CACHE", below=(".cache",))


def data_folder() -> Path:
    """The user's data folder: the variable `POLYGLANCE_DATA`, or `~/.local/share/polyglance`.

    Raises:
        UnavailableError: Neither the variable nor a home folder says where it is.
    """
    return _folder_of("data", "POLYGLANCE_DATA", below=(".local", "share"))


def _folder_of(kind: str, variable: str, *, below: tuple[str, ...]) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen)
    try:
        return Path.home().joinpath(*below, "polyglance")
    except RuntimeError as error:
        raise errors.UnavailableError(
            f"there is no home folder (HOME is not set), and so no {kind} folder",
            hint=f"name one: export {variable}=FOLDER",
        ) from error


def local_folder(location: str | Path, *, kind: str, marker: str) -> Path:
    """The folder that a path or a hub id names; from the hub it is fetched once and cached.

    Args:
        location: A path, or `owner/name`. A path that exists wins.
        kind: What is looked for, for the message: `language pack`.
        marker: The file by which such a folder is known.

    Raises:
        UnavailableError: No such folder, one without the marker, or the hub does not give it.
    """
    folder, fetched = Path(location), ""
    if not folder.exists() and HUB_ID.fullmatch(str(location)):
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(str(location)))
        except (OSError, ValueError) as error:
            said = f"{type(error).__name__}: {errors.first_line(error)}"
            fetched = f", and the hub did not give it ({said})"
    if not (folder / marker).is_file():
        raise errors.UnavailableError(
            f"there is no {kind} at {location} (no {marker} in it){fetched}",
            hint=f"give the folder of a {kind}, or a hub id (owner/name) and a network",
        )
    return folder
