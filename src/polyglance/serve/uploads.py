"""Validation of what was sent: texts cleaned, and images too slow to decode refused early."""

from __future__ import annotations

import re
import unicodedata

from polyglance import errors
from polyglance.serve.limits import Limits

MOST_SCANS = 100
MOST_SCANNED_PIXELS = 1_000_000_000
MOST_PARTS = 50_000  # a photo has some twenty, with the profiles of every program it met
# A marker of a JPEG: not a byte of data that is stuffed, not a restart, not filling.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9


def clean(text: str, *, limits: Limits) -> str:
    r"""A query without what nobody types: control characters become spaces.

    Marks that join or direct letters stay: emoji, Persian and mixed directions need them.

    Raises:
        InputError: Nothing is left, it is too long, or no Unicode.

    >>> clean(" a\x00b\n", limits=Limits())
    'a b'
    """
    if len(text) > limits.text_characters:
        raise errors.InputError(
            f"a text of {len(text):,} characters; {limits.text_characters:,} are allowed",
            hint="ask with fewer words",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise errors.InputError("text that is no valid Unicode", hint="mend it") from error
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    found = " ".join(text.split())
    if not found:
        raise errors.InputError("an empty query", hint="ask for something")
    return found


def check_scans(data: bytes) -> None:
    """Refuse a JPEG of more passes over its pixels than anybody's camera makes.

    A progressive one has some ten. One of thousands that say nothing is small, and every one of
    them is a walk over all pixels.

    Args:
        data: A file; one that is no JPEG passes.

    Raises:
        InputError: There are too many.
    """
    scans, pixels = scans_of(data)
    if scans > MOST_SCANS or scans * pixels > MOST_SCANNED_PIXELS:
        raise errors.InputError(
            f"a JPEG of {scans} scans or more over {pixels:,} pixels; {MOST_SCANS} scans are "
            f"allowed, and {MOST_SCANNED_PIXELS:,} pixels in all of them",
            hint="save it again as a plain JPEG",
        )


def scans_of(data: bytes) -> tuple[int, int]:
    """Scans and pixels of a JPEG by its markers, counted up to one too many; 0 where it is none.

    Raises:
        InputError: It has parts without end.

    >>> scans_of(b"GIF89a")
    (0, 0)
    """
    scans = pixels = parts = 0
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while scans <= MOST_SCANS and (found := _MARKER.search(data, at)):
        marker, at = found[0][-1], found.end()
        parts += 1
        if parts > MOST_PARTS:
            raise errors.InputError(
                f"a JPEG of more than {MOST_PARTS:,} parts", hint="save it again as a plain JPEG"
            )
        length = int.from_bytes(data[at : at + 2], "big")
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (3, 5))
            pixels = max(pixels, height * width)
        elif marker == _SCAN:
            scans += 1
        elif marker == _END:
            break
        at += max(length, 2)
    return scans, pixels
