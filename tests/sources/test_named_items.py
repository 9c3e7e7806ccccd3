from __future__ import annotations

import json
import unicodedata

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.sources import named_items
from polyglance.sources.webdataset import read_span

NAMES = ["red.png", "blue.png", "green.png", "white.png", "absent.png"]


def colours(found):
    return {
        image.id: read_span(image.path, image.span) if image.span else image.path.read_bytes()
        for image in found.items
    }


def test_a_numbered_member_goes_by_what_stands_beside_it(tmp_path):
    beside = {
        "0.json": json.dumps({"caption": "x", "file_name": "val/red.png"}).encode(),
        "1.txt": b" blue.png\n",
        "2.json": json.dumps({"url": "any://host/a/green.png?size=9"}).encode(),
        "3.json": b"{",
        "4.json": b"[]",
    }
    pictures = {f"{i}.png": png(name) for i, name in enumerate(("red", "blue", "green", "black"))}
    make_tar(tmp_path / "a.tar", {**pictures, **beside, "x/white.png": png("white")})
    found = named_items.find_named(tmp_path, NAMES, "image")
    assert colours(found) == {
        f"{name}.png": png(name) for name in ("red", "blue", "green", "white")
    }
    assert [image.id for image in found.items] == NAMES[:4]
    assert found.damaged_tars == ()


def test_what_stands_beside_is_believed_before_a_number_that_looks_like_a_name(tmp_path):
    make_tar(
        tmp_path / "a.tar",
        {
            "1.png": png("red"),
            "1.json": b'{"file_name": "2.png"}',
            "2.png": png("blue"),
            "2.json": b'{"file_name": "1.png"}',
            # A name that nobody asked for says nothing.
            "3.png": png("green"),
            "3.json": b'{"file_name": "other.png", "url": 7}',
        },
    )
    found = colours(
        named_items.find_named(tmp_path / "a.tar", ["1.png", "2.png", "3.png"], "image")
    )
    assert found == {"1.png": png("blue"), "2.png": png("red"), "3.png": png("green")}


def test_loose_files_go_before_tars_and_damaged_tars_are_named(tmp_path):
    (tmp_path / "red.png").write_bytes(png("red"))
    make_tar(tmp_path / "a.tar", {"red.png": png("blue"), "blue.png": png("blue")})
    (tmp_path / "b.tar").write_bytes(b"x" * 2000)
    found = named_items.find_named(tmp_path, NAMES, "image")
    assert colours(found) == {"red.png": png("red"), "blue.png": png("blue")}
    assert [item.id for item in found.damaged_tars] == ["b.tar"]
    assert "damaged" in found.damaged_tars[0].reason


def test_beside_the_end_of_a_cut_tar(tmp_path):
    path = make_tar(
        tmp_path / "a.tar", {"0.png": png("red"), "0.json": b'{"file_name": "red.png"}'}
    )
    path.write_bytes(path.read_bytes()[: 512 * 3 + 4])  # in the middle of the json
    found = named_items.find_named(path, ["red.png", "0.png"], "image")
    assert [image.id for image in found.items] == ["0.png"]


def test_neither_pictures_nor_tars(tmp_path):
    with pytest.raises(errors.InputError, match="there is no image in"):
        named_items.find_named(tmp_path, NAMES, "image")


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        ("val2014/1.png", "val2014/1.png"),
        ("deep/val2014/1.png", "val2014/1.png"),
        ("1.png", "val2014/1.png"),
        ("1.png", "val2014\\1.png"),
        ("1.PNG", "1.png"),
        (unicodedata.normalize("NFD", "Größe.png"), unicodedata.normalize("NFC", "Größe.png")),
    ],
)
def test_a_name_is_found_with_folders_and_in_other_spellings(tmp_path, there, asked):
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_bytes(png("red"))
    (tmp_path / "other.png").write_bytes(png("blue"))
    found = named_items.find_named(tmp_path, [asked], "image")
    assert colours(found) == {asked: png("red")}
    assert found.ambiguous == ()


def test_folders_and_spelling_tell_pictures_of_one_name_apart(tmp_path):
    for folder, colour in (("train", "red"), ("val", "blue")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(png(colour))
    found = named_items.find_named(tmp_path, ["val/1.png", "train/1.png", "test/1.png"], "image")
    assert colours(found) == {"val/1.png": png("blue"), "train/1.png": png("red")}
    assert found.ambiguous == ()
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "A.png").write_bytes(png("blue"))
    both = named_items.find_named(tmp_path, ["A.png", "a.png"], "image")
    assert colours(both) == {"A.png": png("blue"), "a.png": png("red")}


def test_a_name_that_fits_two_pictures_is_said_unless_they_are_the_same(tmp_path):
    for folder, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(png(colour))
        (tmp_path / folder / "2.png").write_bytes(png("green"))
    found = named_items.find_named(tmp_path, ["1.png", "2.png"], "image")
    assert colours(found) == {"1.png": png("red"), "2.png": png("green")}
    (said,) = found.ambiguous
    assert said.id == "1.png"
    assert "a/1.png was taken and not b/1.png" in said.reason
