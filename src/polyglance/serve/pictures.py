"""Delivery of pictures: files of the index and nothing else.

An id is looked up among the rows and never becomes part of a path. The file of its row must lie
inside the indexed folder once all links are followed, and hold the very content that was indexed.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.encoding import media
from polyglance.search import thumbnails
from polyglance.sources.webdataset import read_span
from polyglance.storage.store import Store

# The first bytes of what is indexed, and what a browser is told; nothing else is sent.
MEDIA_TYPES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
# What browsers do not show is sent as bytes to keep; the page falls back to the thumbnail.
OTHER = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of the file of an item."""

    key: str
    path: str
    size: int
    offset: int | None


def media_type(data: bytes) -> str:
    """What a picture's bytes are.

    >>> media_type(b"GIF89a"), media_type(b"<svg>")
    ('image/gif', 'application/octet-stream')
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] == b"ftypavif":
        return "image/avif"
    return next((name for head, name in MEDIA_TYPES if data.startswith(head)), OTHER)


class Pictures:
    """Files and thumbnails of an index, by id; safe to use from several threads.

    Args:
        store: The index's.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._rows: dict[str, Row] | None = None

    def refresh(self) -> None:
        """Look at the rows again when they are asked for next."""
        with self._lock:
            self._rows = None

    def row(self, identity: str) -> Row:
        """What is known of an item.

        Raises:
            InputError: The index has no such item.
        """
        with self._lock:
            if self._rows is None:
                self._rows = self._read()
            found = self._rows.get(identity)
        if found is None:
            raise _unknown(identity)
        return found

    def picture(self, identity: str) -> tuple[bytes, str]:
        """The file of an item as it was indexed, and its media type.

        Raises:
            InputError: The index has no such item.
            UnavailableError: Its file is gone, has changed, or lies outside the indexed folder.
        """
        row = self.row(identity)
        path = self._inside(row, identity)
        try:
            data = (
                path.read_bytes() if row.offset is None else read_span(path, (row.offset, row.size))
            )
        except OSError as error:
            raise _gone(identity, error.strerror or str(error)) from error
        if media.content_key(data) != row.key:
            raise _gone(identity, "it has changed since it was indexed")
        return data, media_type(data)

    def thumbnail(self, identity: str) -> bytes | None:
        """The small JPEG of an item as it lies beside the index; None where it has to be made.

        Raises:
            InputError: The index has no such item.
        """
        return thumbnails.read(thumbnails.place_of(self.store.path, self.row(identity).key))

    def keep(self, identity: str, jpeg: bytes) -> None:
        """Put the small JPEG of an item beside the index, if that can be written."""
        thumbnails.keep(self.store.path, self.row(identity).key, jpeg)

    def _inside(self, row: Row, identity: str) -> Path:
        """Where a row's file is, links followed, if that is inside the indexed folder."""
        if not row.path:
            raise _gone(identity, "the index holds its vector only")
        root = os.path.realpath(str(self.store.extra_facts.get("folder", "")))
        if os.path.isfile(root) and not root.endswith(".tar"):
            root = os.path.dirname(root)  # a table of downloads, beside its files
        real = os.path.realpath(row.path)
        if not os.path.isfile(real):
            raise _gone(identity, "there is no such file any more")
        if os.path.commonpath([root, real]) != root:
            raise _gone(identity, "it lies outside the indexed folder")
        if row.offset is None and os.path.getsize(real) != row.size:
            raise _gone(identity, "it has changed since it was indexed")
        return Path(real)

    def _read(self) -> dict[str, Row]:
        names = ["id", "key", "path", "size"]
        with_offset = "offset" in self.store.extra_columns
        there = {"path", "size"} <= set(self.store.extra_columns)
        if not there:  # vectors of others
            return {identity: Row("", "", 0, None) for identity in self.store.ids()}
        table = self.store.columns([*names, *(["offset"] if with_offset else [])])
        offsets = table.get("offset", [None] * len(table["id"]))
        rows = zip(table["key"], table["path"], table["size"], offsets, strict=True)
        return {
            identity: Row(key, path or "", size or 0, offset)
            for identity, (key, path, size, offset) in zip(table["id"], rows, strict=True)
        }


def _unknown(identity: str) -> errors.InputError:
    shown = identity if len(identity) <= 80 else identity[:80] + "..."
    return errors.InputError(f"the index has no item {shown!r}", hint="take ids from a search")


def _gone(identity: str, reason: str) -> errors.UnavailableError:
    return errors.UnavailableError(
        f"the picture of {identity!r} cannot be served: {reason}",
        hint="run polyglance index again where its folder is at hand",
    )
