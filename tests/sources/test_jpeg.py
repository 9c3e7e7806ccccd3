"""A JPEG that lacks only its end mark is read; one that lacks more is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from polyglance import errors
from polyglance.sources import images


def picture(*, noise):
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, :80], pixels[:, 80:], pixels[:30] = (220, 30, 30), (30, 30, 220), (30, 200, 30)
    if noise:
        rng = np.random.default_rng(0)
        pixels = pixels // 2 + rng.integers(0, 100, pixels.shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def jpeg(*, noise=False, mode="RGB", **options):
    written = io.BytesIO()
    picture(noise=noise).convert(mode).save(written, "JPEG", **options)
    return written.getvalue()


FORMS = {
    "baseline": {"quality": 95},
    "noise": {"quality": 60, "noise": True},
    "progressive": {"quality": 95, "progressive": True},
    "progressive noise": {"quality": 80, "progressive": True, "noise": True},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "restarts": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("cut", [1, 2])
def test_without_the_end_mark(options, cut):
    whole = jpeg(**options)
    found = images.decode_image(whole[:-cut], name="x")
    np.testing.assert_array_equal(
        np.asarray(found), np.asarray(images.decode_image(whole, name="x"))
    )


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_cut_files_are_refused(options):
    whole = jpeg(**options)
    wanted = np.asarray(images.decode_image(whole, name="x"))
    for cut in (5, 10, 50, len(whole) // 3):
        try:
            found = images.decode_image(whole[:-cut], name="x")
        except errors.InputError:
            continue
        assert cut == 5, "a cut file was read"  # what is missing there may be padding
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_a_progressive_file_without_its_last_scans_is_refused():
    whole = jpeg(progressive=True, noise=True)
    last = whole.rindex(b"\xff\xda")
    assert whole.count(b"\xff\xda") > 4
    with pytest.raises(errors.InputError, match="truncated"):
        images.decode_image(whole[:last], name="x")


@pytest.mark.parametrize("size", [(1200, 900), (2100, 430), (1632, 1224)])
def test_large_jpegs_are_read_at_a_fraction(size):
    written = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(written, "JPEG")
    most = 900_000
    found = images.decode_image(written.getvalue(), name="x", max_pixels=most)
    assert found.size == (size[0] // 2, size[1] // 2)
    with pytest.raises(errors.InputError, match="too large"):
        images.decode_image(written.getvalue(), name="x", max_pixels=200_000)


@pytest.mark.filterwarnings("error")
def test_pillow_says_nothing(monkeypatch):
    images._silence_pillow.cache_clear()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # of which Pillow warns
    written = io.BytesIO()
    picture(noise=False).save(written, "PNG")
    for data in (jpeg(), written.getvalue()):
        assert images.decode_image(data, name="x").size == (160, 120)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # what Pillow refuses
    assert images.decode_image(jpeg(), name="x").size == (160, 120)
