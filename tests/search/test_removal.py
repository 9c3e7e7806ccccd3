"""Absent is not deleted: which rows leave an index, and which stay."""

import shutil

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.search import indexing, thumbnails
from polyglance.search.index import Index
from polyglance.search.removal import Policy
from polyglance.storage.store import Store


@pytest.fixture
def photos(tmp_path):
    """Ten loose pictures, and three on a disk of its own."""
    folder = tmp_path / "photos"
    (folder / "disk").mkdir(parents=True)
    for i in range(10):
        (folder / f"{i}.png").write_bytes(png((20 * i, 0, 90)))
    for i in range(3):
        (folder / "disk" / f"{i}.png").write_bytes(png((20 * i, 200, 90)))
    return folder


@pytest.fixture
def build(photos, tmp_path):
    def builder(source=photos, *, out=tmp_path / "index", **options):
        return indexing.build(source, model="fake:pixels", out=out, **options)

    builder()
    return builder


def held(tmp_path):
    return sorted(Store.open(tmp_path / "index").ids())


DISK = ("disk/0.png", "disk/1.png", "disk/2.png")


@pytest.mark.parametrize("way", ["gone", "empty"])
def test_rows_of_a_folder_that_is_gone_or_empty_stay(build, photos, tmp_path, way):
    (photos / "disk").rename(tmp_path / "aside")
    if way == "empty":
        (photos / "disk" / "@eaDir").mkdir(parents=True)
    (photos / "0.png").unlink()
    report = build()
    assert (report.absent, report.removed) == (DISK, ("0.png",))
    assert len(held(tmp_path)) == 12
    if way == "empty":
        shutil.rmtree(photos / "disk")
    (tmp_path / "aside").rename(photos / "disk")
    assert (build().known, build().absent) == (12, ())


def test_forget_removes_them(build, photos, tmp_path):
    shutil.rmtree(photos / "disk")
    assert build(policy=Policy(max_removed=1)).absent == DISK
    assert build(policy=Policy(forget=True)).removed == DISK
    assert len(held(tmp_path)) == 10


def test_none_leaves_where_more_than_a_share_would(build, photos, tmp_path):
    for i in range(3):
        (photos / f"{i}.png").unlink()
    three = ("0.png", "1.png", "2.png")
    assert build().absent == three  # of 13
    assert build(policy=Policy(max_removed=0)).absent == three
    assert len(held(tmp_path)) == 13
    assert build(policy=Policy(max_removed=0.25)).removed == three


def test_a_single_row_always_may(tmp_path, photos):
    path = make_tar(tmp_path / "a.tar", {"1.png": png("blue"), "2.png": png("red")})
    for members in ({"1.png": png("blue"), "2.png": png("red")}, {"1.png": png("blue")}):
        make_tar(path, members)
        report = indexing.build(path, model="fake:pixels", out=tmp_path / "i")
    assert report.removed == ("a/2.png",)


def test_what_is_left_out_by_choice_leaves_however_much_it_is(build, photos, tmp_path):
    report = build(exclude=["disk", "[0-4].png"])
    assert report.left_out == tuple(sorted((*DISK, *(f"{i}.png" for i in range(5)))))
    assert held(tmp_path) == [f"{i}.png" for i in range(5, 10)]


@pytest.mark.parametrize("policy", [Policy(keep_missing=True), Policy(forget=True)])
def test_it_leaves_whatever_becomes_of_what_is_gone(build, photos, tmp_path, policy):
    (photos / "9.png").unlink()
    report = build(exclude=["disk"], policy=policy)
    assert report.left_out == DISK
    assert (report.missing or report.removed) == ("9.png",)
    assert set(held(tmp_path)).isdisjoint(DISK)


def test_an_emptied_root_is_an_error_until_it_is_to_be_forgotten(build, photos, tmp_path):
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(errors.InputError, match="no image in"):
        build()
    assert len(held(tmp_path)) == 13
    assert len(build(policy=Policy(forget=True)).removed) == 13
    assert held(tmp_path) == []


@pytest.mark.parametrize(
    "options", [{"keep_missing": True, "forget": True}, {"max_removed": 2.0}, {"max_removed": -1}]
)
def test_policies_that_are_none(options):
    with pytest.raises(errors.ConfigError):
        Policy(**options)


