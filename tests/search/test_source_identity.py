"""One index a source and a kind: another is refused, one that was moved is followed."""

import shutil

import numpy as np
import pytest

from picture_files import png
from polyglance import errors, progress
from polyglance.search import indexing, source_identity
from polyglance.search.removal import Policy
from polyglance.storage.store import Store

MODEL, WIDTH = "fake:pixels", 192


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(8):
        (folder / f"{i}.png").write_bytes(png((20 * i, 0, 90)))
    return folder


def vectors(folder, *ids, seed=0):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    np.save(folder / "vectors.npy", rng.standard_normal((len(ids), WIDTH)).astype(np.float32))
    (folder / "ids.txt").write_text("".join(f"{one}\n" for one in ids))
    return folder


def build(source, out, **options):
    if (source / "vectors.npy").exists():
        options = {"space": "model", **options}
    return indexing.build(source, model=MODEL, out=out, **options)


@pytest.fixture
def said(monkeypatch):
    found = []
    monkeypatch.setattr(progress, "say", found.append)
    return found


@pytest.mark.parametrize(
    ("first", "second"), [("photos", "v"), ("v", "photos"), ("v", "w"), ("photos", "more")]
)
def test_another_source_of_any_kind_is_refused(photos, tmp_path, first, second):
    vectors(tmp_path / "v", "a", "b")
    vectors(tmp_path / "w", "c", "d")
    shutil.copytree(photos, tmp_path / "more")
    index = tmp_path / "index"
    build(tmp_path / first, index)
    before = Store.open(index).ids()
    with pytest.raises(errors.StoreError, match=f"is of .*{first}; .*{second} was given"):
        build(tmp_path / second, index)
    assert Store.open(index).ids() == before
    assert build(tmp_path / first, index).new == 0  # it is not locked out


@pytest.mark.parametrize("first", ["images", "vectors"])
def test_a_folder_that_holds_another_kind_by_now_is_refused(photos, tmp_path, first):
    if first == "vectors":
        vectors(photos, "a", "b")
    build(photos, tmp_path / "index")
    if first == "vectors":
        (photos / "vectors.npy").unlink()
    else:
        vectors(photos, "a", "b")
    with pytest.raises(errors.StoreError, match=f"rows of {first}; "):
        build(photos, tmp_path / "index")


def test_one_shared_picture_makes_no_folder_an_index_s_own(photos, tmp_path, said):
    build(photos, tmp_path / "index")
    photos.rename(tmp_path / "unmounted")
    other = tmp_path / "other"
    other.mkdir()
    for i in range(3):
        shutil.copy(tmp_path / "unmounted" / f"{i}.png", other)
    (other / "3.png").write_bytes(png("white") + b"longer")  # the name alone is not enough
    with pytest.raises(errors.StoreError, match=r"3 of its 8 images are in .*other, and .* 50%"):
        build(other, tmp_path / "index")
    assert said == []
    (tmp_path / "unmounted").rename(photos)
    assert build(photos, tmp_path / "index").known == 8


def test_half_of_the_rows_are_enough_and_the_move_is_said(photos, tmp_path, said):
    build(photos, tmp_path / "index")
    assert source_identity.LEAST_FOUND == 0.5
    other = tmp_path / "other"
    other.mkdir()
    for i in range(4):
        shutil.copy(photos / f"{i}.png", other)
    shutil.rmtree(photos)
    report = build(other, tmp_path / "index")
    assert (report.known, len(report.absent)) == (4, 4)
    assert len(said) == 1
    assert f"{photos} is not there any more; 4 of 8 images" in said[0]
    assert str(other) in said[0]
    build(other, tmp_path / "index")
    assert len(said) == 1


def test_vectors_that_were_moved_are_known_by_their_ids(tmp_path, said):
    build(vectors(tmp_path / "v", "a", "b", "c", "d"), tmp_path / "index")
    shutil.rmtree(tmp_path / "v")
    strange = vectors(tmp_path / "w", "a", "a", "a", "x")
    with pytest.raises(errors.StoreError, match="1 of its 4 vectors"):
        build(strange, tmp_path / "index")
    report = build(vectors(tmp_path / "w", "a", "b"), tmp_path / "index")
    assert (len(report.absent), len(said)) == (2, 1)
    assert Store.open(tmp_path / "index").extra_facts["folder"] == str(tmp_path / "w")


