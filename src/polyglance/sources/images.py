"""Safe decoding of image files: to RGB, upright, with when and where they were taken.

Decoding never trusts a file: only the formats listed here are tried (Pillow would start Ghostscript
for an EPS named `.jpg`), the size in the header is looked at before memory is asked for, and a file
that stops early is refused instead of being filled up with grey.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from polyglance import errors
from polyglance.records import Decoded, Taken
from polyglance.sources import jpeg
from polyglance.sources.exif import DAMAGED, taken_of
from polyglance.sources.formats import HEAD_BYTES, HEIC_INSTALL, is_heic

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "MPO", "AVIF")
# A quarter of a GiB as RGB; the number at which Pillow begins to warn. Pillow itself refuses twice
# as much, whatever is asked here.
MAX_PIXELS = 89_478_485
# A JPEG may have so many times more: it is read at a half, a quarter or an eighth of its sides.
JPEG_FACTOR = 3
EXIF_ORIENTATION = 0x0112
# EXIF orientation to the operation of PIL.Image.Transpose that undoes it: 0 and 1 mirror left-right
# and top-bottom; 2, 3, 4 turn by 90, 180, 270 degrees anticlockwise; 5 transposes, 6 transverses.
UNDO_ORIENTATION = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
WHITE = (255, 255, 255, 255)
# One JPEG above the limit at a time: a progressive one takes up to 6 bytes a pixel meanwhile.
_one_large = threading.Lock()


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode one image to RGB; see `decode`."""
    image: Image = decode(data, name=name, max_pixels=max_pixels).item
    return image


