"""Which images are in a folder, and what do they show? Walk one; decode one safely, to RGB.

Decoding never trusts a file: only the formats listed here are tried (Pillow would start Ghostscript
for an EPS named `.jpg`), the size in the header is looked at before memory is asked for, and a file
that stops early is refused instead of being filled up with grey.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from polyglance import errors
from polyglance.records import ImageFile
from polyglance.sources.exif import DAMAGED, Taken, taken_of

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
OTHER_SUFFIXES = (".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")
SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)
# What phones write; read by the package of the extra `heic`.
HEIC_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
HEIC_PACKAGE = "pillow_heif"
HEIC_INSTALL = "pip install 'polyglance[heic]'"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "MPO", "AVIF")
# A quarter of a GiB as RGB; the number at which Pillow begins to warn. Pillow itself refuses twice
# as much, whatever is asked here.
MAX_PIXELS = 89_478_485
EXIF_ORIENTATION = 0x0112
# EXIF orientation to the operation of PIL.Image.Transpose that undoes it: 0 and 1 mirror left-right
# and top-bottom; 2, 3, 4 turn by 90, 180, 270 degrees anticlockwise; 5 transposes, 6 transverses.
UNDO_ORIENTATION = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
HEAD_BYTES = 64
WHITE = (255, 255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a walk through a folder found.

    Attributes:
        images: Those that can be read here, sorted by id.
        heic: Ids of the HEIC files that cannot, since the extra is not installed.
        num_videos: Files with a video's suffix; they are left out.
        unlisted: Folders inside that could not be listed, by path inside, and why.
    """

    images: tuple[ImageFile, ...] = ()
    heic: tuple[str, ...] = ()
    num_videos: int = 0
    unlisted: tuple[tuple[str, str], ...] = ()


def find_images(folder: Path) -> list[ImageFile]:
    """The images of a folder and its subfolders, by suffix, sorted by id.

    Links to folders are not followed, nor links to files outside the folder; hidden files and
    folders (a leading dot, as in the `._photo.jpg` of a Mac's archive) are passed over.

    Args:
        folder: Where to look.

    Returns:
        Images whose id is their path inside the folder, with forward slashes.

    Raises:
        InputError: No such folder, one inside that cannot be listed, or no image.
    """
    found = survey_folder(folder)
    for name, reason in found.unlisted:
        raise _unlisted(Path(folder) / name, reason)
    if not found.images:
        raise errors.InputError(
            f"there is no image in {folder}; files with these suffixes count: "
            f"{' '.join(sorted(readable_suffixes()))}",
            hint=HEIC_INSTALL if found.heic else "give the folder that holds the images",
        )
    return list(found.images)


def survey_folder(folder: Path) -> Survey:
    """Walk a folder as `find_images` does, and say what was passed over, too.

    A folder inside that vanishes meanwhile is as one that was gone before.

    Raises:
        InputError: No such folder, or it cannot be listed.
    """
    root = Path(folder)
    if not root.is_dir():
        raise errors.InputError(
            f"{root} is not a folder; a folder of images is wanted", hint="check the path"
        )
    walk = _Walk(str(root), root.resolve())
    walk.enter(str(root))
    if walk.unlisted[:1] and walk.unlisted[0][0] == ".":
        raise _unlisted(root, walk.unlisted[0][1])
    images = [ImageFile(_id_of(path, root), Path(path)) for path in walk.images]
    return Survey(
        images=tuple(sorted(images, key=lambda image: image.id)),
        heic=tuple(sorted(_id_of(path, root) for path in walk.heic)),
        num_videos=walk.num_videos,
        unlisted=tuple(walk.unlisted),
    )


@cache
def readable_suffixes() -> frozenset[str]:
    """Suffixes of the images that can be read here: with the extra `heic`, its own as well."""
    found = importlib.util.find_spec(HEIC_PACKAGE) is not None
    return SUFFIXES | HEIC_SUFFIXES if found else SUFFIXES


def load_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode one image file; see `decode_image`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(str(path), f"{error.strerror or error}") from error
    return decode_image(data, name=str(path), max_pixels=max_pixels)


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded picture: RGB, upright; and when and where it was taken."""

    image: Image
    taken: Taken


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode one image to RGB; see `decode_photo`."""
    return decode_photo(data, name=name, max_pixels=max_pixels).image


