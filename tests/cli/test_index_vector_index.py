"""`polyglance index` gives a large index its vector index and says how well that finds."""

import json
from dataclasses import replace

import pytest

from polyglance import errors
from polyglance.model import dual_encoder
from polyglance.search import indexing
from polyglance.storage import ann_build
from polyglance.storage.ann_index import facts_of
from polyglance.storage.store import Store


@pytest.fixture(autouse=True)
def pays_at_once(monkeypatch):
    monkeypatch.setattr(ann_build, "LEAST_ROWS", 10)


@pytest.fixture
def words(monkeypatch):
    """The invented world knows no other words."""
    texts = ["big red circle", "small blue square", "big green ring"]
    monkeypatch.setattr(ann_build, "query_texts", lambda: texts)


def test_it_is_built_measured_and_asked(run, picture_folder, model_folder, tmp_path, words):
    argv = ("index", picture_folder, "--model", model_folder, "--out", tmp_path / "index")
    code, out, _ = run(*argv)
    facts = facts_of(Store.open(tmp_path / "index").table)
    assert code == 0
    assert "vector index over 72 rows" in out
    assert f"{facts.recall_rows:.1%} of the ten nearest of items" in out
    assert f"of texts {facts.recall_texts:.1%}" in out
    assert "vector index" not in run(*argv)[1]  # nothing new, nothing to build
    code, out, _ = run(
        "search", "big red circle", "--index", tmp_path / "index", "--language", "en", "--json"
    )
    assert code == 0
    assert "big-red-circle.png" in [hit["id"] for hit in json.loads(out)["hits"]]


def test_without_a_text_side_it_is_built_all_the_same(
    run, picture_folder, model_folder, tmp_path, monkeypatch
):
    def load_side(reference, name):
        raise errors.UnavailableError(f"no {name} side here", hint="none")

    monkeypatch.setattr(dual_encoder, "load_side", load_side)
    argv = ("index", picture_folder, "--model", model_folder, "--out", tmp_path / "index")
    code, out, err = run(*argv)
    assert code == 0
    assert "measured without texts: no text side here" in err
    assert "vector index over 72 rows" in out
    assert facts_of(Store.open(tmp_path / "index").table).recall_texts is None


def test_python_leaves_what_the_command_leaves(run, picture_folder, model_folder, tmp_path, words):
    run("index", picture_folder, "--model", model_folder, "--out", tmp_path / "by-command")
    report = indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "by-python")
    by_command, by_python = (
        facts_of(Store.open(tmp_path / name).table) for name in ("by-command", "by-python")
    )
    assert by_python == report.vector_index
    assert replace(by_python, seconds=0.0) == replace(by_command, seconds=0.0)
    again = indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "by-python")
    assert again.vector_index is None
