"""What was sent? Texts made clean, pictures decoded within bounds."""

from __future__ import annotations

import io
import unicodedata

from polyglance import errors
from polyglance.serve.limits import Limits
from polyglance.sources import images


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


def check_picture(data: bytes, *, limits: Limits) -> None:
    """Refuse a picture of too many pixels by its header, before memory is asked for.

    What is broken further on is refused where it is decoded.

    Args:
        data: Its bytes, already bounded.
        limits: Of its pixels.

    Raises:
        InputError: It is too large, or no picture of a form that is read.
    """
    from PIL import Image

    try:
        formats = images.open_formats(data[: images.HEAD_BYTES])
        with Image.open(io.BytesIO(data), formats=formats) as opened:
            width, height = opened.size
    except errors.InputError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise errors.InputError(
            "the picture cannot be read", hint=f"send one of {', '.join(images.FORMATS)}"
        ) from error
    if width * height > limits.picture_pixels:
        raise errors.InputError(
            f"a picture of {width:,} x {height:,} pixels; {limits.picture_pixels:,} in all are "
            "allowed",
            hint="send a smaller copy",
        )
