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
    photo = images.decode(data, name="x")
    assert photo.taken == exif.Taken(taken_at=TAKEN, latitude=-33.86, longitude=-151.2)
    assert photo.item.size == (40, 60)
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
    "text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "2021:13:01", "20210504", None, 3]
)
def test_times_that_are_none(text):
    assert exif.parse_time(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019:07:04 24:00:00", (2019, 7, 4)),
        ("2019:07:04 24:15:01", (2019, 7, 4, 0, 15, 1)),
        ("2019:07:04 10:11:12.345", (2019, 7, 4, 10, 11, 12)),
        ("2019:07:04 10:11:12+02:00", (2019, 7, 4, 10, 11, 12)),
        ("2019-07-04T10:11:12Z", (2019, 7, 4, 10, 11, 12)),
        ("2019/07/04 10:11", (2019, 7, 4, 10, 11)),
        ("2019: 7: 4  9: 5: 1", (2019, 7, 4, 9, 5, 1)),
        ("2019:07:04 10:11:60", (2019, 7, 4, 10, 11, 59)),
        ("2019:07:04 99:99:99", (2019, 7, 4)),
        ("2019:07:04", (2019, 7, 4)),
        ("2019", (2019, 1, 1)),
        ("2019:00:00 00:00:00", (2019, 1, 1)),
        ("2019:  :     :  :  ", (2019, 1, 1)),
        ("1850:01:02 03:04:05", (1850, 1, 2, 3, 4, 5)),
        (b"2019:07:04 01:02:03\0", (2019, 7, 4, 1, 2, 3)),
        ("2019:07:04\0 01:02:03", (2019, 7, 4, 1, 2, 3)),
    ],
)
def test_times_in_the_forms_that_cameras_write(text, expected):
    assert exif.parse_time(text) == datetime(*expected)


@given(st.one_of(st.text(), st.text("0123456789: -.TZ+\0", max_size=30), st.binary()))
def test_any_text_is_a_time_or_none(text):
    found = exif.parse_time(text)
    assert found is None or isinstance(found, datetime)


def test_a_broken_place_does_not_cost_the_time():
    class Broken(Image.Exif):
        def get_ifd(self, tag):
            return {0x9003: "2021:05:04 03:02:01"} if tag == exif.EXIF_FOLDER else {2: 7, 4: "x"}

    found = Broken()
    found[1] = 1
    assert exif.taken_of(found) == exif.Taken(taken_at=TAKEN)


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