def test_the_command_says_how_to_forget(run, build, photos, tmp_path):
    argv = ("index", photos, "--model", "fake:pixels", "--out", tmp_path / "index")
    shutil.rmtree(photos / "disk")
    code, out, err = run(*argv)
    assert (code, "3 gone, kept in the index" in err, "--forget" in err) == (0, True, True)
    _, out, err = run(*argv, "--forget")
    assert "3 gone, removed from the index" in out
    assert "kept" not in err
    code, _, err = run(*argv, "--max-removed", "7")
    assert (code, "0 to 1" in err) == (2, True)


# A folder and a model that were moved


def test_a_moved_folder_is_noted_and_its_rows_follow(build, photos, tmp_path, monkeypatch):
    before = Store.open(tmp_path / "index").vectors([DISK[0]])
    shutil.copytree(photos, tmp_path / "elsewhere", copy_function=shutil.copyfile)  # new times
    shutil.rmtree(photos)
    monkeypatch.setattr("small_world.PixelTower.encode", lambda *_, **__: pytest.fail("encoded"))
    report = build(tmp_path / "elsewhere")
    assert (report.new, report.known, report.removed, report.absent) == (0, 13, (), ())
    store = Store.open(tmp_path / "index")
    assert store.extra_facts["folder"] == str(tmp_path / "elsewhere")
    assert all(
        path.startswith(str(tmp_path / "elsewhere")) for path in store.columns(["path"])["path"]
    )
    assert (store.vectors([DISK[0]]) == before).all()
    assert thumbnails.thumbnail(Index(store.path), DISK[0])
    noted = Store.open(f"file://{tmp_path}/index").extra_facts  # in the table as well
    assert noted["folder"] == str(tmp_path / "elsewhere")


def test_another_folder_in_the_place_of_an_absent_one_is_refused(build, photos, tmp_path):
    photos.rename(tmp_path / "unmounted")
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes(png("white") + b"longer")
    with pytest.raises(errors.StoreError, match="0 of its 13 images are in"):
        build(other)
    assert len(held(tmp_path)) == 13


def test_a_moved_model_is_noted(run, picture_folder, model_folder, tmp_path):
    out = tmp_path / "index"
    indexing.build(picture_folder, model=str(model_folder), out=out)
    model_folder.rename(tmp_path / "moved")
    report = indexing.build(picture_folder, model=str(tmp_path / "moved"), out=out)
    assert (report.new, report.known) == (0, 72)
    assert Store.open(out).extra_facts["model"] == str(tmp_path / "moved")


# Sweeping


def test_only_thumbnails_of_our_own_keys_are_swept(build, photos, tmp_path):
    folder = tmp_path / "index" / thumbnails.FOLDER
    store = Store.open(tmp_path / "index")
    key = dict(zip(store.ids(), store.keys(), strict=True))["0.png"]
    ours = thumbnails.place_of(tmp_path / "index", key)
    half = ours.with_name(f".{key[2:]}-{'0' * 16}.making")  # of a killed run
    theirs = [
        folder / "2020" / "original.jpg",
        folder / key[:2] / "mine.jpg",
        folder / "ab" / f"{'0' * 30}.jpg",
        folder / "ab" / f".{'0' * 30}-{'0' * 16}.making",
    ]
    for path in (half, *theirs):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (photos / "0.png").unlink()
    build()
    assert not ours.exists()
    assert not half.exists()
    assert all(path.exists() for path in theirs)


@pytest.mark.parametrize("inside", [".", "index", "disk/index"])
def test_an_index_in_the_folder_of_its_pictures(photos, tmp_path, inside):
    out = photos / inside
    for known in (0, 13, 13):
        report = indexing.build(photos, model="fake:pixels", out=out)
        assert (report.new, report.known) == (13 - known, known)
    (photos / "thumbnails" / "2020").mkdir(parents=True, exist_ok=True)
    (photos / "thumbnails" / "2020" / "own.png").write_bytes(png("white"))
    assert indexing.build(photos, model="fake:pixels", out=out).new == 1
    (photos / "0.png").unlink()
    report = indexing.build(photos, model="fake:pixels", out=out)
    assert report.removed == ("0.png",)
    assert (photos / "thumbnails" / "2020" / "own.png").exists()
    assert len(list((out / "thumbnails").glob("??/*.jpg"))) == 13
