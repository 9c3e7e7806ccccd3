"""Reading of item files for a store: skip, copy a vector, encode, or set aside.

Legend: D width.

Threads read, hash, decode and preprocess ahead of the tower (`read_ahead`); `MediaRun` takes what
they bring, has it encoded in batches, and appends less often than it encodes, since every append
is a version of the table.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from polyglance import errors
from polyglance.encoding.batches import BatchEncoder
from polyglance.records import Decoded, MediaFile, Quarantined
from polyglance.sources import decoders
from polyglance.sources.webdataset import read_span
from polyglance.storage import digests
from polyglance.storage.store import Store
from polyglance.towers import Tower
from polyglance.vectors import Vectors, unusable_rows

if TYPE_CHECKING:
    import pyarrow

KEY = re.compile(r"[0-9a-f]{32}")
Preprocess = Callable[[Any], Any]

ENCODE_ROWS = 64
# A file is read whole before it is decoded; no item that can be decoded has more.
MOST_BYTES = 1 << 30
# An append comes after so many rows or seconds: a kill costs at most that, and a million items
# make a thousand versions, not sixteen thousand.
APPEND_ROWS = 1024
APPEND_SECONDS = 30.0


class Look(Protocol):
    """A callback that sees each file while its bytes are in memory, in the reading threads."""

    def __call__(
        self, file: MediaFile, *, data: bytes, decoded: Decoded | None, key: str
    ) -> Mapping[str, Any]:
        """Look at one file.

        Args:
            file: Which.
            data: Its bytes.
            decoded: What they hold; None where the content was known and not decoded.
            key: The content key.

        Returns:
            Values of further columns of the store; a column that is not named gets None.
        """
        ...


def media_columns() -> dict[str, pyarrow.DataType]:
    """The columns that a store of items needs beyond its own."""
    import pyarrow as pa

    return {"path": pa.string(), "size": pa.int64(), "mtime_ns": pa.int64()}


@dataclass(frozen=True, slots=True)
class ReadItem:
    """A file that was read.

    Attributes:
        file: Which.
        size: Its bytes.
        mtime_ns: When it was last changed.
        key: Its content key.
        item: What goes to the tower; None where the content was known, or could not be read.
        reason: Why it could not be read.
        seen: Values of further columns.
    """

    file: MediaFile
    size: int = 0
    mtime_ns: int = 0
    key: str = ""
    item: Any = None
    reason: str | None = None
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The absolute path, as the table holds it."""
        return os.path.abspath(self.file.path)


def read_item(
    file: MediaFile,
    *,
    preprocess: Preprocess,
    known_keys: Collection[str],
    look: Look | None = None,
) -> ReadItem:
    """Read one file, and decode it unless its content is known.

    Args:
        file: Which.
        preprocess: From a decoded item to what the tower takes.
        known_keys: Content that needs no decoding.
        look: Is shown the file.

    Returns:
        What was read, or why it was not.
    """
    try:
        data, mtime_ns = _read(file)
    except UnicodeEncodeError:
        return ReadItem(file, reason="its name is not valid UTF-8")
    except OSError as error:
        return ReadItem(file, reason=error.strerror or str(error))
    key = content_key(data)
    item = decoded = None
    if key not in known_keys:
        try:
            decoded = decoders.decode(data, name=file.id, modality=file.modality)
            item = preprocess(decoded.item)
        except errors.InputError as error:
            return ReadItem(file, reason=error.message)
        except (ValueError, ArithmeticError, MemoryError) as error:  # for an odd shape
            return ReadItem(file, reason=f"preprocessing failed: {errors.first_line(error)}")
    seen = {} if look is None else look(file, data=data, decoded=decoded, key=key)
    return ReadItem(file, len(data), mtime_ns, key, item, seen=seen)


def _read(file: MediaFile) -> tuple[bytes, int]:
    """The bytes of a file, and when it was last changed.

    Raises:
        UnicodeEncodeError: The table cannot hold its name.
        OSError: It cannot be read, or should not: a pipe would be waited for.
    """
    os.path.abspath(file.path).encode("utf-8")
    before = os.stat(file.path)  # before reading: a change during it shows next time
    if not stat.S_ISREG(before.st_mode):
        raise OSError("it is no file any more")
    size = before.st_size if file.span is None else file.span[1]
    if size > MOST_BYTES:
        raise OSError(f"it has {size:,} bytes; {MOST_BYTES:,} are read at most")
    data = read_span(file.path, file.span) if file.span else Path(file.path).read_bytes()
    return data, before.st_mtime_ns


def content_key(data: bytes) -> str:
    """The content key of a file's bytes."""
    return digests.of_parts([data])


def require_key(key: str, *, place: Path | str) -> None:
    """Refuse what is no content key, wherever a key becomes a part of a path.

    Args:
        key: 32 hexadecimal digits, as `content_key` makes them.
        place: Which index has it, for the message.

    Raises:
        StoreError: It is something else.
    """
    if not KEY.fullmatch(key):
        raise errors.StoreError(
            f"a row of {place} has the key {key[:80]!r}; a key is 32 hexadecimal digits",
            hint="the index is damaged, or was made to do harm: polyglance check-index says more",
        )


def read_ahead(
    items: Sequence[MediaFile],
    *,
    preprocess: Preprocess,
    known_keys: Collection[str],
    num_threads: int,
    look: Look | None = None,
) -> Generator[ReadItem, None, None]:
    """Read files in threads, in order, at most a batch ahead of who takes them.

    Args:
        items: Which.
        preprocess: See `read_item`.
        known_keys: Looked at while it grows.
        num_threads: How many, 1 or more.
        look: Is shown each file.

    Yields:
        What was read. Closing the iterator ends the threads.
    """
    executor = ThreadPoolExecutor(max_workers=num_threads, thread_name_prefix="read-items")
    read = partial(read_item, preprocess=preprocess, known_keys=known_keys, look=look)
    waiting: deque[Future[ReadItem]] = deque()
    rest = iter(items)
    try:
        while True:
            for item in islice(rest, ENCODE_ROWS + num_threads - len(waiting)):
                waiting.append(executor.submit(read, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


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
        if full or len(self._to_encode) >= ENCODE_ROWS:
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
