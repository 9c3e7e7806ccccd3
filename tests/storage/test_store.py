import json
import os
import shutil
import subprocess
import sys
import threading
import time

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyglance import errors
from polyglance.storage.identity import StoreFacts
from polyglance.storage.store import Store

FACTS = StoreFacts(modality="text", dim=4, fingerprint="tower-1", space_id="space-1")


def some_vectors(num_rows, *, dim=4, seed=0):
    return np.random.default_rng(seed).standard_normal((num_rows, dim), dtype=np.float32)


def filled(path, *, blocks=3, rows=10):
    """A store of several fragments, its ids and its vectors."""
    store = Store.create(path, FACTS)
    vectors = some_vectors(blocks * rows)
    ids = [f"id-{row}" for row in range(blocks * rows)]
    for start in range(0, blocks * rows, rows):
        block = slice(start, start + rows)
        store.append(ids[block], [f"key-{i}" for i in ids[block]], vectors=vectors[block])
    return store, ids, vectors


def test_rows_come_back_in_order_and_after_opening_again(tmp_path):
    _, ids, vectors = filled(tmp_path / "s")
    store = Store.open(tmp_path / "s")
    assert len(store) == 30
    assert store.num_fragments == 3
    assert store.ids() == ids
    assert store.keys() == [f"key-{i}" for i in ids]
    np.testing.assert_array_equal(store.vectors(), vectors)
    assert store.vectors().dtype == np.float32
    assert store.facts == FACTS


@pytest.mark.parametrize("rows", [[3], [29, 0, 29, 7], [], list(range(29, -1, -1)) * 2])
def test_vectors_in_the_order_asked(tmp_path, rows):
    store, ids, vectors = filled(tmp_path / "s")
    found = store.vectors([ids[row] for row in rows])
    np.testing.assert_array_equal(found, vectors[rows] if rows else np.empty((0, 4), np.float32))
    assert found.shape == (len(rows), 4)


def test_unknown_ids_are_named(tmp_path):
    store, ids, _ = filled(tmp_path / "s")
    with pytest.raises(errors.StoreError, match="lacks 2 of 3 ids, first 'x'"):
        store.vectors([ids[0], "x", "y"])


def test_missing_keeps_order_and_drops_repeats(tmp_path):
    store, ids, _ = filled(tmp_path / "s")
    assert store.missing(["b", ids[4], "a", "b"]) == ["b", "a"]


@pytest.mark.parametrize("rows", [1, 7, 30, 100])
def test_blocks_are_full_across_fragments(tmp_path, rows):
    store, ids, vectors = filled(tmp_path / "s")
    blocks = list(store.blocks(rows))
    assert [len(block_ids) for block_ids, _ in blocks][:-1] == [rows] * (len(blocks) - 1)
    assert [identity for block_ids, _ in blocks for identity in block_ids] == ids
    np.testing.assert_array_equal(np.concatenate([v for _, v in blocks]), vectors)


def test_an_empty_store_reads_as_empty(tmp_path):
    store = Store.create(tmp_path / "s", FACTS)
    assert len(store) == 0
    assert store.vectors().shape == (0, 4)
    assert store.vectors([]).shape == (0, 4)
    assert list(store.blocks()) == []
    assert store.delete(["x"]) == 0
    store.append([], [], vectors=some_vectors(0))
    assert len(store) == 0


def test_the_manifest_says_whose_vectors_these_are(tmp_path):
    Store.create(tmp_path / "s", FACTS, extra_facts={"root": "/photos"})
    found = json.loads((tmp_path / "s" / "store.json").read_text())
    assert found.pop("created_by").startswith("polyglance ")
    assert len(found.pop("checksum")) == len(found.pop("table_id")) == 32
    assert found == {
        "schema_version": 1,
        "kind": "store",
        "modality": "text",
        "dim": 4,
        "fingerprint": "tower-1",
        "space_id": "space-1",
        "output": "embedding",
        "facts": {"root": "/photos"},
    }
    assert Store.open(tmp_path / "s").extra_facts == {"root": "/photos"}


