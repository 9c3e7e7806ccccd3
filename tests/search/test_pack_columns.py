"""A derived column is made once, kept apart, follows the index, and goes again."""

import dataclasses
import errno
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.model.manifest import PackManifest
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.search import pack_columns
from polyglance.search.filters import Filters
from polyglance.search.index import Index
from polyglance.search.indexing import build
from polyglance.sources import walking
from polyglance.storage import ann_build, ann_index, locks
from polyglance.storage.store import Store
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import unit


@pytest.fixture
def index_folder(picture_folder, model_folder, tmp_path):
    build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    return tmp_path / "index"


def head(dim_in, dim_out, *, seed=0):
    rng = np.random.default_rng(seed)
    first = affine.AffineMap(rng.standard_normal((8, dim_in), np.float32), np.ones(8, np.float32))
    last = affine.AffineMap(
        rng.standard_normal((dim_out, 8), np.float32), np.ones(dim_out, np.float32)
    )
    return affine.Chain((first, last))


def pack_of(teacher, *, content="head", seed=0):
    tower = small_world.load_reference("fake:multilingual")
    manifest = PackManifest(
        recipe="test",
        space_id=teacher.space_id,
        teacher=teacher.reference,
        tower="fake:multilingual",
        tower_fingerprint=tower.fingerprint,
        content=content,
        content_tower="fake:pixels" if content == "new-tower" else "",
    )
    side = Side(tower, "fake:multilingual", head(tower.dim, 5))
    probes = np.eye(8, teacher.dim, dtype=np.float32)
    if content == "new-tower":
        pixels = Side(small_world.PixelTower(), "fake:pixels", head(192, 5), "unit")
        return LanguagePack(manifest, side, probes, content_side=pixels)
    if content == "head":
        return LanguagePack(manifest, side, probes, head(teacher.dim, 5, seed=seed))
    return LanguagePack(manifest, side, probes)


def test_it_is_projected_once_and_follows_the_index(teacher, index_folder, picture_folder):
    base, pack = Store.open(index_folder), pack_of(teacher)
    before = base.vectors()
    column, new = pack_columns.project(base, pack)
    assert (new, len(column)) == (72, 72)
    assert pack_columns.project(base, pack)[1] == 0
    np.testing.assert_allclose(
        pack_columns.Column(base, pack).vectors, pack.project(before), atol=1e-6
    )
    small_world.draw("big red ring", seed=5).save(picture_folder / "another.png")
    build(picture_folder, model=base.extra_facts["model"], out=index_folder)
    base.refresh()
    assert pack_columns.project(base, pack)[1] == 1
    np.testing.assert_array_equal(base.vectors(base.ids()[:72]), before)


def test_what_left_the_index_leaves_its_column(teacher, index_folder):
    base, pack = Store.open(index_folder), pack_of(teacher)
    column, _ = pack_columns.project(base, pack)
    gone = base.ids()[:3]
    keys = dict(zip(base.ids(), base.keys(), strict=True))
    base.delete(gone)
    pack_columns.project(base, pack)
    column.refresh()
    assert sorted(column.ids()) == sorted({keys[i] for i in base.ids()})


def test_two_packs_have_two_columns_and_each_goes_alone(teacher, index_folder):
    base, one, two = Store.open(index_folder), pack_of(teacher), pack_of(teacher, seed=1)
    pack_columns.project(base, one)
    pack_columns.project(base, two)
    assert pack_columns.drop(base, one)
    assert not pack_columns.drop(base, one)
    assert pack_columns.project(base, two)[1] == 0
    assert len(Index(index_folder).vectors) == 72


