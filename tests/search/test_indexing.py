"""An index follows its folder: new, known, moved, deleted, unreadable; and other sources."""

import io
import os
import shutil
import subprocess
import sys
from datetime import datetime

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import small_world
from picture_files import make_tar, png, png_header, with_exif
from polyglance import errors
from polyglance.encoding import media, runs
from polyglance.search import indexing, thumbnails
from polyglance.search.index import Index
from polyglance.search.removal import Policy
from polyglance.sources import formats, images, walking
from polyglance.sources.skipped import Skipped, Why
from polyglance.storage.store import Store

NUM = len(small_world.PHRASES)
SKIPPED_HEIC = Skipped("phone.heic", Why.HEIC)
FIRST, SECOND = "big-red-circle.png", "big-red-square.png"


@pytest.fixture
def build(picture_folder, model_folder, tmp_path):
    def builder(source=picture_folder, *, out=tmp_path / "index", **options):
        return indexing.build(source, model=str(model_folder), out=out, **options)

    return builder


@pytest.fixture
def encoded(monkeypatch):
    """How many pictures each call of the tower got."""
    calls = []
    encode = small_world.PixelTower.encode

    def counted(self, items, **options):
        calls.append(len(items))
        return encode(self, items, **options)

    monkeypatch.setattr(small_world.PixelTower, "encode", counted)
    return calls


def opened(tmp_path):
    return Store.open(tmp_path / "index")


def thumbnail_names(tmp_path):
    return {
        path.parent.name + path.stem
        for path in (tmp_path / "index" / thumbnails.FOLDER).glob("*/*.jpg")
    }


def test_a_second_run_opens_no_file_and_loads_no_model(build, monkeypatch):
    build()
    monkeypatch.setattr(indexing, "load_side", lambda *_: pytest.fail("loaded the model"))
    report = build()
    assert (report.new, report.known, report.moved, report.removed) == (0, NUM, (), ())


def test_bad_files_alone_load_no_model(build, picture_folder, monkeypatch):
    build()
    (picture_folder / "bad.png").write_bytes(b"x")
    monkeypatch.setattr(indexing, "load_side", lambda *_: pytest.fail("loaded the model"))
    for _ in range(2):
        assert [one.id for one in build().quarantined] == ["bad.png"]


def test_moved_files_are_renamed_not_encoded(build, picture_folder, tmp_path, encoded):
    build()
    vector = opened(tmp_path).vectors([FIRST])
    encoded.clear()
    (picture_folder / "sub").mkdir()
    (picture_folder / FIRST).rename(picture_folder / "sub" / "new.png")
    report = build()
    assert report.moved == ((FIRST, "sub/new.png"),)
    assert (report.new, report.known, report.removed) == (0, NUM - 1, ())
    assert encoded == []
    store = opened(tmp_path)
    assert len(store) == NUM
    assert store.missing([FIRST, "sub/new.png"]) == [FIRST]
    np.testing.assert_array_equal(store.vectors(["sub/new.png"]), vector)
    assert thumbnail_names(tmp_path) == set(store.keys())


def test_a_copy_is_new_and_its_deletion_removes_one_row(build, picture_folder, tmp_path, encoded):
    build()
    encoded.clear()
    shutil.copy(picture_folder / FIRST, picture_folder / "copy.png")
    report = build()
    assert (report.new, report.known, report.moved, encoded) == (1, NUM, (), [])
    (picture_folder / FIRST).unlink()
    report = build()
    assert (report.removed, report.moved) == ((FIRST,), ())
    assert thumbnail_names(tmp_path) == set(opened(tmp_path).keys())


def test_deleted_files_leave_with_their_thumbnails(build, picture_folder, tmp_path):
    build()
    assert len(thumbnail_names(tmp_path)) == NUM
    (picture_folder / FIRST).unlink()
    report = build(policy=Policy(keep_missing=True))
    assert (report.missing, report.removed) == ((FIRST,), ())
    assert len(opened(tmp_path)) == NUM
    report = build()
    assert (report.missing, report.removed) == ((), (FIRST,))
    assert opened(tmp_path).missing([FIRST]) == [FIRST]
    assert thumbnail_names(tmp_path) == set(opened(tmp_path).keys())
    assert len(thumbnail_names(tmp_path)) == NUM - 1


