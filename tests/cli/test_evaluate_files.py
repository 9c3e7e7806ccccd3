"""`polyglance eval`: the publisher's files fetched, the pictures in tars or as vectors."""

import hashlib
import json
from dataclasses import replace

import pytest

import small_world
from polyglance import tasks
from polyglance.tasks.rows import PinnedFile

NAMES = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """XTD10 in small, behind addresses that can be fetched; returns the publisher's folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "test_image_names.txt").write_text("\n".join(NAMES) + "\n")
    lines = [caption.text for caption in small_world.captions("deu_Latn")]
    (folder / "test_1kcaptions_de.txt").write_text("\n".join(lines))
    pinned = tuple(
        PinnedFile(
            url=path.as_uri(), path=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in sorted(folder.iterdir())
    )
    table = {**tasks.TASKS, "xtd10": replace(tasks.TASKS["xtd10"], downloads=pinned)}
    monkeypatch.setattr(tasks, "TASKS", table)
    return folder


def evaluate(run, model_folder, picture_folder, *options):
    argv = ("eval", model_folder, "--task", "xtd10", "--images", picture_folder, "--json")
    return run(*argv, *options)


@pytest.mark.parametrize("given", [True, False], ids=["into --data", "into the cache"])
def test_download_fetches_what_is_pinned(
    run, model_folder, picture_folder, published, tmp_path, given
):
    options = ("--data", tmp_path / "data") if given else ()
    code, out, err = evaluate(run, model_folder, picture_folder, "--download", *options)
    assert code == 0, err
    rows = json.loads(out)
    assert {row["language"] for row in rows} == {"deu_Latn"}
    assert rows[0]["num_queries"] == len(NAMES)
    where = tmp_path / ("data/xtd10" if given else "cache/tasks/xtd10")
    assert sorted(path.name for path in where.iterdir()) == sorted(
        path.name for path in published.iterdir()
    )


def test_download_says_what_has_changed(run, model_folder, picture_folder, published):
    (published / "test_1kcaptions_de.txt").write_text("something else\n")
    code, _, err = evaluate(run, model_folder, picture_folder, "--download")
    assert code == 2
    assert "has the hash" in err.splitlines()[0]
    assert err.splitlines()[1].startswith("  -> ")


def test_without_download_the_files_are_asked_for(run, model_folder, picture_folder, published):
    code, _, err = evaluate(run, model_folder, picture_folder)
    assert code == 2
    assert "not part of polyglance" in err
    assert "--download" in err
