"""Encoding of media files into a store: skip, copy a vector, encode, or set aside.

Legend: D width.

Threads read, hash, decode and preprocess ahead of the tower (`reading.read_ahead`); `MediaRun`
takes what they bring, has it encoded in batches, and appends less often than it encodes, since
every append is a version of the table.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polyglance import errors
from polyglance.encoding import reading
from polyglance.encoding.engines import BatchEncoder
from polyglance.encoding.reading import Look, ReadItem, read_item
from polyglance.encoding.runs import (
    EmbedReport,
    bar_of,
    compact_if_scattered,
    facts_of,
    require_tower,
    set_aside,
)
from polyglance.records import MediaFile, Output, Quarantined
from polyglance.sources.formats import FORMATS
from polyglance.storage.store import Store
from polyglance.towers import Tower
from polyglance.vectors import Vectors, unusable_rows

# An append comes after so many rows or seconds: a kill costs at most that, and a million items
# make a thousand versions, not sixteen thousand.
APPEND_ROWS = 1024
APPEND_SECONDS = 30.0


class MediaRun:
    """One run over item files; its caller is the store's writer.

    Args:
        store: With `media_columns()`.
        tower: Encodes what is new.
        num_threads: Batches that are encoded at once at most.
        look: Is shown what has to be read a second time.

    Attributes:
        quarantined: What was set aside.
        num_new: Rows added, or replaced by changed content.
        known_keys: Content that has a vector: content key to an id of the table that has it.
    """

    def __init__(
        self, store: Store, tower: Tower, *, num_threads: int = 1, look: Look | None = None
    ) -> None:
        self.quarantined: list[Quarantined] = []
        self.num_new = 0
        self._store, self._tower, self._look = store, tower, look
        names = ["id", "key", "path", "size", "mtime_ns"]
        if lacking := sorted(set(names[2:]) - set(store.extra_columns)):
            raise errors.StoreError(
                f"the store {store.path} lacks the columns {', '.join(lacking)}; a store of items "
                "has path, size and mtime_ns",
                hint="give a new folder; open_media_store makes the columns",
            )
        table = store.columns(names)
        self._key_of = dict(zip(table["id"], table["key"], strict=True))
        self.known_keys = dict(zip(table["key"], table["id"], strict=True))
        marks = zip(table["path"], table["size"], table["mtime_ns"], strict=True)
        self._mark_of = dict(zip(table["id"], marks, strict=True))
        output = store.facts.output
        self._encoder = BatchEncoder(
            tower, output=output, dim=store.facts.dim, num_threads=num_threads
        )
        self._to_encode: dict[str, ReadItem] = {}  # by key: distinct content
        self._encoding: deque[tuple[list[str], Future[Vectors]]] = deque()  # their keys
        self._on_way: set[str] = set()  # all of these
        self._rows: list[ReadItem] = []  # to be written, with the vector of their key
        self._vector_of: dict[str, Vectors] = {}  # encoded since the last append
        self._bad: dict[str, str] = {}  # content without a usable vector
        self._last_append = time.monotonic()
        self._writing = False

    def is_unchanged(self, item: MediaFile) -> bool:
        """Whether the row of a file has its path, size and time."""
        mark = self._mark_of.get(item.id)
        if mark is None:
            return False
        try:
            now = os.stat(item.path)
        except OSError:
            return False
        size = now.st_size if item.span is None else item.span[1]
        return bool(mark == (os.path.abspath(item.path), size, now.st_mtime_ns))

    def take(self, read: ReadItem) -> None:
        """Take one file; encodes and appends when there is enough."""
        if read.reason is not None:
            self.quarantined.append(Quarantined(read.file.id, read.reason))
            return
        if self._is_new(read.key):
            if read.item is None and read.key not in self._to_encode:
                # Its content was known when it was read; the row that had it has changed since.
                prepare = self._tower.preprocess
                self.take(read_item(read.file, preprocess=prepare, known_keys=(), look=self._look))
                return
            self._to_encode.setdefault(read.key, read)
        self._rows.append(replace(read, item=None))  # pixels are held until they are encoded
        full = len(self._rows) >= APPEND_ROWS
        if full or len(self._to_encode) >= reading.ENCODE_ROWS:
            # Before an append all of it: copies of what waits for the tower would wait with it.
            self._encode()
        if full:
            self._settle()
        late = time.monotonic() - self._last_append > APPEND_SECONDS
        if full or (late and self._vector_of):
            self._append()

    def finish(self) -> None:
        """Encode and append what is left."""
        self._encode()
        self._settle()
        self._append()

    def keep_encoded(self) -> None:
        """Append what has a vector, after something went wrong elsewhere than in an append.

        Batches that are being encoded are waited for: their threads cannot be stopped.
        """
        self._encoder.close()
        self._encoding = deque(
            (keys, found)
            for keys, found in self._encoding
            if not found.cancelled() and not found.exception()
        )
        self._settle()
        if not self._writing:
            self._append()

    def close(self) -> None:
        """End the threads that encode."""
        self._encoder.close()

    def _has_vector(self, key: str) -> bool:
        return key in self.known_keys or key in self._vector_of

    def _is_new(self, key: str) -> bool:
        """Whether nobody has begun to encode a content."""
        return not (self._has_vector(key) or key in self._on_way or key in self._bad)

    def _encode(self) -> None:
        """Hand the batch to the tower, when it has room for another."""
        if not self._to_encode:
            return
        batch, self._to_encode = self._to_encode, {}
        self._on_way.update(batch)
        items = [read.item for read in batch.values()]
        self._encoding.append((list(batch), self._encoder.submit(items)))
        self._settle(num_left=self._encoder.num_ahead)

    def _settle(self, *, num_left: int = 0) -> None:
        """Take what was encoded, all but so many batches; content without a vector is noted."""
        while len(self._encoding) > num_left:
            keys, found = self._encoding[0]
            vectors = found.result()  # (B, D)
            self._encoding.popleft()
            bad = unusable_rows(vectors)
            for b, key in enumerate(keys):
                if b in bad:
                    self._bad[key] = f"the tower gave a vector of {bad[b]}"
                else:
                    self._vector_of[key] = vectors[b]
            self._on_way.difference_update(keys)

    def _append(self) -> None:
        """Write the rows that have a vector; those whose content has none are set aside."""
        self._writing = True
        ready = [read for read in self._rows if self._has_vector(read.key)]
        for read in self._rows:
            if read.key in self._bad:
                self.quarantined.append(Quarantined(read.file.id, self._bad[read.key]))
        vector_of = self._vectors_of({read.key for read in ready})
        further = set(self._store.extra_columns) - {"path", "size", "mtime_ns"}
        new = [read for read in ready if read.file.id not in self._key_of]
        old = [read for read in ready if read.file.id in self._key_of]
        for rows, write in ((new, self._store.append), (old, self._store.replace)):
            if rows:
                write(
                    [read.file.id for read in rows],
                    [read.key for read in rows],
                    vectors=np.stack([vector_of[read.key] for read in rows]),  # (B, D)
                    extra={
                        "path": [read.path for read in rows],
                        "size": [read.size for read in rows],
                        "mtime_ns": [read.mtime_ns for read in rows],
                        **{name: [read.seen.get(name) for read in rows] for name in further},
                    },
                )
        for read in ready:
            self._note(read)
        waiting = self._to_encode.keys() | self._on_way
        self._rows = [read for read in self._rows if read.key in waiting]
        self._vector_of.clear()
        self._last_append = time.monotonic()
        self._writing = False

    def _vectors_of(self, keys: Collection[str]) -> Mapping[str, Vectors]:
        """Vectors by key: of this batch, or from the table before any of its rows is replaced."""
        copied = [key for key in keys if key not in self._vector_of]
        stored = self._store.vectors([self.known_keys[key] for key in copied])
        return {**self._vector_of, **dict(zip(copied, stored, strict=True))}

    def _note(self, read: ReadItem) -> None:
        """Note the row that was just written."""
        identity, before = read.file.id, self._key_of.get(read.file.id)
        if before != read.key:
            self.num_new += 1
            if before is not None and self.known_keys.get(before) == identity:
                del self.known_keys[before]
        self._key_of[identity] = read.key
        self.known_keys[read.key] = identity


def open_media_store(
    path: Path,
    tower: Tower,
    *,
    output: Output = "embedding",
    extra_facts: Mapping[str, Any] | None = None,
) -> Store:
    """Open the store of an item tower's vectors, or make it; as `Store.open_or_create`.

    Raises:
        ConfigError: The tower looks up what was encoded elsewhere.
    """
    tower.require_encoder()
    dim = tower.dim if output == "embedding" else tower.pre_projection_dim or tower.dim
    return Store.open_or_create(
        path,
        facts_of(tower, output=output, dim=dim),
        extra_columns=reading.media_columns(),
        extra_facts=extra_facts,
    )


def embed_media(
    items: Sequence[MediaFile],
    tower: Tower,
    *,
    store: Store,
    num_threads: int = 2,
    look: Look | None = None,
    wait_seconds: float = 0.0,
) -> EmbedReport:
    """Encode the items that a store lacks; reading and preprocessing run ahead in threads.

    A file whose path, size and time are those of its row is not even opened. One whose content is
    known under any id is not encoded again. An id whose content changed gets a new row in the place
    of the old; where the changed file cannot be read, the old row stays.

    Args:
        items: N files with distinct ids.
        tower: Of their modality; its `preprocess` runs in the threads.
        store: Of this tower, as `open_media_store` makes it.
        num_threads: How many read ahead, and how many batches are encoded at once, 1 or more.
        look: Is shown each file that is read, and fills further columns of the store.
        wait_seconds: How long to wait for another process that is writing the store.

    Returns:
        Counts of files; what could not be read is set aside, and the others go on.

    Raises:
        InputError: An id twice, or a file of another modality.
        StoreError: The store is another tower's, lacks a column, or is being written by another.
        DiskFullError: No room; what was appended stays.
    """
    require_tower(store, tower)
    noun = FORMATS[tower.modality].noun
    if other := next((item for item in items if item.modality != tower.modality), None):
        raise errors.InputError(
            f"{other.id} is of the modality {other.modality}; the tower reads {tower.modality}",
            hint="give files that the tower reads, or another tower",
        )
    if len({item.id for item in items}) != len(items):
        twice, count = Counter(item.id for item in items).most_common(1)[0]
        raise errors.InputError(
            f"the {noun} id {twice!r} was given {count} times; ids are unique",
            hint=f"give each {noun} once",
        )
    with store.writing(wait_seconds=wait_seconds):
        run = MediaRun(store, tower, num_threads=num_threads, look=look)
        changed = [item for item in items if not run.is_unchanged(item)]
        ahead = reading.read_ahead(
            changed,
            preprocess=tower.preprocess,
            known_keys=run.known_keys,
            num_threads=num_threads,
            look=look,
        )
        with bar_of(f"{noun}s", total=len(changed)) as advance, closing(run), closing(ahead):
            try:
                for read in ahead:
                    run.take(read)
                    advance(1)
                run.finish()
            except BaseException:
                # Ctrl-C as well: what was encoded is kept, unless the write itself was hit.
                run.keep_encoded()
                raise
        set_aside(store, run.quarantined, tried=[item.id for item in items])
        compact_if_scattered(store)
    return EmbedReport(
        new=run.num_new,
        known=len(items) - run.num_new - len(run.quarantined),
        quarantined=tuple(run.quarantined),
    )
