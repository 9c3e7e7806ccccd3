"""EXIF time and position of a photo, or None; broken EXIF counts as none.

EXIF's times are those of the clock in the camera: local, without a zone. So are ours.
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from polyglance.records import Taken

if TYPE_CHECKING:
    from PIL.Image import Exif

EXIF_FOLDER, GPS_FOLDER = 0x8769, 0x8825
# DateTimeOriginal, DateTimeDigitized. DateTime (0x0132) is when the file was changed.
TIME_TAGS = (0x9003, 0x9004)
# What cameras and programs write: parts may be padded with spaces, unknown ones are blank or zeros,
# separators differ; fractions of a second and a zone may follow.
_DATE = r"\s*([0-9]{4})(?:[:/.-]([ 0-9]{0,2})(?:[:/.-]([ 0-9]{0,2}))?)?"
_TIME = r"(?:[\sT]+([ 0-9]{1,2}):([ 0-9]{1,2})(?::([ 0-9]{1,2}))?)?"
WRITTEN = re.compile(_DATE + r"(?![0-9]|[:/.-][0-9])" + _TIME)
LATITUDE, LONGITUDE = 2, 4  # the reference (N, S, E, W) stands in the tag before
# What Pillow raises for EXIF that is damaged.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


def taken_of(exif: Exif) -> Taken:
    """Time and place of Pillow's EXIF object."""
    if not len(exif):
        return Taken()
    latitude = longitude = when = None
    with contextlib.suppress(*DAMAGED):
        found = (parse_time(exif.get_ifd(EXIF_FOLDER).get(tag)) for tag in TIME_TAGS)
        when = next((one for one in found if one is not None), None)
    with contextlib.suppress(*DAMAGED):
        latitude, longitude = parse_place(exif.get_ifd(GPS_FOLDER))
    return Taken(taken_at=when, latitude=latitude, longitude=longitude)


def parse_time(text: Any) -> datetime | None:
    """A time as cameras and programs write it; None for what is none, as zeros of an unset clock.

    Where month or day are not known, it is the first moment of the year or month; a time of day
    that is none counts as midnight. The hour 24 is the first of that day: some telephones count
    their hours from 1 to 24. A zone is not looked at.

    >>> parse_time("2024:07:31 18:05:09.25+02:00")
    datetime.datetime(2024, 7, 31, 18, 5, 9)
    >>> parse_time("2019:07:04 24:10:00"), parse_time("2019:  :     :  :  ")
    (datetime.datetime(2019, 7, 4, 0, 10), datetime.datetime(2019, 1, 1, 0, 0))
    >>> parse_time("0000:00:00 00:00:00") is None
    True
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    written = WRITTEN.match(text.replace("\0", " ")) if isinstance(text, str) else None
    if written is None:
        return None
    year, month, day, hour, minute, second = (
        int((part or "").strip() or 0) for part in written.groups()
    )
    try:
        when = date(year, month or 1, day or 1 if month else 1)
    except ValueError:
        return None
    try:
        of_day = time(hour % 24 if hour <= 24 else hour, minute, min(second, 59))
    except ValueError:
        of_day = time()
    return datetime.combine(when, of_day)


def parse_place(gps: Mapping[int, Any]) -> tuple[float, float] | tuple[None, None]:
    """Latitude and longitude in degrees, both or none.

    Args:
        gps: EXIF's GPS folder: tag to value.

    >>> parse_place({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)})
    (-33.86, 151.2)
    >>> parse_place({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)})  # what cameras write without a fix
    (None, None)
    """
    if LATITUDE not in gps or LONGITUDE not in gps:
        return None, None
    latitude = _degrees(gps[LATITUDE], negative=_letter(gps.get(LATITUDE - 1)) == "S")
    longitude = _degrees(gps[LONGITUDE], negative=_letter(gps.get(LONGITUDE - 1)) == "W")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None, None
    return latitude, longitude


def _degrees(parts: Sequence[Any], *, negative: bool) -> float:
    """Degrees, minutes and seconds as degrees; NaN where they are none."""
    degrees = sum(float(part) / 60**power for power, part in enumerate(parts))
    return math.copysign(round(degrees, 7), -1 if negative else 1) if degrees >= 0 else math.nan


def _letter(reference: Any) -> str:
    text = reference.decode("latin-1") if isinstance(reference, bytes) else str(reference)
    return text.strip("\0 ")[:1].upper()
