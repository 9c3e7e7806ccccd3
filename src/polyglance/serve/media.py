"""Delivery of images: files of the index and nothing else.

An id is looked up among the rows and never becomes part of a path. The file of its row must lie
inside the indexed folder once all links are followed, and hold the very content that was indexed.
"""

from __future__ import annotations

import os
from pathlib import Path

from polyglance import errors
from polyglance.encoding import reading
from polyglance.search import thumbnails
from polyglance.search.index import Index, ItemFile
from polyglance.sources.webdataset import read_span

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


def media_type(data: bytes) -> str:
    """What an image's bytes are.

    >>> media_type(b"GIF89a"), media_type(b"<svg>")
    ('image/gif', 'application/octet-stream')
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] == b"ftypavif":
        return "image/avif"
    return next((name for head, name in MEDIA_TYPES if data.startswith(head)), OTHER)


class ItemFiles:
    """Files and thumbnails of an index, by id; safe to use from several threads.

    Args:
        index: Open.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def key(self, identity: str) -> str:
        """The key of an item's content.

        Raises:
            InputError: The index has no such item.
        """
        return self._index.file_of(identity).key

    def picture(self, identity: str) -> tuple[bytes, str]:
        """The file of an item as it was indexed, and its media type.

        Raises:
            InputError: The index has no such item.
            UnavailableError: Its file is gone, has changed, or lies outside the indexed folder.
        """
        row = self._index.file_of(identity)
        path = self._inside(row, identity)
        try:
            data = read_span(path, row.span)
        except OSError as error:
            raise _gone(identity, error.strerror or str(error)) from error
        if reading.content_key(data) != row.key:
            raise _gone(identity, "it has changed since it was indexed")
        return data, media_type(data)

    def thumbnail(self, identity: str) -> bytes | None:
        """The small JPEG of an item as it lies beside the index; None where it has to be made.

        Raises:
            InputError: The index has no such item.
        """
        return thumbnails.read(thumbnails.place_of(self._index.store.path, self.key(identity)))

    def keep(self, identity: str, jpeg: bytes) -> None:
        """Put the small JPEG of an item beside the index, if that can be written."""
        thumbnails.keep(self._index.store.path, self.key(identity), jpeg)

    def _inside(self, row: ItemFile, identity: str) -> Path:
        """Where a row's file is, links followed, if that is inside the indexed folder."""
        if not row.path:
            raise _gone(identity, "the index holds its vector only")
        root = os.path.realpath(str(self._index.store.extra_facts.get("folder", "")))
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


def _gone(identity: str, reason: str) -> errors.UnavailableError:
    return errors.UnavailableError(
        f"the image of {identity!r} cannot be served: {reason}",
        hint="run polyglance index again where its folder is at hand",
    )
