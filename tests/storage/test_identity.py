"""A table belongs to its store, by an id: another one in its place is refused."""

import json
import shutil

import lance
import numpy as np
import pytest

from polyglance import errors
from polyglance.storage import manifests
from polyglance.storage.identity import KEY, StoreFacts
from polyglance.storage.store import Store

FACTS = StoreFacts(modality="image", dim=4, fingerprint="made", space_id="space")


def key(text):
    return text.encode().hex().zfill(32)


def make(path, ids, *, appends=1):
    """A store of some rows, written in several versions."""
    store = Store.create(path, FACTS)
    for rows in np.array_split(np.array(ids), appends):
        names = rows.tolist()
        store.append(names, [key(one) for one in names], vectors=np.ones((len(names), 4), "f4"))
    return store


def said(path):
    return json.loads((path / "store.json").read_text())


def swap(path, other):
    shutil.rmtree(path / "vectors.lance")
    shutil.copytree(other / "vectors.lance", path / "vectors.lance")


def from_before(path):
    """Make of a store what it was before tables had ids."""
    content = {
        name: value for name, value in said(path).items() if name not in manifests.MANIFEST_HEAD
    }
    del content["table_id"]
    note = json.dumps(manifests.manifest(content, kind="store", schema_version=1))
    lance.dataset(str(path / "vectors.lance")).update_config({KEY: note})
    (path / "checksums.json").unlink()
    manifests.write_manifest(path / "store.json", content, kind="store", schema_version=1)


@pytest.mark.parametrize("appends", [1, 3])
def test_the_table_of_another_store_is_refused(tmp_path, appends):
    """With as many versions as its own, and with more."""
    make(tmp_path / "one", ["a", "b", "c"])
    make(tmp_path / "two", ["d", "e", "f"], appends=appends)
    swap(tmp_path / "one", tmp_path / "two")
    with pytest.raises(errors.StoreError, match="is another store's") as refused:
        Store.open(tmp_path / "one")
    assert "from a copy" in refused.value.hint


def test_an_open_store_refuses_it_when_it_looks_again(tmp_path):
    store = make(tmp_path / "one", ["a", "b", "c"])
    make(tmp_path / "two", ["d", "e", "f"], appends=3)
    assert store.is_current
    swap(tmp_path / "one", tmp_path / "two")
    assert not store.is_current
    with pytest.raises(errors.StoreError, match="is another store's"):
        store.refresh()
    with pytest.raises(errors.StoreError), store.writing():
        pass


def test_the_id_is_random_and_stays(tmp_path):
    store = make(tmp_path / "one", ["a", "b", "c"])
    first = said(tmp_path / "one")["table_id"]
    assert len(first) == 32
    make(tmp_path / "two", ["a"])
    assert said(tmp_path / "two")["table_id"] != first
    store.note_facts({"folder": "elsewhere"})
    store.replace(["a"], [key("x")], vectors=np.eye(1, 4, dtype="f4"))
    store.delete(["b"])
    store.compact(keep_seconds=0)
    assert said(tmp_path / "one")["table_id"] == first
    assert sorted(Store.open(tmp_path / "one").ids()) == ["a", "c"]
    address = Store.open(f"file://{tmp_path}/one")
    assert (address.extra_facts, len(address)) == ({"folder": "elsewhere"}, 2)


@pytest.mark.parametrize("cut", ["before", "between"])
def test_a_kill_while_facts_are_noted_leaves_it_sound(tmp_path, cut, monkeypatch):
    store = make(tmp_path / "one", ["a"])

    def killed(*_, **__):
        raise KeyboardInterrupt

    where = "polyglance.storage.identity." + ("note" if cut == "before" else "write")
    monkeypatch.setattr(where, killed)
    with pytest.raises(KeyboardInterrupt):
        store.note_facts({"folder": "elsewhere"})
    monkeypatch.undo()
    again = Store.open(tmp_path / "one")
    assert again.ids() == ["a"]
    again.note_facts({"folder": "elsewhere"})
    assert Store.open(tmp_path / "one").extra_facts == {"folder": "elsewhere"}


def test_a_copy_of_the_whole_store_is_one(tmp_path):
    make(tmp_path / "one", ["a", "b"])
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    copy = Store.open(tmp_path / "copy")
    copy.append(["c"], [key("c")], vectors=np.ones((1, 4), "f4"))
    assert Store.open(tmp_path / "copy").ids() == ["a", "b", "c"]


def test_of_stores_from_before_nothing_is_compared(tmp_path):
    make(tmp_path / "old", ["a", "b"])
    from_before(tmp_path / "old")
    store = Store.open(tmp_path / "old")
    store.note_facts({"folder": "there"})
    assert said(tmp_path / "old")["table_id"] == ""
    make(tmp_path / "new", ["c"])
    swap(tmp_path / "new", tmp_path / "old")  # the new one knows its own
    with pytest.raises(errors.StoreError, match="is another store's"):
        Store.open(tmp_path / "new")


def test_a_table_that_says_nothing_of_itself_is_not_its_own(tmp_path):
    make(tmp_path / "one", ["a"])
    other = make(tmp_path / "two", ["b"]).table.to_table()
    shutil.rmtree(tmp_path / "one" / "vectors.lance")
    (tmp_path / "one" / "checksums.json").unlink()
    lance.write_dataset(other, str(tmp_path / "one" / "vectors.lance"))
    with pytest.raises(errors.StoreError, match="is another store's"):
        Store.open(tmp_path / "one")