def test_a_changed_file_gets_another_thumbnail(build, picture_folder, tmp_path):
    build()
    small_world.draw("big red circle", seed=5).save(picture_folder / FIRST)
    assert build().new == 1
    assert thumbnail_names(tmp_path) == set(opened(tmp_path).keys())


def test_nothing_leaves_where_the_root_is_gone_or_empty(build, picture_folder, tmp_path):
    build()
    aside = picture_folder.rename(tmp_path / "aside")
    with pytest.raises(errors.InputError, match="is not a folder"):
        build()
    picture_folder.mkdir()  # a mount point without its disk
    with pytest.raises(errors.InputError, match="no image in"):
        build()
    assert len(opened(tmp_path)) == NUM
    picture_folder.rmdir()
    aside.rename(picture_folder)
    assert build().known == NUM


def test_nothing_leaves_where_the_root_went_while_it_was_read(
    build, picture_folder, tmp_path, monkeypatch
):
    build()
    (picture_folder / FIRST).unlink()
    embed_media = media.embed_media

    def pulled(*args, **options):
        report = embed_media(*args, **options)
        picture_folder.rename(tmp_path / "elsewhere")
        return report

    monkeypatch.setattr(media, "embed_media", pulled)
    with pytest.raises(errors.InputError, match="went away while it was indexed"):
        build()
    assert len(opened(tmp_path)) == NUM


