"""`polyglance index PHOTOS` and `polyglance search TEXT`, and nothing else."""

import json

import numpy as np
import pytest

import small_world
from polyglance.model import shipped
from polyglance.search import own_indexes


@pytest.fixture
def default_model(monkeypatch, model_folder):
    """The small model in the place of the one that ships."""
    monkeypatch.setattr(shipped, "DEFAULT", str(model_folder))
    return str(model_folder)


def test_two_commands_and_no_option(run, default_model, picture_folder):
    before = sorted(picture_folder.rglob("*"))
    code, out, err = run("index", picture_folder)
    assert code == 0, err
    place = own_indexes.place_of(picture_folder, model=default_model)
    assert f"{len(small_world.PHRASES)} new" in out
    assert str(place) in out
    code, out, err = run("search", "big red circle", "-l", "en", "--json")
    assert code == 0, err
    assert json.loads(out)["hits"][0]["id"] == "big-red-circle.png"
    assert f"index: {place}" in err
    code, out, _ = run("index", picture_folder)  # again: brought up to date
    assert (code, "0 new" in out) == (0, True)
    assert sorted(picture_folder.rglob("*")) == before


def test_a_search_before_any_index_says_how_to_make_one(run):
    code, _, err = run("search", "big red circle")
    assert code == 2
    assert "none was made yet" in err
    assert "polyglance index ~/Pictures" in err


def test_an_index_elsewhere_is_not_taken_for_the_last(run, default_model, picture_folder, tmp_path):
    assert run("index", picture_folder, "--out", tmp_path / "elsewhere")[0] == 0
    assert run("search", "big red circle")[0] == 2


def test_vectors_need_a_model(run, tmp_path):
    folder = tmp_path / "vectors"
    folder.mkdir()
    np.save(folder / "vectors.npy", np.ones((1, 4), np.float32))
    (folder / "ids.txt").write_text("a\n")
    code, _, err = run("index", folder)
    assert code == 2
    assert "no model was named" in err


def test_a_folder_without_one_photo_is_refused(run, default_model, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("no photo")
    code, _, err = run("index", folder)
    assert code == 2
    assert "  -> " in err
    assert run("search", "x")[0] == 2


def test_a_shipped_model_says_what_it_knows(capsys):
    for name in shipped.SHIPPED:
        assert name in shipped.notice_of(name)
        assert "hf:" in shipped.notice_of(name)
    assert "for research" in shipped.notice_of("photos")
    assert "photos-open" in shipped.notice_of("photos")
    assert shipped.notice_of("hf:a/b") is None


def test_what_it_says_fits_a_terminal(run, default_model, picture_folder, monkeypatch):
    monkeypatch.setattr(shipped, "notice_of", lambda _: "photos answers: " + "a word " * 30)
    code, _, err = run("index", picture_folder)
    assert code == 0, err
    notice = err[err.index("photos answers") :].splitlines()
    assert len(notice) > 2
    assert max(map(len, notice)) <= 80


def test_a_data_folder_that_cannot_be_written_is_named(
    run, default_model, picture_folder, monkeypatch, tmp_path
):
    (tmp_path / "data-file").write_text("no folder")
    monkeypatch.setenv("POLYGLANCE_DATA", str(tmp_path / "data-file"))
    code, out, err = run("index", picture_folder)
    assert (code, out) == (2, "")
    assert "data-file" in err.splitlines()[0]
    assert "export POLYGLANCE_DATA=FOLDER" in err.splitlines()[1]
    code, _, err = run("index", picture_folder, "--out", tmp_path / "data-file")
    assert code == 2
    assert "POLYGLANCE_DATA" not in err


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (("index", ""), "a path"),
        (("index", "photos", "--out", ""), "--out"),
        (("index", "photos", "--out="), "--out"),
        (("index", "photos", "-o", ""), "-o"),
        (("search", "dog", "--image", ""), "--image"),
        (("train", "ridge", "-m", "photos", "--bank", "", "--out", "pack"), "--bank"),
    ],
)
def test_an_empty_path_is_not_the_folder_that_one_is_in(run, argv, what, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.splitlines()[0].endswith(f"{what} is empty; it would mean the folder you are in")
    assert len(err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_empty_text_is_no_path(run):
    assert "is empty; it would mean" not in run("search", "")[2]
    assert "is empty; it would mean" not in run("search", "x", "--language", "")[2]
