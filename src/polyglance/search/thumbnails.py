"""Thumbnails: small JPEGs beside the index, named by content, without metadata.

`INDEX/thumbnails/ab/cdef....jpg`: named by the content key, so that copies share one and a changed
file never shows its old self. They are made while an image is decoded for the tower; what is
absent (an index made without, a file lost) is made when it is asked for.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.encoding import reading
from polyglance.records import Modality
from polyglance.sources import images
from polyglance.sources.webdataset import read_span
from polyglance.storage import atomic

if TYPE_CHECKING:
    from PIL.Image import Image

    from polyglance.search.index import Index, ItemFile

FOLDER = "thumbnails"
LONGEST_SIDE = 256  # pixels
JPEG_QUALITY = 75
JPEG_HEAD = b"\xff\xd8\xff"
# A thumbnail, or what a killed run left of one: each says its key.
NAME = re.compile(
    r"(?P<rest>[0-9a-f]{30})\.jpg|\.(?P<unfinished>[0-9a-f]{30})-[0-9a-f]{16}\.making"
)


def place_of(index: Path, key: str) -> Path:
    """Where the thumbnail of a content lies, whether it exists or not.

    Raises:
        StoreError: A key that is none: it would name another file.
    """
    reading.require_key(key, place=index)
    return Path(index) / FOLDER / key[:2] / f"{key[2:]}.jpg"


def make(image: Image) -> bytes:
    """An image as a small JPEG; one that is small already keeps its size.

    Args:
        image: Of mode RGB.
    """
    from PIL import Image as pil

    scale = LONGEST_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        # Boxes first, then a filter over twice the size: a third of the time of the filter alone.
        image = image.resize((width, height), pil.Resampling.BICUBIC, reducing_gap=2.0)
    if image.info:
        image = image.copy()
        image.info = {}  # Pillow would write comments and profiles again
    written = io.BytesIO()
    image.save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


# What can be shown small; of other items there is no thumbnail.
MAKERS: Mapping[Modality, Callable[[Any], bytes]] = MappingProxyType({"image": make})


def write(index: Path, key: str, item: Any, modality: Modality) -> None:
    """Make the thumbnail of a decoded item unless it is there.

    It is renamed into place but not synced: a power cut may cost it, and it is made again.

    Raises:
        OSError: As for a full disk.
    """
    place = place_of(index, key)
    if modality in MAKERS and not is_there(place):
        _put(place, MAKERS[modality](item))


def keep(index: Path, key: str, jpeg: bytes) -> None:
    """Put a thumbnail beside an index; where that cannot be written it is made again next time."""
    with contextlib.suppress(OSError, errors.DiskFullError):
        _put(place_of(index, key), jpeg)


def is_there(place: Path) -> bool:
    """Whether a thumbnail is there; an empty file, as a power cut leaves it, is none.

    Nor is a link: an index must not choose what else of this machine is shown.
    """
    try:
        found = os.lstat(place)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def read(place: Path) -> bytes | None:
    """The JPEG at a place; None where there is none, or something else."""
    if not is_there(place):
        return None
    try:
        data = place.read_bytes()
    except OSError:
        return None
    return data if data.startswith(JPEG_HEAD) else None


def sweep(index: Path, *, before: Collection[str], now: Collection[str]) -> int:
    """Remove thumbnails of content that no row has any more, and what killed runs left of them.

    Only files that the table says are ours: they are named by a key that it holds or held.

    Args:
        index: The index's folder.
        before: Content keys of its rows when this run began.
        now: Those of its rows now.

    Returns:
        How many files went.
    """
    ours, wanted, gone = {*before, *now}, set(now), 0
    for path in (Path(index) / FOLDER).glob("*/*"):
        named = NAME.fullmatch(path.name)
        if named is None:
            continue
        key = path.parent.name + (named["rest"] or named["unfinished"])
        if key in ours and (named["unfinished"] or key not in wanted):
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def thumbnail(index: Index, identity: str) -> bytes:
    """The JPEG of an item, made now if it is absent.

    Raises:
        InputError: The index has no such item.
        UnavailableError: There is no thumbnail, and the image is not there any more, or is
            another one by now.
    """
    file = index.file_of(identity)
    if (known := read(place_of(index.store.path, file.key))) is not None:
        return known
    jpeg = make(_decode(file, identity=identity))
    keep(index.store.path, file.key, jpeg)
    return jpeg


def _decode(file: ItemFile, *, identity: str) -> Image:
    """The image of an item, if it still is the one that was indexed."""
    try:
        data = read_span(Path(file.path), file.span)
    except OSError as error:
        raise errors.UnavailableError(
            f"the image of {identity!r} cannot be read: {error.strerror or error}",
            hint="run polyglance index again where its folder is at hand",
        ) from error
    if reading.content_key(data) != file.key:
        raise errors.UnavailableError(
            f"the image of {identity!r} has changed since it was indexed",
            hint="run polyglance index again",
        )
    return images.decode_image(data, name=identity)


def _put(place: Path, data: bytes) -> None:
    """Write a thumbnail whole; its folder is made when it turns out to be absent."""
    temporary = place.with_name(f".{place.stem}-{secrets.token_hex(8)}.making")
    with atomic.disk_errors(str(place)):
        try:
            try:
                temporary.write_bytes(data)
            except FileNotFoundError:
                place.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
            os.replace(temporary, place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
