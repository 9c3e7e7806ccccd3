"""Detection of a changed index on the disk, by what it is and not by its version number.

An index that is made anew in the same place counts its versions from 1 again. So a folder is known
by its manifest and its table: which files they are, and when the manifest was written.
"""

from __future__ import annotations

import os
from pathlib import Path

from polyglance import errors
from polyglance.storage.identity import MANIFEST_NAME, TABLE_NAME
from polyglance.storage.store import Store

Mark = tuple[int, ...]


class LostIndexError(errors.UnavailableError):
    """The index that is served is not there any more, or is another one."""


def mark(store: Store) -> Mark:
    """What is on the disk where a store was opened; one at an address of a storage has no mark.

    Raises:
        LostIndexError: There is nothing.
    """
    if store.address is not None:
        return ()
    try:
        manifest = os.stat(Path(store.path) / MANIFEST_NAME)
        table = os.stat(Path(store.path) / TABLE_NAME)
    except OSError as error:
        raise lost(f"{store.path} is not there any more: {error.strerror}") from error
    return manifest.st_ino, manifest.st_mtime_ns, manifest.st_size, table.st_dev, table.st_ino


def lost(what: str) -> LostIndexError:
    """The error of an index that cannot be served now."""
    return LostIndexError(
        what, hint="put it back, or stop the server and start it with the index that is there"
    )
