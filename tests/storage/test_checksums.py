"""A store's files: damage is found, a power cut costs what was not synced, replaced is not same."""

import os
import shutil

import numpy as np
import pytest

from polyglance import errors, progress
from polyglance.storage import checksums, repair
from polyglance.storage.identity import StoreFacts
from polyglance.storage.open_files import Guard
from polyglance.storage.store import Store

FACTS = StoreFacts(modality="text", dim=8, fingerprint="f", space_id="s")
VERSIONS = "vectors.lance/_versions"


def rows(count, *, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{seed}-{n}" for n in range(count)]
    return names, [f"{seed:016x}{n:016x}" for n in range(count)], vectors


def fill(store, *, seed):
    ids, keys, vectors = rows(20, seed=seed)
    store.append(ids, keys, vectors=vectors)


@pytest.fixture
def store(tmp_path):
    made = Store.create(tmp_path / "s", FACTS)
    for seed in range(3):
        fill(made, seed=seed)
    made.delete(["0-3"])
    return made


def flip(path, at=0.5):
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    path.write_bytes(bytes(data))


def data_files(store):
    return sorted((store.path / "vectors.lance" / "data").iterdir())


def manifests(store):
    """Newest first."""
    return sorted((store.path / VERSIONS).glob("*.manifest"))


def test_what_is_noted_is_what_the_open_version_consists_of(store):
    sums = checksums.read(store.path)
    names = checksums.names_of(store.table, store.path / "vectors.lance")
    assert sums.version == store.table.version
    assert sorted(sums.files) == sorted(names)
    assert len(names) == 1 + 3 + 1
    assert not checksums.damages(store.path / "vectors.lance", sums, names)


@pytest.mark.parametrize("place", ["data", "deletion", "manifest"])
@pytest.mark.parametrize("damage", ["flip", "cut", "absent", "swapped"])
def test_any_other_byte_in_any_file_is_noticed(store, place, damage):
    deletions = next((store.path / "vectors.lance" / "_deletions").iterdir())
    path = {"data": data_files(store)[1], "deletion": deletions, "manifest": manifests(store)[0]}[
        place
    ]
    if damage == "flip":
        flip(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "absent":
        path.unlink()
    else:
        other = data_files(store)[0] if place == "data" else manifests(store)[1]
        shutil.copyfile(other, path)
    with pytest.raises(errors.StoreError) as refused:
        Store.open(store.path).vectors()
    assert "check-index" in refused.value.hint


def test_a_large_table_is_looked_at_by_its_sizes(store, monkeypatch):
    monkeypatch.setattr(checksums, "READ_BYTES", 0)
    flip(data_files(store)[0])
    Store.open(store.path).ids()
    data_files(store)[0].write_bytes(b"")
    with pytest.raises(errors.StoreError, match="0 bytes in the place of"):
        Store.open(store.path).ids()


def test_files_are_synced_before_they_are_noted(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    store = Store.create(tmp_path / "s", FACTS)
    synced.clear()
    fill(store, seed=0)
    new = data_files(store)[0]
    order = [synced.index(str(path)) for path in (new, manifests(store)[0])]
    noted = next(n for n, path in enumerate(synced) if "checksums.json" in path)
    assert max(order) < noted
    assert str(new.parent) in synced[:noted]
    assert str(store.path / VERSIONS) in synced[:noted]


def power_cut(store, monkeypatch, damage):
    """Rows that were written and not noted, then lost with what the disk still held back."""
    with monkeypatch.context() as patch:
        patch.setattr(Guard, "note", lambda self, table: None)
        before = set(data_files(store))
        fill(store, seed=9)
    (new,) = set(data_files(store)) - before
    path = manifests(store)[0] if damage.startswith("manifest") else new
    size = 0 if damage.endswith("empty") else path.stat().st_size
    path.write_bytes(bytes(size))


@pytest.mark.parametrize("damage", ["manifest empty", "manifest zeros", "data empty"])
def test_after_a_power_cut_the_version_before_is_read_and_that_is_said(
    store, monkeypatch, capsys, damage
):
    wanted = store.ids()
    power_cut(store, monkeypatch, damage)
    monkeypatch.setattr(progress, "_enabled", True)
    found = Store.open(store.path)
    assert found.ids() == wanted
    assert "did not reach the disk" in capsys.readouterr().err
    with pytest.raises(errors.StoreError, match="nothing is written behind it"):
        fill(found, seed=10)
    assert all(one.mended for one in repair.examine(store.path, repair=True, unit=True))
    mended = Store.open(store.path)
    fill(mended, seed=10)
    assert len(Store.open(store.path)) == len(wanted) + 20


def test_rows_that_a_power_cut_emptied_are_not_written_behind(store, monkeypatch):
    power_cut(store, monkeypatch, "data zeros")
    with pytest.raises(errors.StoreError, match="did not reach the disk|cannot be read"):
        fill(Store.open(store.path), seed=10)
    repair.examine(store.path, repair=True, unit=True)
    assert len(Store.open(store.path)) == 59


def test_what_a_killed_writer_committed_is_kept(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Guard, "note", lambda self, table: None)
        fill(store, seed=9)
    again = Store.open(store.path)
    assert len(again) == 79
    fill(again, seed=10)
    assert checksums.read(store.path).version == again.table.version


def test_another_table_of_the_same_version_is_not_the_same(store, tmp_path):
    opened = Store.open(store.path)
    assert opened.is_current
    shutil.copytree(store.path, tmp_path / "copy")
    shutil.rmtree(store.path)
    with pytest.raises(errors.UnavailableError, match="not there any more"):
        _ = opened.is_current
    (tmp_path / "copy").rename(store.path)
    assert not opened.is_current
    assert Store.open(store.path).is_current


def test_ones_own_rows_are_no_news(store):
    fill(store, seed=9)
    assert store.is_current


def nan_rows(store, ids):
    """Rows set to NaN behind the store's back, as another program would."""
    held = dict(zip(store.ids(), store.keys(), strict=True))
    import pyarrow as pa

    bad = pa.array(np.full(8 * len(ids), np.nan, np.float32))
    table = pa.table(
        {
            "id": ids,
            "key": [held[one] for one in ids],
            "vector": pa.FixedSizeListArray.from_arrays(bad, 8),
        }
    )
    merge = store.table.merge_insert("id").when_matched_update_all()
    merge.execute(table)


class TestRepair:
    def test_a_sound_store_has_nothing_to_say(self, store):
        assert repair.examine(store.path, repair=False, unit=True) == []

    def test_rows_of_a_damaged_file_go_and_the_others_stay(self, store):
        flip(data_files(store)[1], at=0.3)
        damaged = repair.examine(store.path, repair=False, unit=True)
        assert damaged
        assert not any(one.mended for one in damaged)
        assert any("rows: data/" in one.said for one in damaged)
        repair.examine(store.path, repair=True, unit=True)
        assert len(Store.open(store.path)) in (39, 40)
        assert len(Store.open(store.path).vectors()) in (39, 40)
        assert repair.examine(store.path, repair=False, unit=True) == []

    def test_unusable_rows_go(self, store):
        nan_rows(store, ["1-2", "1-5"])
        found = repair.examine(store.path, repair=True, unit=True)
        assert [one.said for one in found if not one.harmless] == [
            "2 rows with a vector that is not finite, or of a wrong length"
        ]
        left = Store.open(store.path)
        assert left.missing(["1-2", "1-5", "1-3"]) == ["1-2", "1-5"]
        assert np.isfinite(left.vectors()).all()

    def test_rows_go_whose_key_would_name_another_file(self, store):
        ids, _, vectors = rows(2, seed=9)
        store.append(ids, ["..", "0" * 32], vectors=vectors)
        repair.examine(store.path, repair=True, unit=True)
        assert Store.open(store.path).missing(ids) == [ids[0]]

    def test_left_over_files_go_and_nothing_else(self, store):
        data = store.path / "vectors.lance" / "data"
        index = store.path / "vectors.lance" / "_indices" / "0ad33f42-68f3-47fb-a45a-6c4cb0981c12"
        index.mkdir(parents=True)
        (index / "index.idx").write_bytes(b"x" * 1000)
        (data / "0123abcd.lance").write_bytes(b"x" * 1000)
        (data / "my notes.txt").write_text("mine")
        (found,) = repair.examine(store.path, repair=True, unit=True)
        assert "2 files" in found.said
        assert found.harmless
        assert not index.exists()
        assert (data / "my notes.txt").exists()
        assert len(data_files(store)) == 4
        assert len(Store.open(store.path)) == 59

    def test_a_manifest_that_cannot_be_read_goes(self, store):
        manifests(store)[0].write_bytes(b"nothing")
        assert repair.examine(store.path, repair=True, unit=True)
        assert len(Store.open(store.path)) == 60  # before the deletion

    def test_where_nothing_can_be_read_nothing_is_promised(self, store):
        for path in manifests(store):
            path.write_bytes(b"nothing")
        with pytest.raises(errors.StoreError, match="no version"):
            repair.examine(store.path, repair=True, unit=True)