def decode_photo(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode one image to RGB as a person would see it.

    EXIF rotation is applied; of an animation the first frame is taken; transparency is laid on
    white; 16-bit grey is scaled to 8 bits, other deep grey from its own darkest to its brightest.

    Args:
        data: The bytes of the file.
        name: What to call it in messages.
        max_pixels: Width x height above which the header alone leads to refusal.

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
        with pil.open(io.BytesIO(data), formats=open_formats(data[:HEAD_BYTES])) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise _too_large(name, f"{width} x {height} = {width * height:,}", max_pixels)
            image.load()
            orientation, taken = _exif_of(image)
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
    return Photo(rgb, taken)


def read_taken(file: BinaryIO) -> Taken:
    """Time and place of an open file, its picture not decoded where the format allows."""
    from PIL import Image as pil

    try:
        formats = open_formats(file.read(HEAD_BYTES))
        file.seek(0)
        with pil.open(file, formats=formats) as image:
            return taken_of(image.getexif())
    except (*DAMAGED, pil.DecompressionBombError, errors.InputError):
        return Taken()


def open_formats(head: bytes) -> list[str]:
    """The formats that Pillow may try on a file here.

    Args:
        head: Its first bytes, `HEAD_BYTES` or more: the extra's package is imported for HEIC only.

    Raises:
        InputError: HEIC without the extra.
    """
    from PIL import Image as pil

    pil.init()
    # mif1 may be either; an AVIF of that brand says avif further on.
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and b"avif" not in head:
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


@dataclass
class _Walk:
    """A walk in progress; not into pipes, which would be waited for."""

    root: str
    inside: Path
    images: list[str] = field(default_factory=list)
    heic: list[str] = field(default_factory=list)
    unlisted: list[tuple[str, str]] = field(default_factory=list)
    num_videos: int = 0

    def enter(self, folder: str) -> None:
        """Look at a folder and those below it."""
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except FileNotFoundError as error:
            if folder == self.root:
                self.unlisted.append((".", str(error.strerror)))
            return
        except OSError as error:
            self.unlisted.append((_id_of(folder, Path(self.root)), error.strerror or str(error)))
            return
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                self.enter(entry.path)
            else:
                self._look_at(entry)

    def _look_at(self, entry: os.DirEntry[str]) -> None:
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            self.num_videos += 1
        elif suffix in SUFFIXES or suffix in HEIC_SUFFIXES:
            leads_out = entry.is_symlink() and not _is_inside(entry.path, self.inside)
            if entry.is_file() and not leads_out:
                readable = suffix in readable_suffixes()
                (self.images if readable else self.heic).append(entry.path)


def _is_inside(path: str, folder: Path) -> bool:
    return Path(path).resolve().is_relative_to(folder)


def _id_of(path: str, root: Path) -> str:
    """The path inside the folder; bytes that are not UTF-8 are escaped with a backslash."""
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    return os.fsencode(relative).decode("utf-8", "backslashreplace")


def _exif_of(image: Image) -> tuple[int, Taken]:
    """Orientation, 1 (upright) where there is none or it cannot be read; time and place."""
    try:
        exif = image.getexif()
        orientation = int(exif.get(EXIF_ORIENTATION, 1))
    except (SyntaxError, struct.error, ValueError):
        # Cameras write broken EXIF under sound pictures: better unturned than not at all.
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


def _unlisted(folder: Path, reason: str) -> errors.InputError:
    return errors.InputError(
        f"the folder {folder} cannot be listed: {reason}",
        hint="give yourself the right to read it, or move it out of the way",
    )


def _unreadable(name: str, reason: str) -> errors.InputError:
    return errors.InputError(
        f"{name} cannot be read as an image: {reason}", hint="leave it out, or save it again"
    )


def _too_large(name: str, given: str, max_pixels: int) -> errors.InputError:
    return errors.InputError(
        f"{name} is too large: {given} pixels by its header; at most {max_pixels:,} are decoded",
        hint="make it smaller, or leave it out",
    )
