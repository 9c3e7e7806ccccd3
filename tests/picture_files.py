"""Files that several tests make: PNGs, tars, a photo with EXIF, a header that lies."""

import io
import struct
import tarfile
import zlib

from PIL import Image, TiffImagePlugin

from polyglance.sources import exif


def png(colour):
    written = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(written, "PNG")
    return written.getvalue()


def make_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def with_exif(form="JPEG", *, time="2021:05:04 03:02:01", gps=True, orientation=6):
    """A 60 x 40 picture with EXIF."""
    found = Image.Exif()
    found[0x0112] = orientation
    if time is not None:
        found.get_ifd(exif.EXIF_FOLDER)[0x9003] = time
    if gps:
        place = found.get_ifd(exif.GPS_FOLDER)
        rational = TiffImagePlugin.IFDRational
        place[1], place[2] = "S", (rational(33), rational(51), rational(36))
        place[3], place[4] = "W", (rational(151), rational(12), rational(0))
    written = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(written, form, exif=found.tobytes())
    return written.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")
