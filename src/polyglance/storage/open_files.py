"""The guard of a store's open files: opened, compared, noted, and still the same.

One guard a store in a folder; see `checksums` for what is noted, `versions` for what is
opened.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance import errors
from polyglance.storage import checksums, identity, versions

if TYPE_CHECKING:
    import lance

# A power cut costs a long run no more than so much.
NOTE_SECONDS = 60.0


class Guard:
    """The files of a store's table; see the module.

    Args:
        store: The store's folder.
        folder: Of its table.
        table_id: Which table that is, as the store's manifest says.
    """

    def __init__(self, store: Path, *, folder: Path, table_id: str) -> None:
        self._store, self._folder, self._table_id = store, folder, table_id
        self._check: checksums.Check | None = None
        self._noted_version: int | None = None
        self._noted_at = time.monotonic()
        self._read: set[str] = set()
        self._opened: tuple[object, ...] = ()

    def open(self) -> lance.LanceDataset:
        """Open the newest version that is whole, and begin to compare its files.

        Raises:
            UnavailableError: It is not there any more.
            StoreError: It cannot be read, is not what was noted, or is another store's.
        """
        # First, since the table may be ahead of what is noted, and never is behind.
        sums = checksums.read(self._store)
        try:
            table = versions.open_newest(self._store, self._folder, sums)
        except FileNotFoundError as error:
            raise self._vanished() from error
        except errors.StoreError:
            self._require_own_table()  # which says more than that it is not what was noted
            raise
        identity.require_same_table(table, self._table_id, store=self._store)
        self._check, self._opened = None, self._identity(table.version)
        self._noted_version = None if sums is None else sums.version
        if sums is not None:
            names = checksums.names_of(table, self._folder)
            unread = [name for name in names if name not in self._read]
            self._read.update(names)
            self._check = checksums.Check(self._store, self._folder, sums, unread)
        return table

    def require_whole(self) -> None:
        """Wait until the files are compared.

        Raises:
            StoreError: One is not what was noted.
        """
        if self._check is not None:
            self._check.require()

    def require_sound(self, table: lance.LanceDataset) -> None:
        """Refuse to write behind a version that did not reach the disk.

        Raises:
            StoreError: There is one.
        """
        versions.require_sound(self._store, self._folder, table, self._noted_version)

    def is_current(self) -> bool:
        """Whether what was opened or written last is the newest, and the same table still.

        Raises:
            UnavailableError: It is not there any more.
        """
        return self._identity() == self._opened

    def has_written(self, table: lance.LanceDataset) -> None:
        """See what the store itself has appended; noted now and then, since a run may be long."""
        self._opened = self._identity()
        if time.monotonic() - self._noted_at > NOTE_SECONDS:
            self.note(table)

    def note(self, table: lance.LanceDataset) -> None:
        """Make what was written last through a power cut, and note its checksums."""
        if table.version != self._noted_version:
            sums = checksums.note(self._store, table, folder=self._folder)
            self._noted_version = sums.version
            self._read.update(sums.files)
        self._noted_at = time.monotonic()

    def _require_own_table(self) -> None:
        """Refuse a table that is another store's, as far as it says so at all."""
        try:
            table = versions.open_version(self._store, self._folder)
        except errors.StoreError:
            return
        identity.require_same_table(table, self._table_id, store=self._store)

    def _identity(self, version: int | None = None) -> tuple[object, ...]:
        """Which table lies in the folder now: its newest version, or the one that is given."""
        try:
            version = version or checksums.newest_version(self._folder)
            return (version, *checksums.identity(self._store, self._folder, version))
        except OSError as error:
            raise self._vanished() from error

    def _vanished(self) -> errors.UnavailableError:
        return errors.UnavailableError(
            f"the store {self._store} is not there any more: its table is gone",
            hint=f"put its {identity.TABLE_NAME} back; or delete what is left ({self._store}) "
            "and run polyglance index again; or give it another --out",
        )