def test_a_folder_that_vanishes_while_it_is_walked(build, picture_folder, tmp_path, monkeypatch):
    (picture_folder / "sub").mkdir()
    shutil.copy(picture_folder / FIRST, picture_folder / "sub" / "copy.png")
    build()
    scandir = os.scandir

    def vanishing(path):
        if str(path).endswith("sub"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    report = build()
    assert (report.known, report.absent) == (NUM, ("sub/copy.png",))
    assert build(policy=Policy(forget=True)).removed == ("sub/copy.png",)


def test_rows_of_a_folder_that_cannot_be_listed_stay(build, picture_folder, tmp_path, monkeypatch):
    (picture_folder / "sub").mkdir()
    shutil.copy(picture_folder / FIRST, picture_folder / "sub" / "copy.png")
    (picture_folder / SECOND).unlink()
    build()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (picture_folder / FIRST).unlink()
    report = build()
    assert report.removed == (FIRST,)
    assert [(one.id, one.reason) for one in report.quarantined] == [
        ("sub", "the folder cannot be listed: Permission denied")
    ]
    assert opened(tmp_path).missing(["sub/copy.png"]) == []
    with pytest.raises(errors.InputError, match="sub: the folder cannot be listed"):
        walking.find_media(picture_folder, "image")
    monkeypatch.undo()
    assert build().quarantined == ()
    assert runs.read_quarantine(opened(tmp_path)) == []


def test_a_link_out_of_the_root_is_not_indexed(build, picture_folder, tmp_path):
    build()
    (tmp_path / "secret.png").write_bytes(png("red"))
    (picture_folder / FIRST).unlink()
    (picture_folder / FIRST).symlink_to(tmp_path / "secret.png")
    assert build().removed == (FIRST,)


def test_a_decompression_bomb_is_set_aside(build, picture_folder):
    (picture_folder / "bomb.png").write_bytes(png_header(50_000, 50_000))
    report = build()
    assert report.new == NUM
    assert [one.id for one in report.quarantined] == ["bomb.png"]
    assert "too large" in report.quarantined[0].reason


def test_what_was_set_aside_and_then_deleted_leaves_the_quarantine(build, picture_folder, tmp_path):
    (picture_folder / "bad.png").write_bytes(b"x")
    build()
    assert len(runs.read_quarantine(opened(tmp_path))) == 1
    (picture_folder / "bad.png").unlink()
    build()
    assert runs.read_quarantine(opened(tmp_path)) == []


def test_videos_are_counted(build, picture_folder):
    for name in ("a.mp4", "b.MOV"):
        (picture_folder / name).write_bytes(b"x")
    report = build()
    assert (report.new, report.quarantined) == (NUM, ())
    assert [(one.id, one.why) for one in report.skipped] == [
        ("a.mp4", Why.VIDEO),
        ("b.MOV", Why.VIDEO),
    ]


def test_heic_without_its_extra_is_counted_and_its_rows_stay(
    build, picture_folder, tmp_path, monkeypatch
):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    picture = small_world.draw("big red circle", seed=3).resize((64, 64))
    heif.from_pillow(picture).save(picture_folder / "phone.heic")
    report = build()
    assert (report.new, report.skipped, report.quarantined) == (NUM + 1, (), ())
    assert thumbnails.thumbnail(Index(tmp_path / "index"), "phone.heic")
    monkeypatch.setattr(formats, "readable_suffixes", lambda modality: formats.SUFFIXES)
    report = build()
    assert (report.known, report.skipped, report.removed) == (NUM, (SKIPPED_HEIC,), ())
    assert opened(tmp_path).missing(["phone.heic"]) == []
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(errors.InputError, match="HEIC"):
        images.decode_image((picture_folder / "phone.heic").read_bytes(), name="phone.heic")


def test_webp_avif_animated_and_rotated(build, picture_folder, tmp_path):
    picture = small_world.draw("big red circle", seed=3)
    picture.save(picture_folder / "a.webp")
    picture.save(picture_folder / "b.avif")
    other = small_world.draw("big blue ring", seed=3)
    picture.save(picture_folder / "c.gif", save_all=True, append_images=[other, other])
    (picture_folder / "d.jpg").write_bytes(with_exif())
    report = build()
    assert (report.new, report.quarantined) == (NUM + 4, ())
    found = Index(tmp_path / "index")
    cosine = found.store.vectors(["c.gif"]) @ found.store.vectors(["a.webp"]).T
    assert cosine > 0.95
    small = Image.open(io.BytesIO(thumbnails.thumbnail(found, "d.jpg")))
    assert (small.size, small.getexif(), "exif" in small.info) == ((40, 60), {}, False)


# Columns


def test_time_and_place_are_columns(build, picture_folder, tmp_path):
    (picture_folder / "photo.jpg").write_bytes(with_exif())
    build()
    table = opened(tmp_path).columns(["id", "taken_at", "latitude", "longitude", "caption"])
    row = table["id"].index("photo.jpg")
    assert table["taken_at"][row] == datetime(2021, 5, 4, 3, 2, 1)
    assert (table["latitude"][row], table["longitude"][row]) == (-33.86, -151.2)
    assert table["taken_at"].count(None) == NUM
    (picture_folder / "photo.jpg").rename(picture_folder / "moved.jpg")
    build()
    table = opened(tmp_path).columns(["id", "latitude"])
    assert table["latitude"][table["id"].index("moved.jpg")] == -33.86


def old_index(picture_folder, model_folder, path):
    """An index as it was made before it had columns of its own."""
    from polyglance.model.dual_encoder import load_side
    from polyglance.model.side import SpaceTower

    tower = SpaceTower(load_side(str(model_folder), "content"))
    facts = {"model": str(model_folder), "folder": str(picture_folder)}
    store = media.open_media_store(path, tower, extra_facts=facts)
    media.embed_media(walking.find_media(picture_folder, "image"), tower, store=store)
    return store


def test_an_index_without_our_columns_is_refused_and_loses_nothing(
    build, picture_folder, model_folder, tmp_path
):
    old = old_index(picture_folder, model_folder, tmp_path / "index")
    ids, vectors = old.ids(), old.vectors()
    with pytest.raises(errors.StoreError, match="lacks the columns caption, latitude, longitude"):
        build()
    np.testing.assert_array_equal(opened(tmp_path).vectors(ids), vectors)


# Thumbnails


def test_thumbnails_are_small_and_made_when_asked(build, picture_folder, tmp_path):
    Image.effect_noise((2000, 1000), 80).convert("RGB").save(picture_folder / "large.jpg")
    build(thumbnails=False)
    assert thumbnail_names(tmp_path) == set()
    index = Index(tmp_path / "index")
    jpeg = thumbnails.thumbnail(index, "large.jpg")
    assert Image.open(io.BytesIO(jpeg)).size == (256, 128)
    key = dict(zip(index.ids, index.store.keys(), strict=True))["large.jpg"]
    assert thumbnail_names(tmp_path) == {key}
    (picture_folder / "large.jpg").unlink()
    assert thumbnails.thumbnail(index, "large.jpg") == jpeg
    thumbnails.place_of(tmp_path / "index", key).write_bytes(b"")  # what a power cut leaves
    with pytest.raises(errors.UnavailableError, match="cannot be read"):
        thumbnails.thumbnail(index, "large.jpg")


def test_a_thumbnail_is_of_what_was_indexed(build, picture_folder, tmp_path):
    build(thumbnails=False)
    (picture_folder / FIRST).write_bytes(png("red"))
    with pytest.raises(errors.UnavailableError, match="has changed"):
        thumbnails.thumbnail(Index(tmp_path / "index"), FIRST)
    with pytest.raises(errors.InputError, match="no item '../../etc/passwd'"):
        thumbnails.thumbnail(Index(tmp_path / "index"), "../../etc/passwd")


def test_metadata_does_not_reach_a_thumbnail():
    picture = Image.new("RGB", (30, 20))
    picture.info = {"comment": b"secret", "icc_profile": b"secret", "exif": b"secret"}
    assert b"secret" not in thumbnails.make(picture)
    assert thumbnails.make(Image.new("RGB", (1, 5000)))


# One index, one source, one model, one writer


def test_another_folder_is_refused_and_a_renamed_one_is_not(build, picture_folder, tmp_path):
    build()
    other = tmp_path / "other"
    shutil.copytree(picture_folder, other)
    with pytest.raises(errors.StoreError, match="one index a folder"):
        build(other)
    shutil.rmtree(picture_folder)
    report = build(other)
    assert (report.new, report.known, report.removed) == (0, NUM, ())
    (other / FIRST).unlink()
    assert build(other).removed == (FIRST,)


def test_another_model_under_the_same_name_is_refused(
    build, picture_folder, teacher, model_folder, tmp_path
):
    from dataclasses import replace

    build()
    shutil.rmtree(model_folder)
    replace(teacher, content=replace(teacher.content, head_input="raw")).save(model_folder)
    with pytest.raises((errors.SpaceMismatchError, errors.StoreError)):
        build()


def test_another_tower_behind_a_reference_is_refused_before_it_encodes(
    picture_folder, tmp_path, monkeypatch
):
    indexing.build(picture_folder, model="fake:pixels", out=tmp_path / "i")
    monkeypatch.setattr(small_world.PixelTower, "space_id", "another")
    assert indexing.build(picture_folder, model="fake:pixels", out=tmp_path / "i").known == NUM
    small_world.draw("big red circle", seed=5).save(picture_folder / "new.png")
    with pytest.raises(errors.StoreError, match="not the one that the index was made with"):
        indexing.build(picture_folder, model="fake:pixels", out=tmp_path / "i")


def test_a_second_indexer_is_told_who_writes(build, tmp_path):
    build()
    with (
        opened(tmp_path).writing(),
        pytest.raises(errors.StoreError, match=f"is being written by process {os.getpid()}"),
    ):
        build()


def test_a_full_disk_keeps_what_was_appended(build, picture_folder, tmp_path, monkeypatch):
    write_bytes = type(picture_folder).write_bytes

    def full(self, data):
        if self.suffix == ".making" and len(thumbnail_names(tmp_path)) >= 30:
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(type(picture_folder), "write_bytes", full)
    with pytest.raises(errors.DiskFullError):
        build()
    monkeypatch.undo()
    assert not list((tmp_path / "index" / thumbnails.FOLDER).glob("*/.*"))
    report = build()
    assert report.new + report.known == NUM
    assert len(thumbnail_names(tmp_path)) == len(opened(tmp_path)) == NUM


def test_a_full_disk_in_the_table(build, tmp_path, monkeypatch):
    build()

    def full(*_, **__):
        raise OSError("LanceError(IO): No space left on device (os error 28)")

    monkeypatch.setattr(lance.LanceDataset, "delete", full)
    first = next((tmp_path / "pictures").iterdir())
    first.unlink()
    with pytest.raises(errors.DiskFullError):
        build()
    monkeypatch.undo()
    assert len(opened(tmp_path)) == NUM
    assert build().removed == (first.name,)


# Other sources


def test_tars(build, tmp_path, encoded):
    members = {f"{i:04}.png": png((i * 20, 255 - i * 20, 0)) for i in range(10)}
    members |= {"0003.txt": b"three", "0004.png": b"broken"}
    make_tar(tmp_path / "shards" / "00000.tar", members)
    make_tar(tmp_path / "shards" / "00001.tar", {"0001.png": png("blue")})
    report = build(tmp_path / "shards")
    assert (report.new, report.known) == (10, 0)
    assert [one.id for one in report.quarantined] == ["00000/0004.png"]
    store = opened(tmp_path)
    table = store.columns(["id", "caption", "path", "offset"])
    row = table["id"].index("00000/0003.png")
    assert table["caption"][row] == "three"
    assert table["path"][row] == str(tmp_path / "shards" / "00000.tar")
    encoded.clear()
    assert build(tmp_path / "shards").known == 10
    assert encoded == []
    key = store.keys()[store.ids().index("00000/0003.png")]
    thumbnails.place_of(store.path, key).unlink()
    assert thumbnails.thumbnail(Index(store.path), "00000/0003.png")
    make_tar(tmp_path / "shards" / "00001.tar", {"0002.png": png("blue")})
    assert build(tmp_path / "shards").moved == (("00001/0001.png", "00001/0002.png"),)
    (tmp_path / "shards" / "00001.tar").write_bytes(b"x" * 600)
    report = build(tmp_path / "shards")
    assert (report.removed, report.quarantined[-1].id) == ((), "00001")
    (tmp_path / "shards" / "00001.tar").unlink()
    assert build(tmp_path / "shards").removed == ("00001/0002.png",)


def test_one_tar(build, tmp_path):
    path = make_tar(tmp_path / "a.tar", {"0001.png": png("blue"), "0002.png": png("red")})
    assert build(path).new == 2
    make_tar(path, {"0001.png": png("blue")})
    assert build(path).removed == ("a/0002.png",)


def test_downloads(build, picture_folder, tmp_path):
    (picture_folder / "00000").mkdir()
    (picture_folder / FIRST).rename(picture_folder / "00000" / "000000001.png")
    (tmp_path / "secret.png").write_bytes(png("red"))
    made = {
        "key": ["000000001", "big-red-square", "000000003", "000000004"],
        "url": ["there/1", "there/2", "there/3", None],
        "caption": ["one", None, "three", "four"],
        "status": ["success", "success", "success", "failed_to_download"],
    }
    pq.write_table(pa.table(made), picture_folder / "00000.parquet")
    report = build(picture_folder / "00000.parquet")
    assert report.new == 2
    assert [(one.id, one.reason) for one in report.quarantined] == [
        ("000000003", "there is no such file")
    ]
    table = opened(tmp_path).columns(["id", "url", "caption"])
    assert sorted(zip(*table.values(), strict=True)) == [
        ("00000/000000001.png", "there/1", "one"),
        (SECOND, "there/2", None),
    ]
    pq.write_table(pa.table({"path": ["../secret.png", SECOND]}), picture_folder / "p.parquet")
    report = build(picture_folder / "p.parquet", out=tmp_path / "other")
    assert (report.new, [one.id for one in report.quarantined]) == (1, ["../secret.png"])
    pq.write_table(pa.table({"url": ["x"]}), picture_folder / "q.parquet")
    with pytest.raises(errors.InputError, match="path or key is wanted"):
        build(picture_folder / "q.parquet", out=tmp_path / "third")


def clip_retrieval(folder, vectors, *, first, **metadata):
    """One part of clip-retrieval's folder."""
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    number = len(list((folder / "img_emb").iterdir()))
    np.save(folder / "img_emb" / f"img_emb_{number}.npy", vectors)
    table = {"image_path": [str(first + i) for i in range(len(vectors))], **metadata}
    pq.write_table(pa.table(table), folder / "metadata" / f"metadata_{number}.parquet")


def test_vectors_of_clip_retrieval(build, tmp_path, monkeypatch):
    monkeypatch.setattr("polyglance.search.import_vectors.BLOCK_ROWS", 4)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 24)).astype(np.float16)
    vectors[3] = 0
    folder = tmp_path / "clip"
    captions = [f"caption {i}" for i in range(10)]
    clip_retrieval(folder, vectors[:10], first=0, caption=captions, url=[None] * 9 + ["there"])
    clip_retrieval(folder, vectors[10:], first=9)
    with pytest.raises(errors.ConfigError, match="do not say which model"):
        build(folder)
    report = build(folder, space="mine")
    assert report.new == 18
    assert sorted(one.id for one in report.quarantined) == ["3", "9"]
    found = Index(tmp_path / "index")
    assert found.space_id == "mine"
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)
    wanted = vectors[7].astype(np.float32)
    hit = found.search(wanted[None] / np.linalg.norm(wanted), top=1)[0][0]
    assert (hit.id, hit.path) == ("7", "")
    table = found.store.columns(["id", "caption", "url"])
    assert table["caption"][table["id"].index("7")] == "caption 7"
    assert table["url"][table["id"].index("9")] == "there"
    assert (build(folder, space="mine").new, build(folder, space="mine").known) == (0, 18)
    with pytest.raises(errors.SpaceMismatchError):
        build(folder, space="other")