@pytest.mark.parametrize("name", ["a b%20c", "#hash?x=1", "grüße", "s3:odd", "quote'\""])
def test_any_folder_name_will_do(tmp_path, name):
    _, ids, vectors = filled(tmp_path / name)
    np.testing.assert_array_equal(Store.open(tmp_path / name).vectors(ids), vectors)
    assert sorted(os.listdir(tmp_path)) == [name]


def test_extra_columns(tmp_path):
    columns = {"path": pa.string(), "size": pa.int64()}
    store = Store.create(tmp_path / "s", FACTS, extra_columns=columns)
    extra = {"size": [1, 2], "path": ["/a", "/b"]}
    store.append(["a", "b"], ["k", "l"], vectors=some_vectors(2), extra=extra)
    assert store.extra_columns == ("path", "size")
    assert store.columns(["size", "id"]) == {"size": [1, 2], "id": ["a", "b"]}
    with pytest.raises(errors.UnknownNameError, match="unknown column 'sise'"):
        store.columns(["sise"])
    with pytest.raises(errors.InputError, match=r"columns \[\] were given; the store has"):
        store.append(["c"], ["m"], vectors=some_vectors(1))
    with pytest.raises(errors.InputError, match="2 values of size for 1 ids"):
        store.append(["c"], ["m"], vectors=some_vectors(1), extra={"path": ["x"], "size": [1, 2]})
    with pytest.raises(errors.InputError, match="a value of size is not int64"):
        store.append(["c"], ["m"], vectors=some_vectors(1), extra={"path": ["x"], "size": ["y"]})
    assert Store.open_or_create(tmp_path / "s", FACTS, extra_columns=columns).ids() == ["a", "b"]
    with pytest.raises(errors.StoreError, match="has no column mtime; it has: id, key"):
        Store.open_or_create(tmp_path / "s", FACTS, extra_columns={"mtime": pa.int64()})


def test_columns_and_widths_that_cannot_be(tmp_path):
    with pytest.raises(errors.ConfigError, match="column name 'key' is the store's own"):
        Store.create(tmp_path / "s", FACTS, extra_columns={"key": pa.string()})
    with pytest.raises(errors.ConfigError, match="width 0"):
        Store.create(
            tmp_path / "s",
            StoreFacts(modality="text", dim=0, fingerprint="f", space_id="s"),
        )


BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", BAD)
def test_vectors_with_nan_or_infinity_are_refused_by_name(tmp_path, value):
    store = Store.create(tmp_path / "s", FACTS)
    vectors = some_vectors(3)
    vectors[1, 2] = value
    word = "NaN" if np.isnan(value) else "infinite"
    with pytest.raises(errors.VectorError, match=rf"1 of 3 .* row 1 \('b'\): {word}"):
        store.append(["a", "b", "c"], ["1", "2", "3"], vectors=vectors)
    assert len(store) == 0


def test_zero_vectors_are_refused_by_name(tmp_path):
    store = Store.create(tmp_path / "s", FACTS)
    vectors = some_vectors(5)
    vectors[[0, 2, 3, 4]] = 0
    with pytest.raises(errors.VectorError, match="4 of 5 vectors") as caught:
        store.append(list("abcde"), list("abcde"), vectors=vectors)
    assert "row 3 ('d'): length 0; each" in caught.value.message


@pytest.mark.parametrize(
    "vectors",
    [
        some_vectors(2).astype(np.float64),
        some_vectors(2).astype(np.float16),
        some_vectors(3),
        some_vectors(2, dim=5),
        some_vectors(2).ravel(),
        [[1.0, 2.0, 3.0, 4.0]] * 2,
    ],
)
def test_vectors_of_another_type_or_shape_are_refused(tmp_path, vectors):
    store = Store.create(tmp_path / "s", FACTS)
    with pytest.raises(errors.VectorError, match=r"float32 \(2, 4\) is allowed"):
        store.append(["a", "b"], ["1", "2"], vectors=vectors)


