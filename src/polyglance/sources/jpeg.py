"""JPEG files without their end mark: whether that is all they lack, and the pixels are whole.

Pillow refuses both alike. A decoder that is given any bytes behind the end of the pixels ignores
them, and takes them for pixels where some are missing: so a file is whole where different tails
give one image. That a progressive file has all of its scans is read from its segments.
"""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

START = b"\xff\xd8\xff"
END_MARK = b"\xff\xd9"
SCAN, PROGRESSIVE = 0xDA, (0xC2, 0xCA)
# Long enough that what is missing shows over many blocks; no byte of them begins a mark, and they
# differ from the first bit on.
TAILS, TAIL_BYTES = (b"\x00", b"\xfe", b"\x55"), 1 << 16
LAST_COEFFICIENT = 63
# A mark behind coded pixels: not a stuffed byte, not a restart.
_NEXT_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def without_end_mark(data: bytes) -> Image | None:
    """The image of a file that lacks only its end mark; None where more is missing.

    Args:
        data: Bytes that begin as a JPEG does.
    """
    whole = data.rstrip(b"\xff")
    if not _has_all_scans(whole):
        return None
    try:
        first, *others = (_decoded(whole + tail * TAIL_BYTES + END_MARK) for tail in TAILS)
    except OSError:
        return None
    pixels = first.tobytes()
    return first if all(other.tobytes() == pixels for other in others) else None


def _decoded(data: bytes) -> Image:
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(data))
    image.load()
    return image


def _has_all_scans(data: bytes) -> bool:
    """Whether each component of a progressive file has all coefficients to the last bit."""
    missing: dict[int, set[int]] = {}  # component to coefficients without their last bit
    progressive = False
    for marker, content in _segments(data):
        if marker in PROGRESSIVE:
            progressive = True
            components = content[6::3]
            missing = {component: set(range(LAST_COEFFICIENT + 1)) for component in components}
        elif marker == SCAN and len(content) >= 4:
            *named, first, last, bits = content[1:]
            if not bits & 0x0F:
                for component in named[::2]:
                    missing.get(component, set()).difference_update(range(first, last + 1))
    return not (progressive and any(missing.values()))


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marks and contents of the segments, as far as they go; coded pixels are passed over."""
    found, at = [], len(START) - 1
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == END_MARK[1]:
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == SCAN:
            behind = _NEXT_MARK.search(data, at)
            at = behind.start() if behind else len(data)
    return found