def test_plain_vectors_in_the_space_of_the_model(build, picture_folder, teacher, tmp_path):
    build()
    known = Index(tmp_path / "index")
    folder = tmp_path / "plain"
    folder.mkdir()
    np.save(folder / "vectors.npy", 3 * known.vectors)
    (folder / "ids.txt").write_text("\n".join(known.ids))
    report = build(folder, space="model", out=tmp_path / "second")
    assert report.new == NUM
    second = Index(tmp_path / "second")
    assert second.space_id == known.space_id == teacher.space_id
    np.testing.assert_allclose(second.vectors, known.vectors, atol=1e-6)
    np.save(folder / "vectors.npy", np.roll(known.vectors, 1, axis=0))
    assert build(folder, space="model", out=tmp_path / "second").new == NUM
    with pytest.raises(errors.ConfigError, match="holds no vectors"):
        build(picture_folder, space="model")
    np.save(folder / "vectors.npy", known.vectors[:5])
    with pytest.raises(errors.VectorError, match="5 vectors for 72 ids"):
        build(folder, space="model", out=tmp_path / "second")


# The command


def test_the_command_says_what_it_did(run, picture_folder, model_folder, tmp_path):
    argv = ("index", picture_folder, "--model", model_folder, "--out", tmp_path / "i")
    (picture_folder / "a.mp4").write_bytes(b"x")
    code, out, _ = run(*argv, "--no-thumbnails")
    assert code == 0
    assert "72 new, 0 known" in out
    assert "1 video (.mp4 1)" in out
    assert not (tmp_path / "i" / thumbnails.FOLDER).exists()
    (picture_folder / FIRST).rename(picture_folder / "new.png")
    for number, path in enumerate(sorted(picture_folder.glob("small-*"))):
        if number < 12:
            path.unlink()
    _, out, _ = run(*argv, "--keep-missing")
    assert f"1 moved:\n  {FIRST} -> new.png\n" in out
    assert "12 gone, kept in the index:" in out
    assert "... and 2 more" in out
    _, out, _ = run(*argv)
    assert "12 gone, removed from the index:" in out


