"""Folder, date and size: what rows must meet."""

import os
import time
from datetime import date, datetime

import pyarrow as pa
import pytest

from polyglance import errors
from polyglance.search import filters
from polyglance.search.filters import Filters
from polyglance.search.folders import Folders

# Half past midnight of the second of July, by the clock of this computer.
JULY_2 = int(datetime(2024, 7, 2, 0, 30).timestamp()) * 10**9
ROWS = {
    "id": ["a/one.jpg", "a/b/two.jpg", "ab/three.jpg", "four.jpg", "o'brien/five.jpg"],
    "path": [
        f"/photos/{name}"
        for name in ("a/one.jpg", "a/b/two.jpg", "ab/three.jpg", "four.jpg", "o'brien/five.jpg")
    ],
    "size": [10, 200, 3000, 40_000, 0],
    "mtime_ns": [JULY_2, JULY_2, 0, JULY_2 - 86_400 * 10**9, JULY_2],
    "taken_at": [None, datetime(2020, 1, 1, 12), datetime(2024, 7, 1, 23, 59, 59), None, None],
}
CASES = [
    (Filters(), [0, 1, 2, 3, 4]),
    (Filters(folders=("a",)), [0, 1]),
    (Filters(folders=("a/",)), [0, 1]),
    (Filters(folders=("./a/b",)), [1]),
    (Filters(folders=("o'brien", "ab")), [2, 4]),
    (Filters(folders=("/photos",)), [0, 1, 2, 3, 4]),
    (Filters(min_bytes=200), [1, 2, 3]),
    (Filters(max_bytes=200), [0, 1, 4]),
    (Filters(min_bytes=11, max_bytes=3000), [1, 2]),
    (Filters(since=date(2024, 7, 2)), [0, 4]),
    (Filters(until=date(2024, 7, 1)), [1, 2, 3]),
    (Filters(since=date(2024, 7, 1), until=date(2024, 7, 1)), [2, 3]),
    (Filters(since=date(2019, 1, 1), until=date(2020, 12, 31), folders=("a",)), [1]),
]


@pytest.fixture
def far_from_greenwich(monkeypatch):
    before = time.tzname
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert time.tzname != before or os.environ["TZ"] == "Asia/Tokyo"
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    import lance

    types = {"size": pa.int64(), "mtime_ns": pa.int64(), "taken_at": pa.timestamp("s")}
    columns = {name: pa.array(values, types.get(name)) for name, values in ROWS.items()}
    uri = str(tmp_path_factory.mktemp("filters") / "t.lance")
    return lance.write_dataset(pa.table(columns), uri)


def passing(table, asked, columns=tuple(ROWS)):
    asked.require(columns)
    where = asked.condition(columns, folders=Folders(ROWS["id"], ROWS["path"]))
    found = table.to_table(columns=["id"], filter=where)["id"].to_pylist()
    return [ROWS["id"].index(identity) for identity in found]


@pytest.mark.parametrize(("asked", "expected"), CASES)
def test_what_passes(table, asked, expected):
    assert passing(table, asked) == expected


def test_days_are_days_of_this_computer(tmp_path, far_from_greenwich):
    import lance

    moment = int(datetime(2024, 7, 2, 0, 30).timestamp()) * 10**9
    rows = {"id": [ROWS["id"][0]], "mtime_ns": [moment], "taken_at": pa.nulls(1, pa.timestamp("s"))}
    one = lance.write_dataset(pa.table(rows), str(tmp_path / "t.lance"))
    assert passing(one, Filters(since=date(2024, 7, 2))) == [0]
    assert passing(one, Filters(until=date(2024, 7, 1))) == []


def test_without_a_camera_time_the_file_decides(table):
    columns = [name for name in ROWS if name != "taken_at"]
    asked = Filters(since=date(2024, 7, 2))
    assert passing(table, asked, columns) == [0, 1, 4]
    assert "taken_at" not in asked.condition(columns, folders=Folders([], []))


def test_what_the_index_does_not_know_is_refused():
    with pytest.raises(errors.ConfigError, match="does not know the size"):
        Filters(min_bytes=1).require(["id", "path"])
    Filters(since=date(2024, 1, 1)).require(["id", "mtime_ns"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"since": date(2024, 2, 1), "until": date(2024, 1, 1)}, "must not be after the last"),
        ({"min_bytes": 5, "max_bytes": 4}, "smallest size of 5 bytes is above the largest of 4"),
        ({"min_bytes": -1}, "the smallest size is -1 bytes; 0 or more are allowed"),
        ({"max_bytes": -1}, "the largest size is -1 bytes; 0 or more are allowed"),
        ({"min_bytes": 5, "max_bytes": -1}, "the largest size is -1 bytes"),
    ],
)
def test_ranges_the_wrong_way_round(wrong, said):
    with pytest.raises(errors.ConfigError, match=said):
        Filters(**wrong)


