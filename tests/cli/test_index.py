"""What `polyglance index` says where it can do little of what was asked."""

import shutil

import numpy as np
import pytest

from picture_files import png
from polyglance import errors
from polyglance.encoding import runs
from polyglance.search import indexing
from polyglance.storage.store import Store

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
        assert "none of the 2 images of" in err
        aside = runs.read_quarantine(Store.open(tmp_path / "i"))
        assert sorted(one.id for one in aside) == ["a.jpg", "b.png"]
    report = indexing.build(folder, model=MODEL, out=tmp_path / "i")
    assert (len(report.quarantined), report.num_rows) == (2, 0)
    with pytest.raises(errors.InputError, match="none of the 2 images"):
        report.require_rows(folder)
    (folder / "c.png").write_bytes(png("red"))
    assert index(folder)[0] == 0


def test_every_picture_that_cannot_be_read_is_named_if_asked(index, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.png").write_bytes(png("red"))
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(b"")
    told = [index(folder, *options)[2] for options in ((), ("--list-skipped",))]
    assert [err.count("zero bytes") for err in told] == [10, 12]
    assert ["quarantine.jsonl" in err for err in told] == [True, False]


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
    assert len(runs.read_quarantine(Store.open(tmp_path / "i"))) == 2
    vectors(source, np.eye(2, 192))
    assert index(source, "--space", "model")[0] == 0
    vectors(source, np.zeros((2, 192)))
    assert index(source, "--space", "model")[0] == 0  # both rows stay


def test_a_file_of_no_vectors_is_a_fault(index, tmp_path):
    code, _, err = index(vectors(tmp_path / "v", np.zeros((0, 192)), ids=()), "--space", "model")
    assert (code, "holds no vector" in err) == (2, True)
    assert not (tmp_path / "i").exists()


# What does not go together is said before a picture is encoded


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pack", "typo"), "no language pack at typo"),
        (("--drop",), "none was given"),
        (("--reencode",), "none was given"),
        (("--pack", "PACK", "--reencode"), "needs no item again"),
        (("--pack", "PACK", "--reencode", "--drop"), "one of them"),
    ],
)
def test_a_pack_is_looked_at_first(
    run, pack_folder, picture_folder, model_folder, tmp_path, options, said
):
    options = [pack_folder if one == "PACK" else one for one in options]
    code, out, err = run(
        "index", picture_folder, "-m", model_folder, "-o", tmp_path / "i", *options
    )
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert not (tmp_path / "i").exists()


def test_a_pack_of_another_space_is_refused_first(
    run, pack_folder, picture_folder, teacher, tmp_path
):
    from dataclasses import replace

    replace(teacher, content=replace(teacher.content, head_input="raw")).save(tmp_path / "other")
    argv = ("index", picture_folder, "-m", tmp_path / "other", "-o", tmp_path / "i")
    code, out, err = run(*argv, "--pack", pack_folder)
    assert (code, out, "one space only" in err) == (2, "", True)


def test_two_files_of_ids_are_refused(index, tmp_path):
    source = vectors(tmp_path / "v", np.eye(2, 192))
    (source / "ids.json").write_text('["b", "a"]')
    code, _, err = index(source, "--space", "model")
    assert (code, "both ids.txt and ids.json" in err) == (2, True)
    assert not (tmp_path / "i").exists()


def test_a_pack_for_vectors_in_a_named_space_hears_both_spaces(
    run, pack_folder, model_folder, teacher, tmp_path
):
    source = vectors(tmp_path / "v", np.eye(2, 24))
    argv = ("index", source, "-m", model_folder, "--space", "myspace", "-o", tmp_path / "i")
    assert run(*argv)[0] == 0
    code, _, err = run("search", "rot", "--index", tmp_path / "i", "--pack", pack_folder)
    assert code == 2
    assert "the index's vectors lie in the space 'myspace'" in err
    assert f"the pack speaks to the space '{teacher.space_id}'" in err
    assert f"--space {teacher.space_id}" in err


# The hints about what is left of an index are commands that work


def test_an_index_without_its_table(run, index_folder, picture_folder, model_folder, tmp_path):
    argv = ("index", picture_folder, "--model", model_folder, "--out")
    shutil.rmtree(index_folder / "vectors.lance")
    for asked in (("search", "red", "--index", index_folder), (*argv, index_folder)):
        code, _, err = run(*asked)
        assert code == 2
        assert f"delete what is left ({index_folder})" in err
        assert "another --out" in err
    assert run(*argv, tmp_path / "another")[0] == 0
    shutil.rmtree(index_folder)
    assert run(*argv, index_folder)[0] == 0


@pytest.mark.parametrize("left", [None, "{", "{}"])
def test_an_index_without_its_manifest(run, index_folder, left):
    manifest = index_folder / "store.json"
    manifest.unlink() if left is None else manifest.write_text(left)
    code, _, err = run("search", "red", "--index", index_folder)
    assert code == 2
    command = f"polyglance check-index {index_folder} --repair"
    assert command in err
    assert run(*command.split()[1:])[0] == 0
    assert run("search", "red", "--index", index_folder)[0] == 0


def test_rows_without_their_manifest_are_not_overwritten(
    index_folder, picture_folder, model_folder
):
    (index_folder / "store.json").unlink()
    before = {path: path.read_bytes() for path in (index_folder / "vectors.lance").rglob("*.lance")}
    with pytest.raises(errors.StoreError, match="no manifest") as refused:
        indexing.build(picture_folder, model=str(model_folder), out=index_folder)
    assert "--repair" in refused.value.hint
    assert {path: path.read_bytes() for path in before} == before
