"""`polyglance index PHOTOS` and `polyglance search TEXT`, and nothing else."""

import json
from dataclasses import replace

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
        (("embed", "text", "", "--tower", "x", "--out", "store"), "a path"),
        (("embed", "text", "captions.tsv", "--tower", "x", "--out", ""), "--out"),
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
    assert "is empty; it would mean" not in run("embed", "text", "x", "--tower", "", "-o", "y")[2]
    assert run("embed", "")[0] == 2


def test_another_language_is_answered_without_naming_a_pack(run, shipped_world, picture_folder):
    code, _, err = run("index", picture_folder)
    assert code == 0, err
    assert "small answers, small-ridge in other languages" in err
    asked = small_world.translate("big red circle", "hin_Deva")
    code, out, err = run("search", asked, "--json", "-k", 1)
    assert code == 0, err
    found = json.loads(out)
    assert found["hits"][0]["id"] == "big-red-circle.png"
    assert (found["language"], found["assumed"][0]["pack"]) == ("hin_Deva", "small-ridge")
    code, out, err = run("search", asked, "-k", 1)
    assert "answered by the pack small-ridge" in err
    assert "English, of the small world" in err
    assert max(map(len, err.splitlines()[1:])) <= 80


def test_the_model_alone_by_none(run, shipped_world, picture_folder, tmp_path):
    index = tmp_path / "i"
    assert run("index", picture_folder, "--out", index)[0] == 0
    asked = ("search", "big red circle", "--index", index, "--json")
    code, out, _ = run(*asked, "--pack", "none")
    assert (code, json.loads(out)["answered_by"]) == (0, "teacher")
    assert json.loads(out)["language"] is None
    code, out, _ = run(*asked, "--pack", "small-ridge", "-l", "de")
    assert (code, json.loads(out)["answered_by"]) == (0, "pack")
    code, _, err = run(*asked, "--pack", "none", "--pack", "small-ridge")
    assert (code, "--pack none alone" in err) == (2, True)


def test_languages_of_the_packs_that_ship(run, shipped_world, picture_folder, tmp_path):
    index = tmp_path / "i"
    assert run("index", picture_folder, "--out", index)[0] == 0
    code, out, err = run("languages", "--index", index)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[1:5]] == [
        "arb_Arab",
        "deu_Latn",
        "eng_Latn",
        "hin_Deva",
    ]
    assert "small-ridge" in out
    assert "small answers" in err


def test_an_index_of_earlier_weights_says_the_command(run, shipped_world, picture_folder):
    assert run("index", picture_folder)[0] == 0
    first = own_indexes.last()
    fitted = small_world.fit_teacher()
    head = fitted.content.head
    content = replace(fitted.content, head=replace(head, bias=head.bias + 1))
    replace(fitted, content=content).save(shipped_world / "small")
    code, _, err = run("search", "big red circle")
    assert code == 2
    assert f"polyglance index {picture_folder.resolve()} --model small" in err
    # That command makes another index, and the old one stays.
    (shipped_world / "packs" / "small-ridge" / "pack.json").unlink()
    code, _, err = run("index", picture_folder, "--model", "small")
    assert code == 0, err
    assert own_indexes.last() != first
    assert first.is_dir()
    assert run("search", "big red circle")[0] == 0