def test_pictures_are_no_move_of_vectors_with_their_names(photos, tmp_path):
    build(photos, tmp_path / "index")
    shutil.rmtree(photos)
    named = vectors(tmp_path / "v", *(f"{i}.png" for i in range(8)))
    with pytest.raises(errors.StoreError, match="8 rows of images"):
        build(named, tmp_path / "index")


def test_vectors_that_go_away_while_they_are_read_take_no_row_along(tmp_path, monkeypatch):
    source = vectors(tmp_path / "v", "a", "b", "c")
    build(source, tmp_path / "index")
    vectors(source, "a", "b")
    decide = indexing.removal.decide_vectors

    def pulled(*args, **options):
        source.rename(tmp_path / "elsewhere")
        return decide(*args, **options)

    monkeypatch.setattr(indexing.removal, "decide_vectors", pulled)
    with pytest.raises(errors.InputError, match="went away"):
        build(source, tmp_path / "index")
    assert len(Store.open(tmp_path / "index")) == 3


def test_nothing_is_left_out_of_vectors_by_a_pattern(tmp_path):
    with pytest.raises(errors.ConfigError, match="holds vectors"):
        build(vectors(tmp_path / "v", "a"), tmp_path / "index", exclude=["a"])


# Which rows of vectors leave, as `removal` has it


IDS = tuple("abcdefghij")


def test_a_row_that_the_source_lacks_leaves(tmp_path):
    build(vectors(tmp_path / "v", *IDS), tmp_path / "index")
    report = build(vectors(tmp_path / "v", *IDS[:-1]), tmp_path / "index")
    assert (report.removed, report.absent, report.missing) == (("j",), (), ())
    assert Store.open(tmp_path / "index").missing(IDS) == ["j"]


def test_the_policy_holds_for_vectors(tmp_path):
    def after(**options):
        report = build(tmp_path / "v", tmp_path / "index", policy=Policy(**options))
        return report.removed, report.absent, report.missing

    build(vectors(tmp_path / "v", *IDS), tmp_path / "index")
    vectors(tmp_path / "v", *IDS[:5])
    gone = IDS[5:]
    assert after() == ((), gone, ())
    assert after(keep_missing=True) == ((), (), gone)
    assert len(Store.open(tmp_path / "index")) == 10
    assert after(max_removed=0.5) == (gone, (), ())
    vectors(tmp_path / "v", "a")
    assert after(forget=True) == (IDS[1:5], (), ())
    vectors(tmp_path / "v")
    with pytest.raises(errors.InputError, match="holds no vector"):
        after()
    assert after(forget=True) == (("a",), (), ())


def test_a_row_that_is_damaged_in_the_source_is_there_still(tmp_path):
    source = vectors(tmp_path / "v", *IDS)
    build(source, tmp_path / "index")
    found = np.load(source / "vectors.npy")
    found[3] = np.nan
    np.save(source / "vectors.npy", found)
    report = build(source, tmp_path / "index")
    assert ([one.id for one in report.quarantined], report.removed) == (["d"], ())
    assert len(Store.open(tmp_path / "index")) == 10


def test_a_vector_under_another_id_was_moved(tmp_path):
    build(vectors(tmp_path / "v", *IDS), tmp_path / "index")
    (tmp_path / "v" / "ids.txt").write_text("\n".join((*IDS[:-1], "new")))
    report = build(tmp_path / "v", tmp_path / "index")
    assert (report.moved, report.new, report.removed) == ((("j", "new"),), 0, ())


def test_the_command_tells_of_vectors_as_of_pictures(run, tmp_path):
    argv = ("index", tmp_path / "v", "-m", MODEL, "--space", "model", "-o", tmp_path / "i")
    vectors(tmp_path / "v", *IDS)
    run(*argv)
    vectors(tmp_path / "v", *IDS[:5])
    code, _, err = run(*argv)
    assert (code, "5 gone, kept in the index" in err, "--forget" in err) == (0, True, True)
    _, out, _ = run(*argv, "--forget")
    assert "5 gone, removed from the index:\n  f\n" in out
