"""Reading of media files ahead of a tower: bytes, content key, and what the tower takes."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from polyglance import errors
from polyglance.records import Decoded, MediaFile
from polyglance.sources import decoders
from polyglance.sources.webdataset import read_span
from polyglance.storage import digests

if TYPE_CHECKING:
    import pyarrow

KEY = re.compile(r"[0-9a-f]{32}")
Preprocess = Callable[[Any], Any]

ENCODE_ROWS = 64
# A file is read whole before it is decoded; no item that can be decoded has more.
MOST_BYTES = 1 << 30


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
    return read_span(file.path, file.span), before.st_mtime_ns


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