def test_strided_vectors_are_stored_right(tmp_path):
    store = Store.create(tmp_path / "s", FACTS)
    wide = some_vectors(6, dim=8)
    store.append(["a", "b", "c"], ["1", "2", "3"], vectors=wide[::2, ::2])
    np.testing.assert_array_equal(store.vectors(), wide[::2, ::2])


def test_an_id_twice_is_refused(tmp_path):
    store, ids, _ = filled(tmp_path / "s")
    with pytest.raises(errors.StoreError, match="'x' was given 2 times"):
        store.append(["y", "x", "x"], ["1", "2", "3"], vectors=some_vectors(3))
    with pytest.raises(errors.StoreError, match=f"1 of 2 ids are in the store .* '{ids[3]}'"):
        store.append(["new", ids[3]], ["1", "2"], vectors=some_vectors(2))
    assert len(store) == 30


def test_ids_that_are_no_text_are_refused(tmp_path):
    store = Store.create(tmp_path / "s", FACTS)
    for bad in (7, "\ud800"):
        with pytest.raises(errors.InputError, match="a value of id is not string"):
            store.append([bad], ["k"], vectors=some_vectors(1))


def test_delete_and_append_again(tmp_path):
    store, ids, vectors = filled(tmp_path / "s")
    assert store.delete([ids[0], ids[15], "absent", ids[15]]) == 2
    kept = [row for row in range(30) if row not in (0, 15)]
    assert store.ids() == [ids[row] for row in kept]
    np.testing.assert_array_equal(store.vectors(), vectors[kept])
    np.testing.assert_array_equal(store.vectors(ids[1:4]), vectors[1:4])
    np.testing.assert_array_equal(store.vectors([ids[16]]), vectors[[16]])
    store.append([ids[0]], ["again"], vectors=vectors[[5]])
    np.testing.assert_array_equal(store.vectors([ids[0]]), vectors[[5]])
    assert len(Store.open(tmp_path / "s")) == 29


def test_replace_is_one_step_and_adds_what_is_new(tmp_path):
    store, ids, vectors = filled(tmp_path / "s")
    fresh = some_vectors(2, seed=9)
    store.replace([ids[4], "new"], ["k1", "k2"], vectors=fresh)
    store.replace([], [], vectors=some_vectors(0))
    assert sorted(store.ids()) == sorted([*ids, "new"])
    np.testing.assert_array_equal(store.vectors([ids[4], "new"]), fresh)
    np.testing.assert_array_equal(store.vectors([ids[5]]), vectors[[5]])
    assert dict(zip(store.ids(), store.keys(), strict=True))[ids[4]] == "k1"


def test_compact_keeps_every_row_and_frees_what_is_old(tmp_path):
    store, ids, vectors = filled(tmp_path / "s", blocks=12)
    store.delete([ids[0]])
    before = sum(f.stat().st_size for f in (tmp_path / "s").rglob("*") if f.is_file())
    reader = Store.open(tmp_path / "s")
    store.compact()
    assert store.num_fragments == 1
    np.testing.assert_array_equal(reader.vectors(ids[1:]), vectors[1:])
    store.compact(keep_seconds=0)
    assert store.ids() == ids[1:]
    np.testing.assert_array_equal(store.vectors(), vectors[1:])
    after = sum(f.stat().st_size for f in (tmp_path / "s").rglob("*") if f.is_file())
    assert after < before / 2


