"""A store of raw vectors is no index, and an index is no store for raw vectors."""

import pytest

from polyglance import errors
from polyglance.encoding import texts
from polyglance.search import indexing, searcher
from polyglance.storage.store import Store


@pytest.fixture(params=["images", "text", "cache"])
def raw(request, run, picture_folder, english, tmp_path):
    """A store that is no index: of pictures, of texts, or of the cache."""
    out = tmp_path / "st"
    if request.param == "text":
        assert run("embed", "text", english, "-t", "fake:multilingual", "-o", out)[0] == 0
    elif request.param == "images":
        assert run("embed", "images", picture_folder, "-t", "fake:pixels", "-o", out)[0] == 0
    else:
        import small_world

        tower = small_world.load_reference("fake:multilingual")
        store = texts.VectorCache(tmp_path / "cache").store_of(tower)
        texts.embed_texts(["a", "b"], tower, store=store)
        out = store.path
    return out


def test_it_is_not_searched(run, raw):
    num_rows = len(Store.open(raw))
    code, _, err = run("search", "red", "--index", raw)
    assert code == 2
    assert f"{raw} is a store of vectors, made by polyglance embed, and no index" in err
    assert "polyglance index FOLDER --model MODEL --out INDEX" in err
    with pytest.raises(errors.StoreError, match="no index"):
        searcher.Searcher(f"file://{raw}")
    assert len(Store.open(raw)) == num_rows


@pytest.mark.parametrize("kind", ["pictures", "vectors"])
def test_no_index_is_made_in_it(run, raw, picture_folder, kind, tmp_path):
    import numpy as np

    before = Store.open(raw).ids()
    argv = ["index", picture_folder, "--model", "fake:pixels", "--out", raw]
    if kind == "vectors":
        argv[1] = tmp_path / "v"
        argv[1].mkdir()
        np.save(argv[1] / "vectors.npy", np.eye(2, 192, dtype=np.float32))
        (argv[1] / "ids.txt").write_text("a\nb\n")
        argv += ["--space", "model"]
    code, _, err = run(*argv)
    assert code == 2
    assert "made by polyglance embed, and no index" in err
    assert Store.open(raw).ids() == before


def test_raw_vectors_do_not_go_into_an_index(run, picture_folder, tmp_path):
    import small_world

    indexing.build(picture_folder, model="fake:pixels", out=tmp_path / "i")
    small_world.draw("big red circle", seed=7).save(picture_folder / "more.png")
    before = Store.open(tmp_path / "i").ids()
    code, _, err = run("embed", "images", picture_folder, "-t", "fake:pixels", "-o", tmp_path / "i")
    assert (code, "is an index" in err) == (2, True)
    assert Store.open(tmp_path / "i").ids() == before