def decode(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode one image to RGB as a person would see it.

    EXIF rotation is applied; of an animation the first frame is taken; transparency is laid on
    white; 16-bit grey is scaled to 8 bits, other deep grey from its own darkest to its brightest.

    Args:
        data: The bytes of the file.
        name: What to call it in messages.
        max_pixels: Width x height above which the header alone leads to refusal; of a JPEG, so
            many are decoded at most, and `JPEG_FACTOR` times as many are allowed.

    Returns:
        A PIL image of mode RGB, with time and place.

    Raises:
        InputError: Empty, of no known format, cut short, damaged or too large; says which.
    """
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    if not data:
        raise _unreadable(name, "zero bytes")
    try:
        with _opened(io.BytesIO(data), head=data[:HEAD_BYTES]) as image:
            large = _bound(image, name=name, max_pixels=max_pixels)
            with _one_large if large else nullcontext():
                whole = _loaded(image, None if large else data)
            orientation, taken = _exif_of(image)
            rgb = _to_rgb(whole)
    except errors.InputError:
        raise
    except pil.DecompressionBombError as error:
        # Pillow looks at the header first and refuses the largest before their size is known here.
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        given = f"{int(pixels.group(1)):,}" if pixels else "too many"
        raise _too_large(name, given, max_pixels) from error
    except UnidentifiedImageError as error:
        raise _unreadable(name, f"not an image of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise _unreadable(name, errors.first_line(error)) from error
    if orientation in UNDO_ORIENTATION:
        rgb = rgb.transpose(pil.Transpose(UNDO_ORIENTATION[orientation]))
    return Decoded(rgb, taken)


def read_taken(file: BinaryIO) -> Taken:
    """Time and place of an open file, its image not decoded where the format allows."""
    from PIL import Image as pil

    try:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        with _opened(file, head=head) as image:
            return taken_of(image.getexif())
    except (*DAMAGED, pil.DecompressionBombError, errors.InputError):
        return Taken()


def _opened(file: BinaryIO, *, head: bytes) -> Image:
    """An image whose header is read; its pixels are not.

    A JPEG is opened by its own class: Pillow's general way refuses the largest, which are read at a
    fraction of their size, and warns of others.
    """
    from PIL import Image as pil
    from PIL.JpegImagePlugin import JpegImageFile

    _silence_pillow()
    if head.startswith(jpeg.START):
        return JpegImageFile(file)
    return pil.open(file, formats=open_formats(head))


@cache
def _silence_pillow() -> None:
    """Silence Pillow's warnings of damaged metadata and of large images."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _bound(image: Image, *, name: str, max_pixels: int) -> bool:
    """Refuse an image that is too large; have a large JPEG read at a fraction of its sides.

    Returns:
        Whether it is such a JPEG.
    """
    width, height = image.size
    if width * height <= max_pixels:
        return False
    given = f"{width} x {height} = {width * height:,}"
    if image.format != "JPEG":
        raise _too_large(name, given, max_pixels)
    if width * height <= JPEG_FACTOR * max_pixels:
        for part in (2, 4, 8):
            if width * height <= max_pixels * part**2:
                image.draft(None, (max(1, width // part), max(1, height // part)))
                break
    if image.width * image.height > max_pixels:
        raise _too_large(name, given, JPEG_FACTOR * max_pixels)
    return True


def _loaded(image: Image, data: bytes | None) -> Image:
    """The image with its pixels; a JPEG that lacks only its end mark has them all.

    Args:
        image: Opened.
        data: Its file; None where it is too large to be looked at twice.
    """
    try:
        image.load()
    except OSError:
        whole = jpeg.without_end_mark(data) if data and image.format == "JPEG" else None
        if whole is None:
            raise
        return whole
    return image


def open_formats(head: bytes) -> list[str]:
    """The formats that Pillow may try on a file here.

    Args:
        head: Its first bytes, `HEAD_BYTES` or more: the extra's package is imported for HEIC only.

    Raises:
        InputError: HEIC without the extra.
    """
    from PIL import Image as pil

    pil.init()
    if is_heic(head):
        try:
            import pillow_heif
        except ImportError:
            raise errors.InputError(
                f"a HEIC image, which is read where its package is: {HEIC_INSTALL}",
                hint=HEIC_INSTALL,
            ) from None
        pillow_heif.register_heif_opener()
        return ["HEIF"]
    return [name for name in FORMATS if name in pil.OPEN]  # AVIF depends on the build


def _exif_of(image: Image) -> tuple[int, Taken]:
    """Orientation, 1 (upright) where there is none or it cannot be read; time and place."""
    try:
        exif = image.getexif()
        orientation = int(exif.get(EXIF_ORIENTATION, 1))
    except DAMAGED:
        # Cameras write broken EXIF in intact images: better unturned than not at all.
        return 1, Taken()
    return orientation, taken_of(exif)


def _to_rgb(image: Image) -> Image:
    """Any mode of Pillow's to RGB."""
    from PIL import Image as pil

    if image.mode.startswith("I") or image.mode == "F":
        image = pil.fromarray(_deep_to_8_bits(np.asarray(image), mode=image.mode))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = pil.alpha_composite(pil.new("RGBA", over.size, WHITE), over)
    return image.convert("RGB")


def _deep_to_8_bits(
    grey: np.ndarray[tuple[int, ...], np.dtype[np.generic]], *, mode: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Grey of more than 8 bits to 0..255; Pillow's own `convert` clips all above 255 to white.

    Args:
        grey: (H, W) of any number type.
        mode: Pillow's: `I;16...` is 16-bit for certain; `I` is when its values are; else the range
            is not known and the image's own is taken.
    """
    values = grey.astype(np.float64)  # (H, W)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("grey values that are not finite")
    if mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255.0 / max(high - low, 1e-300))
    return np.rint(scaled).astype(np.uint8)


def _unreadable(name: str, reason: str) -> errors.InputError:
    return errors.InputError(
        f"{name} cannot be read as an image: {reason}", hint="leave it out, or save it again"
    )


def _too_large(name: str, given: str, max_pixels: int) -> errors.InputError:
    return errors.InputError(
        f"{name} is too large: {given} pixels by its header; at most {max_pixels:,} are decoded",
        hint="make it smaller, or leave it out",
    )