def test_a_run_with_nothing_new_imports_no_torch(picture_folder, tmp_path):
    program = (
        "import sys; from polyglance import cli\n"
        "sys.argv = ['polyglance', 'index', sys.argv[1], '-m', 'tiny:pictograms-image', '-o',"
        " sys.argv[2]]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('torch' in sys.modules)\n"
    )
    said = [
        subprocess.check_output(
            [sys.executable, "-c", program, str(picture_folder), str(tmp_path / "i")], text=True
        ).split()
        for _ in range(2)
    ]
    assert (said[0][:2], said[0][-1]) == (["72", "new,"], "True")
    assert (said[1][:3], said[1][-1]) == (["0", "new,", "72"], "False")


def test_a_file_of_no_known_kind(build, tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(errors.InputError, match=r"a folder, a .tar or a .parquet is wanted"):
        build(tmp_path / "x.txt")


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (500, 500)])
def test_a_thumbnail_s_longer_side_is_what_is_promised(size):
    made = Image.open(io.BytesIO(thumbnails.make(Image.new("RGB", size))))
    assert max(made.size) == thumbnails.LONGEST_SIDE
    assert made.size[0] / made.size[1] == pytest.approx(size[0] / size[1], rel=0.02)


def test_a_small_picture_s_thumbnail_is_not_enlarged():
    assert Image.open(io.BytesIO(thumbnails.make(Image.new("RGB", (40, 20))))).size == (40, 20)
