import contextlib
import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from picture_files import png_header
from polyglance import errors
from polyglance.sources.formats import SUFFIXES
from polyglance.sources.images import FORMATS, MAX_PIXELS, decode_image
from polyglance.sources.walking import find_media


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(image, form, **options):
    return np.asarray(decode_image(encoded(image, form, **options), name="x"))


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((60, 40), Image.Resampling.BILINEAR)


def test_find_images_walks_folders_in_the_order_of_ids(tmp_path):
    for name in ("b.JPG", "a/z.png", "a/b/c.webp", "a-b.gif", "notes.txt", "a/._z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "t.png").write_bytes(b"x")
    found = find_media(tmp_path, "image")
    assert [image.id for image in found] == ["a-b.gif", "a/b/c.webp", "a/z.png", "b.JPG"]
    assert [image.path for image in found] == [tmp_path / image.id for image in found]


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "secret.png").write_bytes(b"x")
    (root / "own.png").write_bytes(b"x")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "folder").symlink_to(outside)
    (root / "again.png").symlink_to(root / "own.png")
    (root / "loop").symlink_to(root)
    (root / "dangling.png").symlink_to(outside / "absent.png")
    (root / "folder.png").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    assert [image.id for image in find_media(root, "image")] == ["again.png", "own.png"]


