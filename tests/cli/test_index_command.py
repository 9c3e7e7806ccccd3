"""What `polyglance index` says where it can do little of what was asked."""

import numpy as np
import pytest

from picture_files import png
from polyglance import embed, errors
from polyglance.search import indexing
from polyglance.store import Store

MODEL = "fake:pixels"


def vectors(folder, found, ids=("a", "b")):
    folder.mkdir(exist_ok=True)
    np.save(folder / "vectors.npy", np.asarray(found, dtype=np.float32))
    (folder / "ids.txt").write_text("".join(f"{one}\n" for one in ids))
    return folder


@pytest.fixture
def index(run, tmp_path):
    """The command, into one index."""

    def runner(source, *options):
        return run("index", source, "-m", MODEL, "-o", tmp_path / "i", *options)

    return runner


# Nothing could be read


def test_pictures_that_cannot_be_read_at_all_are_a_fault(index, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"")
    (folder / "b.png").write_text("no picture")
    for _ in range(2):  # an index that was empty already is so still
        code, out, err = index(folder)
        assert code == 2
        assert "0 new, 0 known" in out
        assert "a.jpg: a.jpg cannot be read as an image: zero bytes" in err
        assert "none of the 2 pictures of" in err
        aside = embed.read_quarantine(Store.open(tmp_path / "i"))
        assert sorted(one.id for one in aside) == ["a.jpg", "b.png"]
    report = indexing.build(folder, model=MODEL, out=tmp_path / "i")
    assert (len(report.quarantined), report.num_rows) == (2, 0)
    with pytest.raises(errors.InputError, match="none of the 2 pictures"):
        report.require_rows(folder)
    (folder / "c.png").write_bytes(png("red"))
    assert index(folder)[0] == 0


def test_an_index_that_keeps_rows_is_no_fault(index, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(png("red"))
    assert index(folder)[0] == 0
    (folder / "a.png").write_bytes(b"damaged by now")
    code, _, err = index(folder)
    assert (code, "1 could not be read" in err) == (0, True)
    assert len(Store.open(tmp_path / "i")) == 1


def test_vectors_of_which_none_can_be_used_are_a_fault(index, tmp_path):
    source = vectors(tmp_path / "v", np.zeros((2, 192)))
    code, _, err = index(source, "--space", "model")
    assert code == 2
    assert "a: vectors.npy: length 0" in err
    assert "none of the 2 vectors of" in err
    assert len(embed.read_quarantine(Store.open(tmp_path / "i"))) == 2
    vectors(source, np.eye(2, 192))
    assert index(source, "--space", "model")[0] == 0
    vectors(source, np.zeros((2, 192)))
    assert index(source, "--space", "model")[0] == 0  # both rows stay


def test_a_file_of_no_vectors_is_a_fault(index, tmp_path):
    code, _, err = index(vectors(tmp_path / "v", np.zeros((0, 192)), ids=()), "--space", "model")
    assert (code, "holds no vector" in err) == (2, True)
    assert not (tmp_path / "i").exists()
