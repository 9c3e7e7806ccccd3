"""Folders as people type them, among those that an index has."""

import unicodedata

import pytest

from polyglance import errors
from polyglance.search.folders import Folders, Place

MAC = unicodedata.normalize("NFD", "München")


@pytest.fixture
def root(tmp_path):
    for name in ("Sub/deep", MAC, "2024/summer"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    return tmp_path / "photos"


@pytest.fixture
def folders(root):
    ids = ["Sub/deep/a.jpg", f"{MAC}/b.jpg", "2024/summer/c.jpg", "d.jpg"]
    return Folders(ids, [f"{root}/{name}" for name in ids])


@pytest.mark.parametrize(
    "typed", ["Sub", "Sub/", "./Sub", "Sub//", "Sub/../Sub", "photos/Sub", "SUB"]
)
def test_from_the_index(folders, root, typed):
    found = folders.find(typed)
    assert found in ((Place("id", "Sub"),), (Place("path", f"{root}/Sub"),))


@pytest.mark.parametrize(
    ("stands", "typed", "folder"),
    [
        (".", "photos/Sub", "Sub"),
        (".", "./photos/sub/", "Sub"),
        ("photos/Sub", ".", "Sub"),
        ("photos/Sub", "..", ""),
        ("photos/Sub/deep", "../../2024", "2024"),
        ("photos", "München", MAC),
    ],
)
def test_from_here(folders, root, stands, typed, folder):
    found = folders.find(typed, here=root.parent / stands)
    full = f"{root}/{folder}".rstrip("/")
    assert Place("path", full) in found
    assert set(found) <= {Place("path", full), Place("id", folder)}


def test_absolute_and_through_a_link(folders, root, tmp_path):
    assert folders.find(f"{root}/Sub/") == (Place("path", f"{root}/Sub"),)
    (tmp_path / "link").symlink_to(root)
    assert folders.find("link/Sub", here=tmp_path) == (Place("path", f"{root}/Sub"),)


def test_accents_and_case_do_not_matter_and_the_very_spelling_goes_first():
    folders = Folders(["A/x.jpg", "a/y.jpg"], ["/p/A/x.jpg", "/p/a/y.jpg"])
    assert folders.find("a") == (Place("id", "a"),)
    composed = Folders([f"{MAC}/x.jpg"], [f"/p/{MAC}/x.jpg"])
    assert composed.find("MÜNCHEN") == (Place("id", MAC),)


def test_all_of_it(folders):
    for typed in (".", "./", "photos/.."):
        assert Place("id", "") in folders.find(typed)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("summer", "2024/summer"), ("Munchen", MAC), ("nowhere", "2024"), ("/phot", "2024")],
)
def test_a_folder_that_holds_nothing_names_near_ones(folders, typed, near):
    with pytest.raises(errors.InputError, match=f"folder '{typed}'") as caught:
        folders.find(typed)
    assert near in caught.value.hint


def test_folders_that_differ_in_case_alone_are_all_meant_in_the_order_of_their_names():
    ids = [f"{name}/x.jpg" for name in ("aB", "AB", "Ab", "abc")]
    folders = Folders(ids, [f"/p/{name}" for name in ids])
    names = ("AB", "Ab", "aB")
    assert folders.find("ab") == tuple(Place("id", name) for name in names)
    for typed in ("/P/ab", "P/ab"):
        assert folders.find(typed) == tuple(Place("path", f"/p/{name}") for name in names)


@pytest.mark.parametrize(
    ("years", "typed", "hint"),
    [
        (4, "Summer/", "did you mean 2001/summer or 2002/summer or 2003/summer?"),
        (2, "summer", "did you mean 2001/summer or 2002/summer?"),
        (1, "200l/summer", "did you mean 2001/summer?"),
        (2, "2001/sumer", "did you mean 2001/summer or 2002/summer?"),
        (3, "nowhere", "folders of the index are 2001, 2002, 2003"),
        (4, "nowhere", "folders of the index are 2001, 2002, 2003 and 1 more"),
        (6, "nowhere", "folders of the index are 2001, 2002, 2003 and 3 more"),
    ],
)
def test_what_is_named_is_three_folders_at_most(years, typed, hint):
    ids = [f"{2000 + year}/summer/x.jpg" for year in range(years, 0, -1)]
    with pytest.raises(errors.InputError) as caught:
        Folders(ids, [f"/p/{name}" for name in ids]).find(typed)
    assert caught.value.message == f"no item of the index lies in the folder {typed!r}"
    assert caught.value.hint == hint


def test_items_in_no_folder():
    with pytest.raises(errors.InputError) as caught:
        Folders(["a", "b"], ["", ""]).find("x")
    assert "no folders" in caught.value.hint


def test_a_name_that_steers_a_terminal_is_told_without():
    with pytest.raises(errors.InputError) as caught:
        Folders(["a\x1b[31m/b.jpg"], ["/p/a\x1b[31m/b.jpg"]).find("elsewhere")
    assert "a?[31m" in caught.value.hint


def test_the_roots_are_what_stands_before_the_ids():
    """Of pictures in a tar the path is the tar's: it ends with no id."""
    folders = Folders(["a/x.jpg", "t.tar/y.jpg"], ["/p/a/x.jpg", "/p/t.tar"])
    assert folders.roots == frozenset({"/p"})