def test_a_name_that_is_no_utf8_is_shown_escaped(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.png"), "wb") as file:
        file.write(b"x")
    assert [image.id for image in find_media(tmp_path, "image")] == ["caf\\xe9.png"]


def test_an_empty_or_absent_folder_is_an_error(tmp_path):
    with pytest.raises(errors.InputError, match=r"there is no image in .*\.jpg"):
        find_media(tmp_path, "image")
    with pytest.raises(errors.InputError, match="not a folder"):
        find_media(tmp_path / "absent", "image")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refused(folder):
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(
        errors.InputError, match="locked: the folder cannot be listed: Permission denied"
    ):
        find_media(tmp_path, "image")


def test_every_suffix_has_a_format():
    extensions = Image.registered_extensions()
    known = {suffix for suffix in SUFFIXES if extensions.get(suffix) in FORMATS}
    assert known | {".avif", ".avifs"} == SUFFIXES


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(photo, form):
    np.testing.assert_array_equal(decoded(photo, form), np.asarray(photo))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_come_back_nearly(photo, form):
    difference = decoded(photo, form, quality=95).astype(int) - np.asarray(photo)
    assert np.abs(difference).mean() < 4


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif(photo):
    assert np.abs(decoded(photo, "AVIF", quality=95).astype(int) - np.asarray(photo)).mean() < 4


def turned(pixels, orientation):
    """What stands in a file whose EXIF orientation makes it look like `pixels`, literally."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, 1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels, -1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(turned(np.asarray(photo), orientation)))
    np.testing.assert_array_equal(decoded(lying, "PNG", exif=exif), np.asarray(photo))


def exif_with(kind, count, value):
    """EXIF of one entry, the orientation, of any type (2 is text, 3 a short)."""
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1)
    return head + struct.pack("<HHI", 0x0112, kind, count) + value + b"\0" * 4


BROKEN_EXIF = {
    "no TIFF": b"Exif\0\0no TIFF at all",
    "cut short": b"Exif\0\0II*\0\x08\0\0",
    "not in the list": exif_with(3, 1, struct.pack("<HH", 77, 0)),
    "text": exif_with(2, 4, b"abc\0"),
}


@pytest.mark.parametrize("exif", BROKEN_EXIF.values(), ids=BROKEN_EXIF)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_broken_exif_does_not_cost_the_picture(photo, form, exif):
    found = decoded(photo, form, exif=exif)
    np.testing.assert_array_equal(found, decoded(photo, form))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(form):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    found = decoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(found, np.asarray(frames[0]))


def test_cmyk_becomes_the_colours_it_means():
    for color, expected in (((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))):
        found = decoded(Image.new("CMYK", (16, 16), color), "JPEG", quality=100)
        assert np.abs(found.astype(int) - expected).max() <= 3


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for form in ("PNG", "TIFF", "PPM"):
        found = decoded(Image.fromarray(ramp), form)
        assert found.shape == (16, 16, 3)
        np.testing.assert_array_equal(found[..., 0].ravel(), np.arange(256))


def test_16_bit_grey_that_is_dark_stays_dark():
    dark = np.full((4, 4), 514, dtype=np.uint16)
    np.testing.assert_array_equal(decoded(Image.fromarray(dark), "PNG"), np.full((4, 4, 3), 2))


def test_deeper_grey_is_scaled_from_its_darkest_to_its_brightest():
    floats = np.array([[-1.0, 0.0], [0.5, 3.0]], dtype=np.float32)
    found = decoded(Image.fromarray(floats), "TIFF")[..., 0]
    np.testing.assert_array_equal(found, [[0, 64], [96, 255]])
    integers = np.array([[0, 2**20], [2**19, 2**18]], dtype=np.int32)
    found = decoded(Image.fromarray(integers), "TIFF")[..., 0]
    np.testing.assert_array_equal(found, [[0, 255], [128, 64]])
    assert decoded(Image.fromarray(np.full((2, 2), 9e5, np.float32)), "TIFF").max() == 0
    floats[0, 0] = np.nan
    with pytest.raises(errors.InputError, match="not finite"):
        decoded(Image.fromarray(floats), "TIFF")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparency_is_laid_on_white(mode):
    if mode == "RGB":  # one colour is declared transparent
        image, options = Image.new("RGB", (4, 4), (1, 2, 3)), {"transparency": (1, 2, 3)}
        image.putpixel((0, 0), (0, 0, 0))
    elif mode == "P":
        image, options = Image.new("P", (4, 4), 1), {"transparency": 1}
        image.putpalette([0, 0, 0, 9, 9, 9])
        image.putpixel((0, 0), 0)
    else:
        blank = (0, 0) if mode == "LA" else (0, 0, 0, 0)
        image, options = Image.new(mode, (4, 4), blank), {}
        image.putpixel((0, 0), (0, 255) if mode == "LA" else (0, 0, 0, 255))
    found = decoded(image, "PNG", **options)
    assert found[0, 0].tolist() == [0, 0, 0]
    assert (found.reshape(-1, 3)[1:] == 255).all()


def test_half_transparency_is_mixed_with_white():
    found = decoded(Image.new("RGBA", (2, 2), (200, 0, 0, 128)), "PNG")
    assert np.abs(found.astype(int) - [227, 127, 127]).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_other_modes(mode):
    black_white = Image.new("L", (8, 4), 0)
    black_white.paste(255, (4, 0, 8, 4))
    found = decoded(black_white.convert(mode), "PNG")
    np.testing.assert_array_equal(found, np.asarray(black_white.convert("RGB")))


def test_zero_bytes():
    with pytest.raises(errors.InputError, match=r"a\.jpg cannot be read as an image: zero bytes"):
        decode_image(b"", name="a.jpg")


def test_a_truncated_jpeg(photo):
    whole = encoded(photo, "JPEG")
    with pytest.raises(errors.InputError, match="truncated"):
        decode_image(whole[: len(whole) * 2 // 3], name="a.jpg")


def test_what_is_no_image():
    with pytest.raises(errors.InputError, match="not an image of the formats JPEG, PNG"):
        decode_image(b"<svg/>" * 20, name="x.png")


def test_a_format_that_starts_a_program_is_not_tried(tmp_path):
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(errors.InputError, match="not an image of the formats"):
        decode_image(postscript, name="x.jpg")


def test_a_bomb_is_refused_by_its_header():
    tracemalloc.start()
    with pytest.raises(errors.InputError, match="900,000,000 pixels") as caught:
        decode_image(png_header(30_000, 30_000), name="bomb.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"{MAX_PIXELS:,}" in caught.value.message
    assert peak < 5_000_000


def test_the_limit_can_be_lowered(photo):
    with pytest.raises(errors.InputError, match=r"60 x 40 = 2,400 pixels .* at most 2,399"):
        decode_image(encoded(photo, "PNG"), name="x", max_pixels=2399)
    decode_image(encoded(photo, "PNG"), name="x", max_pixels=2400)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_or_decoded_never_anything_else(data):
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"]))
    image = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    damaged = bytearray(encoded(image, form))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    with contextlib.suppress(errors.InputError):
        assert decode_image(bytes(damaged), name="x", max_pixels=100_000).mode == "RGB"