@pytest.mark.parametrize(
    ("typed", "first", "last"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2023-12", date(2023, 12, 1), date(2023, 12, 31)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("1600", date(1600, 1, 1), date(1600, 12, 31)),
        ("9999", date(9999, 1, 1), date(9999, 12, 31)),
        (" 2024/7/1 ", date(2024, 7, 1), date(2024, 7, 1)),
        ("20240701", date(2024, 7, 1), date(2024, 7, 1)),
        ("2024–07", date(2024, 7, 1), date(2024, 7, 31)),
        ("۲۰۲۴-۰۷-۰۱", date(2024, 7, 1), date(2024, 7, 1)),
        ("2024-07-01T18:30", datetime(2024, 7, 1, 18, 30), datetime(2024, 7, 1, 18, 30, 59)),
        ("2024-07-01 18:30:05.2", datetime(2024, 7, 1, 18, 30, 5), datetime(2024, 7, 1, 18, 30, 5)),
    ],
)
def test_days_as_typed(typed, first, last):
    assert (filters.day(typed), filters.last_day(typed)) == (first, last)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Filters(until=date(1969, 12, 31)), ["1905", "1965"]),
        (Filters(until=date(1999, 1, 1)), ["1905", "1965", "1970", "file"]),
        (Filters(since=date(1600, 1, 1)), ["1905", "1965", "1970", "9999", "file"]),
        (Filters(since=date(1965, 6, 15), until=date(1970, 1, 1)), ["1965", "1970", "file"]),
        (Filters(since=date(1970, 1, 2)), ["9999"]),
        (Filters(until=date(9999, 12, 31)), ["1905", "1965", "1970", "9999", "file"]),
        (Filters(since=datetime(1965, 6, 15, 12, 0, 1), until=date(1969, 1, 1)), []),
        (Filters(since=datetime(1965, 6, 15, 12), until=datetime(1965, 6, 15, 12)), ["1965"]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_what_is_not_said_bounds_nothing(tmp_path, monkeypatch, asked, expected, zone):
    import lance

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    moments = [
        datetime(1905, 3, 10),
        datetime(1965, 6, 15, 12),
        datetime(1970, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59),
        None,
    ]
    rows = {
        "id": ["1905", "1965", "1970", "9999", "file"],
        "mtime_ns": [int(datetime(1970, 1, 1, 12).timestamp()) * 10**9] * 5,
        "taken_at": pa.array(moments, pa.timestamp("s")),
    }
    stored = lance.write_dataset(pa.table(rows), str(tmp_path / "t.lance"))
    where = asked.condition(tuple(rows), folders=Folders([], []))
    assert stored.to_table(filter=where)["id"].to_pylist() == expected
    monkeypatch.undo()
    time.tzset()


def test_each_filter_is_said_alone():
    asked = Filters(folders=("a",), since=date(2024, 1, 1), until=date(2025, 1, 1), min_bytes=5)
    said = dict(asked.each())
    assert list(said) == ["in 'a'", "from 2024-01-01 on", "until 2025-01-01", "of 5 bytes or more"]
    assert said["until 2025-01-01"] == Filters(until=date(2025, 1, 1))


def test_the_year_that_stands_last_is_put_first():
    with pytest.raises(errors.InputError) as caught:
        filters.day("31.12.2023")
    assert "2023-12-31" in caught.value.hint


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "yesterday",
        "2024-13",
        "2023-02-29",
        "2024-1-1-1",
        "0",
        "1",
        "0999",
        "9999-12-31T23:59-12:00",
        "2_023",
        "+2023",
    ],
)
def test_no_days(typed):
    with pytest.raises(errors.InputError, match="2024-07-31"):
        filters.day(typed)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("0", 0), ("300kB", 300_000), ("1.5 GiB", 1_610_612_736), ("7b", 7), ("2M", 2_000_000)],
)
def test_sizes_as_typed(typed, expected):
    assert filters.num_bytes(typed) == expected


@pytest.mark.parametrize("typed", ["", "big", "3 apples", "MB", "inf"])
def test_no_sizes(typed):
    with pytest.raises(errors.InputError, match="bytes are wanted"):
        filters.num_bytes(typed)