ODD_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"\\;%_\n\0-"), max_size=8
)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), ids=st.lists(ODD_TEXT, unique=True, min_size=1, max_size=12))
def test_any_ids_against_a_dictionary(tmp_path_factory, data, ids):
    path = tmp_path_factory.mktemp("any") / "s"
    store, expected = Store.create(path, FACTS), {}
    subset = st.lists(st.sampled_from(ids), unique=True)
    for step in range(4):
        chosen = data.draw(subset)
        act = data.draw(st.sampled_from(["append", "replace", "delete", "compact"]))
        vectors = some_vectors(len(chosen), seed=step)
        keys = [f"{step}" for _ in chosen]
        if act == "append":
            chosen = store.missing(chosen)
            store.append(chosen, keys[: len(chosen)], vectors=vectors[: len(chosen)])
        elif act == "replace":
            store.replace(chosen, keys, vectors=vectors)
        elif act == "delete":
            assert store.delete(chosen) == len([one for one in chosen if one in expected])
            expected = {key: value for key, value in expected.items() if key not in chosen}
            chosen = []
        else:
            store.compact(keep_seconds=0)
            chosen = []
        expected |= dict(zip(chosen, vectors, strict=False))
        found = Store.open(path)
        assert sorted(found.ids()) == sorted(store.ids()) == sorted(expected)
        for one, vector in expected.items():
            np.testing.assert_array_equal(found.vectors([one])[0], vector)
            np.testing.assert_array_equal(store.vectors([one])[0], vector)


def test_data_id_is_of_the_content_alone(tmp_path):
    vectors = some_vectors(2)
    one, two = Store.create(tmp_path / "1", FACTS), Store.create(tmp_path / "2", FACTS)
    one.append(["a", "b"], ["k", "l"], vectors=vectors)
    two.append(["y", "x"], ["l", "k"], vectors=vectors)
    assert one.data_id() == two.data_id()
    assert one.fingerprint() == two.fingerprint()
    two.delete(["x"])
    assert one.data_id() != two.data_id()
    other = StoreFacts(modality="text", dim=4, fingerprint="tower-2", space_id="space-1")
    three = Store.create(tmp_path / "3", other)
    three.append(["a", "b"], ["k", "l"], vectors=vectors)
    assert three.data_id() == one.data_id()
    assert three.fingerprint() != one.fingerprint()


def test_a_store_that_another_process_makes_in_between_is_opened(tmp_path, monkeypatch):
    make = Store.create

    def overtaken(path, facts, **given):
        make(path, facts, **given).append(["a"], ["k"], vectors=some_vectors(1))
        return make(path, facts, **given)

    monkeypatch.setattr(Store, "create", overtaken)
    assert Store.open_or_create(tmp_path / "s", FACTS).ids() == ["a"]

    def failing(path, facts, **given):
        raise errors.StoreError("no room", hint="make some")

    monkeypatch.setattr(Store, "create", failing)
    with pytest.raises(errors.StoreError, match="no room"):
        Store.open_or_create(tmp_path / "t", FACTS)


def test_open_or_create(tmp_path):
    Store.open_or_create(tmp_path / "s", FACTS).append(["a"], ["k"], vectors=some_vectors(1))
    assert Store.open_or_create(tmp_path / "s", FACTS).ids() == ["a"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "tower-2"}, "fingerprint 'tower-2' was given, it has 'tower-1'"),
        ({"output": "pre_projection"}, "output 'pre_projection' was given, it has 'embedding'"),
        ({"dim": 5, "modality": "image"}, "modality 'image' was .*; dim 5 was given, it has 4"),
    ],
)
def test_a_store_of_another_tower_is_refused(tmp_path, change, said):
    Store.create(tmp_path / "s", FACTS)
    facts = StoreFacts(**{**vars(FACTS), **change})
    with pytest.raises(errors.StoreError, match=said) as caught:
        Store.open_or_create(tmp_path / "s", facts)
    assert "another folder" in caught.value.hint


