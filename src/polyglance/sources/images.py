"""Which images are in a folder, and what do they show? Walk one; decode one safely, to RGB.

Decoding never trusts a file: only the formats listed here are tried (Pillow would start Ghostscript
for an EPS named `.jpg`), the size in the header is looked at before memory is asked for, and a file
that stops early is refused instead of being filled up with grey.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyglance import errors
from polyglance.records import ImageFile

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
OTHER_SUFFIXES = (".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")
SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "MPO", "AVIF")
# A quarter of a GiB as RGB; the number at which Pillow begins to warn. Pillow itself refuses twice
# as much, whatever is asked here.
MAX_PIXELS = 89_478_485
EXIF_ORIENTATION = 0x0112
# EXIF orientation to the operation of PIL.Image.Transpose that undoes it: 0 and 1 mirror left-right
# and top-bottom; 2, 3, 4 turn by 90, 180, 270 degrees anticlockwise; 5 transposes, 6 transverses.
UNDO_ORIENTATION = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
WHITE = (255, 255, 255, 255)


def find_images(folder: Path) -> list[ImageFile]:
    """The images of a folder and its subfolders, by suffix, sorted by id.

    Links to folders are not followed, nor links to files outside the folder; hidden files and
    folders (a leading dot, as in the `._photo.jpg` of a Mac's archive) are passed over.

    Args:
        folder: Where to look.

    Returns:
        Images whose id is their path inside the folder, with forward slashes.

    Raises:
        InputError: No such folder, or no image in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise errors.InputError(
            f"{root} is not a folder; a folder of images is wanted", hint="check the path"
        )
    try:
        paths = list(_walk(str(root), inside=root.resolve()))
    except OSError as error:
        raise errors.InputError(
            f"the folder {error.filename} cannot be listed: {error.strerror}",
            hint="give yourself the right to read it, or move it out of the way",
        ) from error
    if not paths:
        raise errors.InputError(
            f"there is no image in {root}; files with these suffixes count: "
            f"{' '.join(sorted(SUFFIXES))}",
            hint="give the folder that holds the images",
        )
    found = [ImageFile(_id_of(path, root), Path(path)) for path in paths]
    return sorted(found, key=lambda image: image.id)


def load_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode one image file; see `decode_image`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(str(path), f"{error.strerror or error}") from error
    return decode_image(data, name=str(path), max_pixels=max_pixels)


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode one image to RGB as a person would see it.

    EXIF rotation is applied; of an animation the first frame is taken; transparency is laid on
    white; 16-bit grey is scaled to 8 bits, other deep grey from its own darkest to its brightest.

    Args:
        data: The bytes of the file.
        name: What to call it in messages.
        max_pixels: Width x height above which the header alone leads to refusal.

    Returns:
        A PIL image of mode RGB.

    Raises:
        InputError: Empty, of no known format, cut short, damaged or too large; says which.
    """
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    if not data:
        raise _unreadable(name, "zero bytes")
    try:
        pil.init()
        formats = [name for name in FORMATS if name in pil.OPEN]  # AVIF depends on the build
        with pil.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise _too_large(name, f"{width} x {height} = {width * height:,}", max_pixels)
            image.load()
            orientation = _orientation(image)
            rgb = _to_rgb(image)
    except errors.InputError:
        raise
    except pil.DecompressionBombError as error:
        # Pillow looks at the header first and refuses the largest before we see their size.
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        given = f"{int(pixels.group(1)):,}" if pixels else "too many"
        raise _too_large(name, given, max_pixels) from error
    except UnidentifiedImageError as error:
        raise _unreadable(name, f"not an image of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise _unreadable(name, str(error) or type(error).__name__) from error
    if orientation in UNDO_ORIENTATION:
        rgb = rgb.transpose(pil.Transpose(UNDO_ORIENTATION[orientation]))
    return rgb


def _walk(folder: str, *, inside: Path) -> Iterator[str]:
    """Files with an image suffix below a folder; not pipes, which would be waited for."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, inside=inside)
                continue
            known = os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()
            leads_out = entry.is_symlink() and not _is_inside(entry.path, inside)
            if known and not leads_out:
                yield entry.path


def _is_inside(path: str, folder: Path) -> bool:
    return Path(path).resolve().is_relative_to(folder)


def _id_of(path: str, root: Path) -> str:
    """The path inside the folder; bytes that are not UTF-8 are escaped with a backslash."""
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    return os.fsencode(relative).decode("utf-8", "backslashreplace")


def _orientation(image: Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except (SyntaxError, struct.error, ValueError):
        # Cameras write broken EXIF under sound pictures: better unturned than not at all.
        return 1


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
