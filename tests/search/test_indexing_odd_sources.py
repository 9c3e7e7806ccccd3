"""One bad item never stops the others, whatever is scanned; all are counted and named."""

import os
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from picture_files import make_tar, png, with_exif
from polyglance import errors
from polyglance.encoding import reading, runs
from polyglance.records import MediaFile
from polyglance.search import indexing
from polyglance.search.index import Index
from polyglance.sources.skipped import Why
from polyglance.storage.store import Store


@pytest.fixture
def build(tmp_path):
    def builder(source, *, out=tmp_path / "index", **options):
        return indexing.build(source, model="fake:pixels", out=out, **options)

    return builder


def held(tmp_path):
    return sorted(Store.open(tmp_path / "index").ids())


def test_a_folder_of_everything(build, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 100_000)
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    (root / "good.png").write_bytes(png("red"))
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.png").write_bytes(b"hello")
    (root / "cut.jpg").write_bytes(with_exif()[:-300])
    with (root / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with open(os.path.join(os.fsencode(root), b"caf\xe9.png"), "wb") as file:
        file.write(png("red"))
    (root / "self.png").symlink_to(root / "self.png")
    os.mkfifo(root / "pipe.png")
    make_tar(root / "a.tar", {"sub/0.png": png("blue"), "sub/0.json": b"{"})
    make_tar(root / "a" / "sub.tar", {"0.png": png("green")})  # the same id
    (root / "broken.tar").write_bytes(b"x" * 700)
    report = build(root)
    assert held(tmp_path) == ["a/sub/0.png", "good.png"]
    assert {one.id for one in report.quarantined} == {
        *("empty.jpg", "text.png", "cut.jpg", "sparse.jpg", "caf\\xe9.png", "broken"),
    }
    assert {one.id: one.why for one in report.skipped} == {
        "self.png": Why.LINK_BROKEN,
        "pipe.png": Why.SPECIAL,
        "a/sub/0.png": Why.CLASH,
    }
    assert [one.id for one in report.remarks] == ["a/sub/0.png"]
    assert (report.num_tars, report.num_in_tars) == (3, 1)
    assert build(root).new == 0


def test_loose_pictures_and_tars_together(build, tmp_path):
    make_tar(tmp_path / "set" / "0.tar", {"a.png": png("red"), "a.txt": b"red"})
    (tmp_path / "set" / "preview.png").write_bytes(png("blue"))
    report = build(tmp_path / "set")
    assert (report.new, report.num_tars, report.num_in_tars) == (2, 1, 1)
    table = Store.open(tmp_path / "index").columns(["id", "caption"])
    assert sorted(zip(*table.values(), strict=True)) == [("0/a.png", "red"), ("preview.png", None)]


def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    read = reading.read_item(
        MediaFile("a.png", tmp_path / "a.png", modality="image"), preprocess=None, known_keys=()
    )
    assert read.reason == "it is no file any more"


def test_a_thumbnail_that_cannot_be_written_costs_nothing(build, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    (root / "a.png").write_bytes(png("red"))
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "thumbnails").write_bytes(b"a file of the user")
    report = build(root)
    assert (report.new, len(report.remarks)) == (1, 1)
    assert (tmp_path / "index" / "thumbnails").read_bytes() == b"a file of the user"


def test_an_index_of_no_picture(build, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    (root / "bad.png").write_bytes(b"x")
    report = build(root)
    assert (report.new, len(report.quarantined)) == (0, 1)
    assert Index(tmp_path / "index").search(np.eye(1, 192, dtype=np.float32)) == [[]]
    (root / "good.png").write_bytes(png("red"))
    assert build(root).new == 1


def test_a_damaged_quarantine_is_no_obstacle(build, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    (root / "bad.png").write_bytes(b"x")
    (root / "good.png").write_bytes(png("red"))
    build(root)
    place = tmp_path / "index" / runs.QUARANTINE_NAME
    place.write_bytes(place.read_bytes() + b'{"id": "half\xff\n[1]\n{"reason": "x"}\nnull\n')
    assert [one.id for one in build(root).quarantined] == ["bad.png"]


def test_odd_dates_are_dates_or_none(build, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    times = [
        "2019:07:04 24:00:00",
        "0000:00:00 00:00:00",
        "2019",
        "1850:01:01 00:00:00",
        "\x00\x00",
    ]
    for number, time in enumerate(times):
        (root / f"{number}.jpg").write_bytes(with_exif(time=time) + bytes([number]))
    assert build(root).new == len(times)
    table = Store.open(tmp_path / "index").columns(["id", "taken_at"])
    found = dict(zip(*table.values(), strict=True))
    assert [found[f"{i}.jpg"] for i in range(len(times))] == [
        datetime(2019, 7, 4),
        None,
        datetime(2019, 1, 1),
        datetime(1850, 1, 1),
        None,
    ]


# Tables of downloads


def test_rows_are_taken_by_what_is_there_not_by_their_status(build, tmp_path):
    root = tmp_path / "files"
    (root / "00000").mkdir(parents=True)
    for name in ("0", "2", "3"):
        (root / "00000" / f"{name}.png").write_bytes(png((int(name) * 50, 0, 0)))
    table = {
        "key": ["0", "1", "2", "3", "4", None, "0"],
        "status": [
            "success",
            "failed_to_download",
            None,
            "failed_to_resize",
            "success",
            None,
            None,
        ],
        "caption": [b"caf\xc3\xa9", None, b"\xff\0", None, None, None, None],
    }
    pq.write_table(pa.table(table), root / "00000.parquet")
    report = build(root / "00000.parquet")
    assert held(tmp_path) == ["00000/0.png", "00000/2.png", "00000/3.png"]
    assert [(one.id, one.reason) for one in report.quarantined] == [
        ("4", "there is no such file"),
        ("row 5", "its key is empty"),
    ]
    assert [(one.id, one.why) for one in report.skipped] == [
        ("1", Why.NOT_DOWNLOADED),
        ("00000/0.png", Why.CLASH),
    ]
    table = Store.open(tmp_path / "index").columns(["id", "caption"])
    captions = dict(zip(*table.values(), strict=True))
    assert (captions["00000/0.png"], captions["00000/2.png"]) == ("caf\u00e9", "\ufffd\ufffd")


def test_of_two_files_with_one_key_the_first_by_name_is_taken(build, tmp_path):
    root = tmp_path / "files"
    (root / "0").mkdir(parents=True)
    for name in ("7.png", "7.jpg", "7.bmp", "7.gif"):
        Image.new("RGB", (8, 8), "red").save(root / "0" / name)
    (root / "0" / "7.aaa").write_text("no picture")
    pq.write_table(pa.table({"key": ["7"]}), root / "0.parquet")
    assert build(root / "0.parquet").new == 1
    assert held(tmp_path) == ["0/7.bmp"]


def test_the_tar_beside_a_table_is_read(build, tmp_path):
    root = tmp_path / "wds"
    make_tar(root / "0.tar", {"00.png": png("red"), "01.png": png("blue")})
    pq.write_table(
        pa.table({"key": ["00", "01", "02"], "url": ["x", "y", "z"]}), root / "0.parquet"
    )
    report = build(root / "0.parquet")
    assert (report.new, [one.id for one in report.quarantined]) == (2, ["02"])
    assert held(tmp_path) == ["0/00.png", "0/01.png"]
    assert build(root, out=tmp_path / "tars").new == 2  # under the same ids
    assert Store.open(tmp_path / "tars").ids() == Store.open(tmp_path / "index").ids()


@pytest.mark.parametrize(
    "values",
    [
        ["a.png", "a\0b", "x" * 5000, "../up.png", "/etc/passwd", ""],
        [b"a.png", b"\xff", b"", b"..", None],
    ],
)
def test_paths_that_are_none(build, tmp_path, values):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.png").write_bytes(png("red"))
    pq.write_table(pa.table({"path": values}), tmp_path / "files" / "t.parquet")
    report = build(tmp_path / "files" / "t.parquet")
    assert (report.new, len(report.quarantined)) == (1, len(values) - 1)


def test_what_is_no_table_and_what_is_packed(build, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1junk")
    with pytest.raises(errors.InputError, match="cannot be read as parquet"):
        build(tmp_path / "t.parquet")
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    with pytest.raises(errors.InputError, match="compressed archive") as caught:
        build(tmp_path / "a.tar.gz")
    assert "gunzip" in caught.value.hint
    (tmp_path / "b.tar").write_bytes(b"x" * 600)
    with pytest.raises(errors.InputError, match="damaged or cut"):
        build(tmp_path / "b.tar")


# The command


def test_the_summary_and_the_list(run, tmp_path):
    root = tmp_path / "photos"
    (root / "raw").mkdir(parents=True)
    (root / "a.png").write_bytes(png("red"))
    (root / "raw" / "b.png").write_bytes(png("blue"))
    (root / "esc\x1b[31m.cr2").write_bytes(b"II*\0")
    (root / "bad\x1b[31m.png").write_bytes(b"x")
    for verb in (
        ("index", root, "--model", "fake:pixels", "--out", tmp_path / "i"),
        ("embed", "images", root, "--tower", "fake:pixels", "--out", tmp_path / "s"),
    ):
        code, out, err = run(*verb, "--exclude", "raw", "--exclude", "*.gif")
        assert code == 0, err
        assert out.splitlines()[0].startswith("1 new")
        assert "1 file in an image format that is not read (.cr2 1)" in out
        assert "1 left out by --exclude (raw/)" in out
        assert "esc" not in out
        _, out, err = run(*verb, "--exclude", "raw", "--list-skipped")
        assert "    esc\\x1b[31m.cr2" in out
        assert "bad\\x1b[31m.png" in err
        assert "\x1b" not in out + err