def test_a_store_of_another_space_is_refused(tmp_path):
    Store.create(tmp_path / "s", FACTS)
    facts = StoreFacts(**{**vars(FACTS), "space_id": "space-2"})
    with pytest.raises(errors.SpaceMismatchError, match=r"'space-2' .* holds the space 'space-1'"):
        Store.open_or_create(tmp_path / "s", facts)


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no store\.json in it"):
        Store.open(tmp_path / "s")
    store = Store.create(tmp_path / "s", FACTS)
    with pytest.raises(errors.StoreError, match="there is a store at"):
        Store.create(tmp_path / "s", FACTS)
    manifest = tmp_path / "s" / "store.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "schema_version": 99}))
    with pytest.raises(errors.StoreError, match="schema version 99"):
        Store.open_or_create(tmp_path / "s", FACTS)
    del content["dim"], content["output"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(errors.StoreError, match="does not say its dim"):
        Store.open(tmp_path / "s")
    assert len(store) == 0


def test_a_damaged_table_is_named(tmp_path):
    filled(tmp_path / "s")
    for file in (tmp_path / "s" / "vectors.lance" / "data").iterdir():
        file.write_bytes(b"")
    with pytest.raises(
        errors.StoreError, match=r"lance is 0 bytes in the place of [\d,]+, and 2 more"
    ):
        Store.open(tmp_path / "s").vectors()
    (tmp_path / "s" / "checksums.json").unlink()
    with pytest.raises(errors.StoreError, match="cannot be read"):
        Store.open(tmp_path / "s").vectors()
    shutil.rmtree(tmp_path / "s" / "vectors.lance")
    with pytest.raises(errors.UnavailableError, match="not there any more"):
        Store.open(tmp_path / "s")


def test_what_an_interrupted_create_left_is_made_anew(tmp_path, monkeypatch):
    Store.create(tmp_path / "s", FACTS)
    (tmp_path / "s" / "store.json").unlink()  # as if killed before the manifest
    assert len(Store.open_or_create(tmp_path / "s", FACTS)) == 0


def test_a_store_reads_its_version_until_refreshed(tmp_path):
    store, _, _ = filled(tmp_path / "s")
    other = Store.open(tmp_path / "s")
    assert other.missing(["new"]) == ["new"]
    store.append(["new"], ["k"], vectors=some_vectors(1))
    assert len(other) == 30
    other.refresh()
    assert len(other) == 31
    store.append(["newer"], ["k"], vectors=some_vectors(1))
    with pytest.raises(errors.StoreError, match="1 of 1 ids are in the store"):
        other.append(["newer"], ["k"], vectors=some_vectors(1))


def test_two_objects_do_not_write_at_once(tmp_path):
    store, _, _ = filled(tmp_path / "s")
    other = Store.open(tmp_path / "s")
    with store.writing():
        store.append(["new"], ["k"], vectors=some_vectors(1))
        with pytest.raises(errors.StoreError, match=f"written by process {os.getpid()} on"):
            other.append(["new"], ["k"], vectors=some_vectors(1))
        with pytest.raises(errors.StoreError), other.writing(wait_seconds=0.1):
            pass
    with other.writing():
        assert other.missing(["new"]) == []


def test_two_processes_never_append_an_id_twice(tmp_path):
    Store.create(tmp_path / "s", FACTS)
    program = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from polyglance.storage.store import Store\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for start in range(0, 60, 5):\n"
        "    with store.writing(wait_seconds=30):\n"
        "        ids = store.missing([f'id-{i}' for i in range(start, start + 5)])\n"
        "        vectors = np.ones((len(ids), 4), np.float32)\n"
        "        store.append(ids, ids, vectors=vectors)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "s")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen(arguments, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == b"ready\n"
    for process in both:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(Store.open(tmp_path / "s").ids()) == sorted(f"id-{i}" for i in range(60))


def test_a_full_disk_keeps_what_was_committed(tmp_path, monkeypatch):
    store, ids, vectors = filled(tmp_path / "s")

    def full(*args, **kwargs):
        # Word for word what pylance 14.0.2 raised on a full tmpfs; its errno is None.
        raise OSError("LanceError(IO): No space left on device (os error 28), structural.rs:254:9")

    monkeypatch.setattr(lance, "write_dataset", full)
    with pytest.raises(errors.DiskFullError, match="no room left on the disk"):
        store.append(["new"], ["k"], vectors=some_vectors(1))
    monkeypatch.undo()
    np.testing.assert_array_equal(store.vectors(ids), vectors)
    assert store.missing(["new"]) == ["new"]
    store.append(["new"], ["k"], vectors=some_vectors(1))
    assert len(Store.open(tmp_path / "s")) == 31


def test_an_interrupt_after_the_commit_is_seen_as_committed(tmp_path, monkeypatch):
    store, ids, _ = filled(tmp_path / "s")
    write = lance.write_dataset

    def interrupted(*args, **kwargs):
        write(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(lance, "write_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.append(["new"], ["k"], vectors=some_vectors(1))
    monkeypatch.undo()
    assert store.missing([*ids, "new"]) == []
    assert len(Store.open(tmp_path / "s")) == 31


def test_creating_on_a_full_disk_leaves_no_store(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("LanceError(IO): No space left on device (os error 28)")

    monkeypatch.setattr(lance, "write_dataset", full)
    with pytest.raises(errors.DiskFullError):
        Store.create(tmp_path / "s", FACTS)
    monkeypatch.undo()
    assert len(Store.open_or_create(tmp_path / "s", FACTS)) == 0


def test_a_thread_does_not_write_into_anothers_turn(tmp_path):
    store, _, _ = filled(tmp_path / "s")
    seen = []

    def attempt():
        try:
            store.append(["new"], ["k"], vectors=some_vectors(1))
        except errors.StoreError as error:
            seen.append(error.message)

    with store.writing():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(seen) == 1
    assert "being written by" in seen[0]


def test_opening_brings_no_torch_and_is_quick(tmp_path):
    store = Store.create(
        tmp_path / "s", StoreFacts(modality="image", dim=384, fingerprint="f", space_id="s")
    )
    ids = [f"id-{row}" for row in range(2000)]
    store.append(ids, ids, vectors=some_vectors(2000, dim=384))
    program = (
        "import sys, time, lance; from pathlib import Path\n"
        "from polyglance.storage.store import Store\n"
        "start = time.perf_counter()\n"
        "store = Store.open(Path(sys.argv[1])); store.ids(); shape = store.vectors().shape\n"
        "print(time.perf_counter() - start); assert shape == (2000, 384)\n"
        "assert not {'torch', 'transformers', 'lancedb'} & set(sys.modules)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "s")]
    seconds = []
    for _ in range(3):  # best of three: the machine may be busy
        seconds.append(float(subprocess.check_output(arguments)))
        if seconds[-1] < 0.2:
            break
        time.sleep(0.2)
    assert min(seconds) < 0.2


@pytest.mark.parametrize("form", ["file://{}/s", "file://{}/s/", "file://{}/s/vectors.lance"])
def test_the_table_alone_is_opened_by_its_address(tmp_path, form):
    here, ids, vectors = filled(tmp_path / "here")
    (tmp_path / "s").mkdir()
    shutil.copytree(tmp_path / "here" / "vectors.lance", tmp_path / "s" / "vectors.lance")
    store = Store.open(form.format(tmp_path))
    assert (store.facts, store.extra_facts, store.ids()) == (FACTS, here.extra_facts, ids)
    np.testing.assert_array_equal(store.vectors(), vectors)
    assert store.is_current
    with pytest.raises(errors.StoreError, match=r"file://.* can be read only"):
        store.append(["a"], ["a"], vectors=some_vectors(1))
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["vectors.lance"]


def test_no_table_at_an_address(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no table can be opened at .*nowhere"):
        Store.open(f"file://{tmp_path}/nowhere")
    lance.write_dataset(pa.table({"a": [1]}), str(tmp_path / "other.lance"))
    with pytest.raises(errors.StoreError, match="does not say whose vectors"):
        Store.open(f"file://{tmp_path}/other.lance")
