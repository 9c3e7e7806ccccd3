"""Places of checkpoints: in which folder a reference's files lie; no library is imported."""

from __future__ import annotations

from pathlib import Path

from polyglance.towers import TowerReference
from polyglance.towers.libraries.packaged import conversion, table
from polyglance.towers.runtime import checkpoints


def folder_of(reference: TowerReference) -> Path | None:
    """Where a checkpoint lies: a path, the folder of a packaged tower, or the hub's snapshot.

    Returns:
        The folder; None of towers that are no checkpoint of transformers or sentence-transformers.

    Raises:
        UnavailableError: Where it cannot be had.
        MissingExtraError: Where the package that carries it is absent.
        UnknownNameError: For a packaged tower that there is not.
    """
    location = reference.location
    if reference.library == "packaged":
        is_checkpoint = table.row_of(location).reader == table.SENTENCE_READER
        return conversion.folder_of(location) if is_checkpoint else None
    if reference.library not in ("hf", "sentence"):
        return None
    if (
        reference.library == "sentence"
        and location.lower() in table.PACKAGED
        and not Path(location).is_dir()
    ):
        return conversion.folder_of(location)
    return checkpoints.find_folder(location, revision=reference.options.get("revision"))
