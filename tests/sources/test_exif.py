"""EXIF's time and place are read; what is broken is none."""

import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from picture_files import with_exif
from polyglance.sources import exif, images

TAKEN = datetime(2021, 5, 4, 3, 2, 1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_time_and_place_of_a_photo(form):
    data = with_exif(form)
    photo = images.decode_photo(data, name="x")
    assert photo.taken == exif.Taken(taken_at=TAKEN, latitude=-33.86, longitude=-151.2)
    assert photo.image.size == (40, 60)
    assert images.read_taken(io.BytesIO(data)) == photo.taken


def test_a_photo_without():
    assert images.read_taken(io.BytesIO(with_exif(time=None, gps=False))) == exif.Taken()
    assert images.read_taken(io.BytesIO(b"no picture")) == exif.Taken()


def test_the_digitised_time_stands_in():
    found = Image.Exif()
    found.get_ifd(exif.EXIF_FOLDER)[0x9004] = "2021:05:04 03:02:01"
    read = Image.Exif()
    read.load(found.tobytes())
    assert exif.taken_of(read).taken_at == TAKEN


@pytest.mark.parametrize(
    "text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "2021-05-04", None, 3, b"2021"]
)
def test_times_that_are_none(text):
    assert exif.parse_time(text) is None


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {2: (10.0, 0.0, 0.0)},
        {2: (91.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: (float("nan"), 0.0, 0.0), 4: (1.0, 0.0, 0.0)},
        {2: (-10.0, 0.0, 0.0), 4: (1.0, 0.0, 0.0)},
    ],
)
def test_places_that_are_none(gps):
    assert exif.parse_place(gps) == (None, None)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.data())
def test_damaged_exif_never_raises(data):
    good = bytearray(with_exif())
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(20, 300))] = data.draw(st.integers(0, 255))
    found = images.read_taken(io.BytesIO(bytes(good)))
    assert found.latitude is None or abs(found.latitude) <= 90
