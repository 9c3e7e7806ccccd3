"""The command `polyglance demo`: what it refuses before work begins, and where it writes."""

from pathlib import Path

import pytest

from polyglance import demo
from polyglance.demo import photos


@pytest.fixture
def began(monkeypatch, tmp_path):
    """What each of the two demos was given; neither runs."""
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(demo, "run", lambda out, fresh: found.append((out, fresh)))
    monkeypatch.setattr(
        photos, "run", lambda folder, out, pack: found.append((folder, out, pack)) or {}
    )
    return found


def test_without_photos_it_is_the_demo_on_pictograms(run, began):
    assert run("demo")[0] == 0
    assert run("demo", "--fresh", "--out", "elsewhere")[0] == 0
    assert began == [(Path("demo"), False), (Path("elsewhere"), True)]


def test_photos_have_a_folder_of_their_own(run, began, picture_folder):
    assert run("demo", "--photos", picture_folder)[0] == 0
    argv = ("demo", "--photos", picture_folder, "--pack", "p", "--out", "elsewhere")
    assert run(*argv)[0] == 0
    assert began == [
        (picture_folder, Path("demo-photos"), None),
        (picture_folder, Path("elsewhere"), "p"),
    ]


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (("--photos", "p", "--fresh"), "--photos and --fresh were given", "one of them"),
        (("--pack", "p"), "--pack p is for photos", "--photos FOLDER"),
        (("--photos", "p", "--out", "p"), "is given as", "a place of its own"),
    ],
)
def test_what_does_not_go_together_is_refused(run, began, argv, said, hint):
    code, _, err = run("demo", *argv)
    assert code == 2
    assert said in err
    assert hint in err
    assert began == []


def test_a_folder_that_holds_something_else_stays(run, began, tmp_path, picture_folder):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    code, _, err = run("demo", "--photos", picture_folder, "--out", tmp_path / "mine")
    assert code == 2
    assert "thesis.txt" in err
    assert began == []