def test_a_pack_with_another_tower_needs_reencode(teacher, index_folder, picture_folder):
    base, pack = Store.open(index_folder), pack_of(teacher, content="new-tower")
    with pytest.raises(errors.SpaceMismatchError, match="another content tower"):
        pack_columns.Column(base, pack)
    with pytest.raises(errors.SpaceMismatchError, match="another content tower"):
        teacher.with_pack(pack)
    assert teacher.with_pack(pack, reencode=True).pack is pack
    report = pack_columns.reencode(base, pack, items=walking.find_media(picture_folder, "image"))
    assert report.new == 72
    found = pack_columns.Column(base, pack).vectors
    assert found.shape == (72, 5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.fixture
def copied(index_folder, picture_folder, model_folder):
    """The index again, with three items of one content."""
    first = sorted(picture_folder.glob("*.png"))[0]
    for name in ("copy-1.png", "copy-2.png"):
        shutil.copy(first, picture_folder / name)
    build(picture_folder, model=str(model_folder), out=index_folder)
    return index_folder


@pytest.mark.parametrize("content", ["head", "new-tower"])
def test_through_a_vector_index_it_answers_as_without(
    teacher, copied, picture_folder, content, monkeypatch
):
    base, pack = Store.open(copied), pack_of(teacher, content=content)
    if content == "new-tower":
        pack_columns.reencode(base, pack, items=walking.find_media(picture_folder, "image"))
    queries = unit(np.random.default_rng(3).standard_normal((6, 5), np.float32))
    some = Filters(max_bytes=sorted(base.columns(["size"])["size"])[40])
    exact = Index(copied)
    expected = {
        filters: exact.candidates(queries, count=9, pack=pack, filters=filters)
        for filters in (None, some)
    }
    ann_build.build(pack_columns.column_store(base, pack))
    index = Index(copied)
    for exact_rows in (ann_index.EXACT_ROWS, 0):  # 0: filters are asked through the index, too
        monkeypatch.setattr(ann_index, "EXACT_ROWS", exact_rows)
        for filters, wanted in expected.items():
            found = index.candidates(queries, count=9, pack=pack, filters=filters)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
                assert set(one.ids) == set(other.ids)
                assert (len(one), len(set(one.ids))) == (9, 9)
                assert [index.ids[row] for row in one.rows] == one.ids
    column = index._columns[pack.column_id]
    assert column.nearest.facts is not None
    assert "vectors" not in vars(column)  # nothing was read into memory
    copies = {"copy-1.png", "copy-2.png"}
    everything = index.candidates(queries, count=74, pack=pack)
    assert all(len(set(each.ids)) == 74 and copies < set(each.ids) for each in everything)


def test_a_column_where_none_is_needed(teacher, index_folder):
    base, plain = Store.open(index_folder), pack_of(teacher, content="unchanged")
    with pytest.raises(errors.ConfigError, match="only one with a head"):
        pack_columns.project(base, plain)
    with pytest.raises(errors.ConfigError, match="no item again"):
        pack_columns.reencode(base, plain, items=[])


def test_a_manifest_that_promises_a_part_it_lacks(teacher):
    pack = pack_of(teacher)
    with pytest.raises(errors.ConfigError, match="no part for 'head'"):
        dataclasses.replace(pack, content_head=None)


def test_a_pack_with_another_tower_is_saved_and_loaded(teacher, tmp_path):
    pack = pack_of(teacher, content="new-tower")
    pack.save(tmp_path / "pack")
    loaded = LanguagePack.load(tmp_path / "pack")
    assert loaded.content_side.space_id == pack.content_side.space_id
    assert loaded.column_id == pack.column_id


class HalfwayTower(small_world.PixelTower):
    """Pixels whose features in front of the projection are twice as wide."""

    def encode(self, items, *, languages=None, output="embedding"):
        found = super().encode(items)
        return found if output == "embedding" else np.hstack([found, 1 - found])


def test_measuring_asks_the_tower_for_what_the_side_asks(teacher, picture_folder):
    from polyglance.evaluation import run
    from polyglance.model.dual_encoder import DualEncoder

    side = Side(HalfwayTower(), "fake:pixels", head(384, 5), "raw", "pre_projection")
    model = DualEncoder(side, teacher.text, "in memory")
    names = [path.name for path in sorted(picture_folder.glob("*.png"))]
    data = RetrievalData(
        task="shapes",
        item_ids=tuple(names),
        captions={},
        policy="first",
        splits={"test": np.ones(len(names), bool)},
    )
    _, found = run.content_vectors(model, data, images=picture_folder)
    pictures = [Image.open(picture_folder / name) for name in names]
    np.testing.assert_allclose(found, model.encode_items(pictures), atol=1e-5)


def test_a_filter_that_leaves_what_is_far_from_the_query(teacher, index_folder, monkeypatch):
    """Partitions near the query hold none of it; the others are looked into, too."""
    base, pack = Store.open(index_folder), pack_of(teacher)
    column = pack_columns.column_store(base, pack)
    ann_build.build(column)
    query = column.vectors()[:1]
    far = np.sort(np.argsort(column.vectors(base.keys()) @ query[0])[:20])
    found = pack_columns.Column(base, pack)
    monkeypatch.setattr(ann_index, "EXACT_ROWS", 0)
    found.nearest.facts = dataclasses.replace(found.nearest.facts, num_probes=1)
    ((rows, _),) = found.near(query, count=15, allowed=far)
    assert len(rows) == 15
    assert set(rows.tolist()) <= set(far.tolist())


def test_a_picture_that_changed_must_be_encoded_again(
    teacher, index_folder, picture_folder, model_folder
):
    pack = pack_of(teacher, content="new-tower")
    pack_columns.reencode(
        Store.open(index_folder), pack, items=walking.find_media(picture_folder, "image")
    )
    changed = sorted(picture_folder.glob("*.png"))[3]
    small_world.draw("big red circle", seed=77).save(changed)
    build(picture_folder, model=str(model_folder), out=index_folder)
    with pytest.raises(errors.SpaceMismatchError, match="not all items"):
        pack_columns.column_store(Store.open(index_folder), pack)
    pack_columns.reencode(
        Store.open(index_folder), pack, items=walking.find_media(picture_folder, "image")
    )
    assert len(pack_columns.column_store(Store.open(index_folder), pack)) == 72


class TestCannotBeWritten:
    """An index on a disk that allows reading alone, or that is full."""

    @pytest.fixture
    def said(self, monkeypatch):
        found = []
        monkeypatch.setattr(pack_columns.progress, "say", found.append)
        return found

    def refuse(self, monkeypatch, *, number, text=None):
        """Have the system refuse whatever writes a column."""
        error = OSError(text) if text else OSError(number, os.strerror(number), "packs")

        def refused(*_, **__):
            raise error

        monkeypatch.setattr(pack_columns.Store, "create", refused)
        monkeypatch.setattr(locks.FolderLock, "_acquired", refused)

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (errno.EROFS, None),
            (errno.EACCES, None),
            (errno.ENOSPC, None),
            (0, "LanceError(IO): Permission denied (os error 13), writer.rs"),
        ],
    )
    @pytest.mark.parametrize("is_there", [False, True], ids=["new", "outdated"])
    def test_it_is_projected_in_memory(
        self, teacher, index_folder, monkeypatch, said, number, text, is_there
    ):
        base, pack = Store.open(index_folder), pack_of(teacher)
        if is_there:
            pack_columns.project(base, pack)
            base.delete(base.ids()[:1])
        folder, model = base.extra_facts["folder"], base.extra_facts["model"]
        self.refuse(monkeypatch, number=number, text=text)
        found = pack_columns.Column(base, pack)
        np.testing.assert_allclose(found.vectors, pack.project(base.vectors()), atol=1e-6)
        assert found.nearest is None
        assert len(said) == 1
        assert "made in memory" in said[0]
        command = f"polyglance index {folder} --model {model} --out {base.path} --pack PACK"
        assert command in said[0]
        queries = unit(np.random.default_rng(3).standard_normal((2, 5), np.float32))
        hits = Index(index_folder).candidates(queries, count=4, pack=pack)
        assert [len(each) for each in hits] == [4, 4]

    def test_a_column_that_is_up_to_date_is_read(self, teacher, index_folder, monkeypatch, said):
        base, pack = Store.open(index_folder), pack_of(teacher)
        pack_columns.project(base, pack)
        self.refuse(monkeypatch, number=errno.EROFS)
        assert pack_columns.Column(base, pack).vectors.shape == (72, 5)
        assert said == []

    def test_another_fault_is_none_of_it(self, teacher, index_folder, monkeypatch):
        self.refuse(monkeypatch, number=errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            pack_columns.Column(Store.open(index_folder), pack_of(teacher))


def test_a_column_is_built_with_its_vector_index(index_folder, teacher, monkeypatch):
    monkeypatch.setattr(ann_build, "LEAST_ROWS", 10)
    base, pack = Store.open(index_folder), pack_of(teacher)
    report = pack_columns.build(base, pack)
    column = Store.open(pack_columns.column_path(index_folder, pack))
    assert (report.rows.new, report.rows.known, report.num_rows) == (72, 0, 72)
    assert ann_index.facts_of(column.table) == report.vector_index
    assert pack_columns.build(base, pack).vector_index is None
