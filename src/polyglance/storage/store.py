"""The store of vectors: a Lance table of id, content key and vector, with a fingerprint.

Legend: N rows, D width.

A store is a folder: `vectors.lance` (columns `id`, `key`, `vector` and those that the store was
created with) and `store.json`, written last, which says whose vectors these are and, by an id, of
which table: another one in its place is refused. One tower and one output a store. An `append` is
one Lance version: all of its rows are there, or none. A `Store` reads the version it opened until
`refresh()` or the next `writing()`.

The table says whose vectors it holds, too. So what goes to object storage is the table alone, and
it is opened by its address, to be read: locks and what lies beside it need a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyglance import errors
from polyglance.storage import atomic, creation, digests, locks, open_files, table_reading
from polyglance.storage import (
    identity as store_identity,
)
from polyglance.storage import (
    schema as store_schema,
)
from polyglance.storage.identity import (
    LOCK_NAME,
    MANIFEST_NAME,
    TABLE_NAME,
    StoreFacts,
    StoreManifest,
)
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    import lance
    import pyarrow


# `compact` keeps what readers of another process may have open for so long.
KEEP_SECONDS = 3600.0


class Store:
    """An open store; see the module. Make one with `create`, `open` or `open_or_create`.

    Attributes:
        path: The folder; of one that was opened by its address, a path that no file can have.
        address: Where it was opened, if that is no folder.
        facts: Whose vectors these are.
        extra_facts: What its maker noted beside.
    """

    def __init__(self, path: Path, said: StoreManifest, *, address: str | None = None) -> None:
        self.path = path
        self.address = address
        self.facts = said.of_vectors
        self.extra_facts = said.facts
        self._table_id = said.table_id
        self._lock = locks.FolderLock(path / LOCK_NAME, owner=f"the store {path}")
        self._positions: dict[str, int] | None = None
        self._guard = open_files.Guard(path, folder=path / TABLE_NAME, table_id=said.table_id)
        self._dataset = self._open_dataset()

    @classmethod
    def create(
        cls,
        path: Path,
        facts: StoreFacts,
        *,
        extra_columns: Mapping[str, pyarrow.DataType] | None = None,
        extra_facts: Mapping[str, Any] | None = None,
    ) -> Store:
        """Make an empty store.

        Args:
            path: The folder; made where it is absent. What an interrupted `create` left in it is
                made anew.
            facts: Whose vectors it will hold.
            extra_columns: More columns, name to Arrow type.
            extra_facts: Whatever else the manifest is to say, as JSON.

        Raises:
            StoreError: There is a store already, or one without its manifest, or another process is
                making it.
            ConfigError: A column name that is taken, or a width below 1.
        """
        creation.create(
            Path(path), facts, extra_columns=extra_columns or {}, extra_facts=extra_facts or {}
        )
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open a store that exists.

        Args:
            path: Its folder, or an address that Lance knows (`s3://`, `gs://`, `az://`, `file://`),
                of the folder or of the table; what that storage wants to know is in the
                environment.

        Raises:
            UnavailableError: There is none, or it cannot be reached.
            StoreError: It is damaged or lacks its manifest, is of another schema version, or has
                another store's table.
        """
        if store_identity.is_address(path):
            address = str(path)
            said = store_identity.noted_at(address)
            return cls(Path(os.devnull, address), said, address=address)
        path = Path(path).absolute()  # the folder that is meant now, wherever the process goes
        if not (path / MANIFEST_NAME).exists():
            store_identity.require_no_table(path)
            raise errors.UnavailableError(
                f"there is no store at {path} (no {MANIFEST_NAME} in it)",
                hint="check the path; polyglance index makes an index, polyglance embed a store",
            )
        return cls(path, store_identity.read(path / MANIFEST_NAME))

    @classmethod
    def open_or_create(
        cls,
        path: Path,
        facts: StoreFacts,
        *,
        extra_columns: Mapping[str, pyarrow.DataType] | None = None,
        extra_facts: Mapping[str, Any] | None = None,
    ) -> Store:
        """Open the store of these facts, or make it where there is none; as `create` and `open`.

        Raises:
            StoreError: It holds vectors of another tower, output or width, lacks a column, or is
                of another schema version.
            SpaceMismatchError: It belongs to another space.
        """
        path = Path(path)
        if not (path / MANIFEST_NAME).exists():
            try:
                return cls.create(path, facts, extra_columns=extra_columns, extra_facts=extra_facts)
            except errors.StoreError:
                if not (path / MANIFEST_NAME).exists():
                    raise
                # Another process has made it in between.
        store = cls.open(path)
        store.require(facts)
        if lacking := sorted(set(extra_columns or {}) - set(store.extra_columns)):
            raise errors.StoreError(
                f"the store {path} has no column {', '.join(lacking)}; it has: "
                f"{', '.join(store._dataset.schema.names)}",
                hint="give another folder, or delete this one and embed again",
            )
        return store

    def require(self, facts: StoreFacts) -> None:
        """Refuse facts that are not this store's.

        Raises:
            SpaceMismatchError: Another space.
            StoreError: Another tower, modality, output or width.
        """
        store_identity.require_same(self.facts, facts, place=self.path)

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    @property
    def table(self) -> lance.LanceDataset:
        """The Lance table as it is open, for who searches it; written to within `writing` alone.

        Raises:
            StoreError: A file of it is not what was written.
        """
        self._guard.require_whole()
        return self._dataset

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """The names of the columns beyond id, key and vector."""
        return tuple(self._dataset.schema.names[3:])

    @property
    def is_current(self) -> bool:
        """Whether nothing was written since this was opened, and it is the same table still.

        As far as is known: of a storage that does not answer, yes.

        Raises:
            UnavailableError: It is not there any more.
        """
        if self.address is None:
            return self._guard.is_current()
        return table_reading.is_newest(self._dataset, self.address)

    @property
    def num_fragments(self) -> int:
        """In how many pieces the table lies; `compact` makes it one."""
        return len(self._dataset.get_fragments())

    def ids(self) -> list[str]:
        """The ids, in the order of the rows."""
        return self.columns(["id"])["id"]

    def keys(self, ids: Sequence[str] | None = None) -> list[str]:
        """The content keys, in the order of the rows, or of some `ids` that the table has."""
        keys = self.columns(["key"])["key"]
        return keys if ids is None else [keys[self._row_of()[identity]] for identity in ids]

    def columns(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Columns by name, in the order of the rows; for vectors see `vectors` and `blocks`.

        Raises:
            UnknownNameError: A column that the table does not have.
        """
        allowed = [name for name in self._dataset.schema.names if name != "vector"]
        for name in names:
            if name not in allowed:
                raise errors.unknown_name("column", name, allowed=allowed)
        with self._reading():
            return table_reading.columns(self.table, names)

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that the table lacks, in their order, each once."""
        held = self._row_of()
        return [identity for identity in dict.fromkeys(ids) if identity not in held]

    def vectors(self, ids: Sequence[str] | None = None) -> Vectors:
        """Vectors as one array.

        Args:
            ids: Which rows, in which order, repeats allowed; None for all, in the order of rows.

        Returns:
            float32 (N, D), as they were appended: not normalised.

        Raises:
            StoreError: An id that the table lacks.
        """
        if ids is None:
            with self._reading():
                return table_reading.all_vectors(self.table, dim=self.facts.dim)
        held = self._row_of()
        if unknown := [identity for identity in ids if identity not in held]:
            raise errors.StoreError(
                f"the store {self.path} lacks {len(unknown)} of {len(ids)} ids, first "
                f"{unknown[0]!r}",
                hint="embed them first",
            )
        rows = np.fromiter((held[identity] for identity in ids), dtype=np.int64, count=len(ids))
        with self._reading():
            return table_reading.vectors_at(self.table, rows, dim=self.facts.dim)

    def blocks(self, rows: int = table_reading.READ_ROWS) -> Iterator[tuple[list[str], Vectors]]:
        """The table piece by piece, with memory for a few pieces.

        Args:
            rows: Rows of a piece; the last one may be shorter.

        Yields:
            Ids and float32 (rows, D).
        """
        with self._reading():
            yield from table_reading.blocks(self.table, rows)

    def data_id(self) -> str:
        """Which content is in the table, whatever its order, ids or tower: a hash of its keys."""
        return digests.of_parts(f"{key}\n" for key in sorted(self.keys()))

    def fingerprint(self) -> str:
        """Which vectors these are: tower, output and content together."""
        parts = (self.facts.fingerprint, self.facts.output, self.data_id())
        return digests.of_parts(["\n".join(parts)])

    def refresh(self) -> None:
        """See what others have written since this was opened."""
        self._positions = None
        self._dataset = self._open_dataset()

    @contextmanager
    def writing(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Be the only writer; `append`, `replace`, `delete` and `compact` do it by themselves.

        Args:
            wait_seconds: How long to wait for another writer; 0 refuses at once.

        Raises:
            StoreError: Another process or thread is writing; names it.
        """
        if self.address is not None:
            raise errors.StoreError(
                f"{self.address} can be read only", hint="write in a folder, then copy its table"
            )
        nested = self._lock.held
        with self._lock.hold(wait_seconds=wait_seconds):
            if not nested:
                if self._dataset.latest_version != self._dataset.version:
                    self.refresh()
                self._guard.require_sound(self._dataset)
            try:
                with atomic.disk_errors(f"the store {self.path}"):
                    yield
                    if not nested:
                        self._guard.note(self._dataset)
            except BaseException:
                # Whether the write in flight was committed is not known: look again.
                if not nested:
                    self.refresh()
                raise

    def note_facts(self, extra_facts: Mapping[str, Any] | None = None) -> None:
        """Have the table say whose vectors it holds, where it does not.

        Args:
            extra_facts: All that is noted beside from now on, as when a folder was moved.
        """
        changed = extra_facts is not None and dict(extra_facts) != dict(self.extra_facts)
        with self.writing():
            self.extra_facts = dict(extra_facts if extra_facts is not None else self.extra_facts)
            content = store_identity.content(self.facts, self.extra_facts, table_id=self._table_id)
            if store_identity.note(self._dataset, content, again=changed):
                self.refresh()
            if changed:
                store_identity.write(self.path / MANIFEST_NAME, content)

    def append(
        self,
        ids: Sequence[str],
        keys: Sequence[str],
        *,
        vectors: Vectors,
        extra: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Add rows: all of them, or none.

        Args:
            ids: N ids that the table lacks (ask `missing` first).
            keys: N content keys.
            vectors: float32 (N, D), finite, no row of length 0; need not be unit-norm.
            extra: The values of the extra columns, N each.

        Raises:
            VectorError: Vectors that cannot be used; names the first bad rows.
            InputError: Counts that differ, columns missing or unknown, values of the wrong type.
            StoreError: An id twice, or in the table already; another writer.
            DiskFullError: No room; what was there stays.
        """
        import lance

        table = store_schema.table_of(
            ids, keys, vectors=vectors, extra=extra or {}, schema=self._dataset.schema
        )
        with self.writing():
            held = self._row_of()
            if known := [identity for identity in ids if identity in held]:
                raise errors.StoreError(
                    f"{len(known)} of {len(ids)} ids are in the store {self.path} already, first "
                    f"{known[0]!r}",
                    hint="append only what missing(ids) returns, or use replace",
                )
            if not len(ids):
                return
            self._dataset = lance.write_dataset(table, self._dataset, mode="append")
            self._guard.has_written(self._dataset)
            for identity in ids:
                held[identity] = len(held)

    def replace(
        self,
        ids: Sequence[str],
        keys: Sequence[str],
        *,
        vectors: Vectors,
        extra: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        """Put rows in the place of those with the same ids, in one step; new ids are added.

        Replaced rows move to the end of the table. Arguments and errors as for `append`, except
        that ids may be in the table.
        """
        table = store_schema.table_of(
            ids, keys, vectors=vectors, extra=extra or {}, schema=self._dataset.schema
        )
        with self.writing():
            if len(ids):
                merge = self._dataset.merge_insert("id").when_matched_update_all()
                merge.when_not_matched_insert_all().execute(table)
                self.refresh()

    def delete(self, ids: Sequence[str]) -> int:
        """Take rows out; ids that the table lacks are passed over.

        Returns:
            How many rows went.
        """
        with self.writing():
            held = self._row_of()
            rows = [held[identity] for identity in dict.fromkeys(ids) if identity in held]
            if rows:
                # By row id, not by name: an id may hold any character, a quote for one.
                found = self._dataset.to_table(columns=[], with_row_id=True)["_rowid"]
                listed = ", ".join(str(row) for row in found.take(rows).to_pylist())
                self._dataset.delete(f"_rowid IN ({listed})")
                self.refresh()
            return len(rows)

    def compact(self, *, keep_seconds: float = KEEP_SECONDS) -> None:
        """Make one piece of many small ones, and free what old versions hold.

        Args:
            keep_seconds: Versions younger than this stay readable for who has them open.
        """
        with self.writing():
            self._dataset.optimize.compact_files()
            # No other writer is there, so files that no version names are a killed one's.
            self._dataset.cleanup_old_versions(
                older_than=timedelta(seconds=keep_seconds), delete_unverified=True
            )
            self.refresh()

    def _reading(self) -> AbstractContextManager[None]:
        return store_schema.reading(self.address or self.path)

    def _row_of(self) -> dict[str, int]:
        """Id to row of the open version; kept, since resuming asks for it block by block."""
        if self._positions is None:
            self._positions = {identity: row for row, identity in enumerate(self.ids())}
        return self._positions

    def _open_dataset(self) -> lance.LanceDataset:
        return self._guard.open() if self.address is None else table_reading.open_at(self.address)
