"""Vectors of others: what cannot be read is said in two lines, before a row is written."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyglance import errors
from polyglance.search import indexing
from polyglance.storage.store import Store

X = np.random.default_rng(0).standard_normal((4, 192)).astype(np.float32)


def build(source, tmp_path, *, space="mine"):
    return indexing.build(source, model="fake:pixels", out=tmp_path / "index", space=space)


def folder(tmp_path, *, vectors=X, ids=b"a\nb\nc\nd\n", name="ids.txt"):
    place = tmp_path / "v"
    place.mkdir(exist_ok=True)
    written = io.BytesIO()
    np.save(written, vectors, allow_pickle=True)
    (place / "vectors.npy").write_bytes(
        vectors if isinstance(vectors, bytes) else written.getvalue()
    )
    (place / name).write_bytes(ids)
    return place


def zipped():
    written = io.BytesIO()
    np.savez(written, X)
    return written.getvalue()


UNREADABLE = {
    "UTF-16": {"ids": "a\r\nb\r\n".encode("utf-16")},
    "Latin-1": {"ids": "caf\u00e9\n".encode("latin-1")},
    "broken JSON": {"ids": b'["a", ', "name": "ids.json"},
    "deep JSON": {"ids": b"[" * 9000, "name": "ids.json"},
    "no list": {"ids": b'{"a": 1}', "name": "ids.json"},
    "npz": {"vectors": zipped()},
    "half an npz": {"vectors": zipped()[:60]},
    "objects": {"vectors": np.array([{"a": 1}, None, 2, 3], dtype=object)},
    "empty": {"vectors": b""},
    "text": {"vectors": b"1,2,3\n"},
    "cut": {"vectors": b"\x93NUMPY\x01\x00"},
    "integers": {"vectors": np.ones((4, 192), dtype=np.int64)},
    "complex": {"vectors": np.ones((4, 192), dtype=np.complex64)},
    "one row": {"vectors": X[0]},
    "no width": {"vectors": np.ones((4, 0), dtype=np.float32)},
    "counts": {"ids": b"a\nb\n"},
}


@pytest.mark.parametrize("given", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("space", ["mine", "model"])
def test_what_cannot_be_read_is_an_error_with_a_hint(tmp_path, given, space):
    with pytest.raises((errors.InputError, errors.ConfigError)) as caught:
        build(folder(tmp_path, **given), tmp_path, space=space)
    assert "\n" not in caught.value.message
    assert not (tmp_path / "index").exists()


def test_another_width_than_the_models_is_refused(tmp_path):
    with pytest.raises(errors.VectorError, match="width 100; the space .* has 192"):
        build(folder(tmp_path, vectors=X[:, :100]), tmp_path, space="model")
    assert not (tmp_path / "index").exists()


def clip_folder(tmp_path, *parts):
    place = tmp_path / "clip"
    for name in ("img_emb", "metadata"):
        (place / name).mkdir(parents=True)
    for number, (vectors, table) in enumerate(parts):
        np.save(place / "img_emb" / f"img_emb_{number}.npy", vectors)
        path = place / "metadata" / f"metadata_{number}.parquet"
        if isinstance(table, bytes):
            path.write_bytes(table)
        else:
            pq.write_table(pa.table(table), path)
    return place


@pytest.mark.parametrize(
    "second",
    [
        (X[:, :50], {"image_path": ["e", "f", "g", "h"]}),
        (X, {"image_path": ["e", "f"]}),
        (X, b"PAR1junk"),
        (X, {"other": [1, 2, 3, 4]}),
    ],
)
def test_all_parts_are_looked_at_before_a_row_is_written(tmp_path, second):
    first = (X, {"image_path": ["a", "b", "c", "d"]})
    with pytest.raises(errors.PolyglanceError):
        build(clip_folder(tmp_path, first, second), tmp_path)
    assert not (tmp_path / "index").exists()


@pytest.mark.filterwarnings("error")
def test_rows_without_a_direction_or_an_id_are_set_aside(tmp_path):
    vectors = np.tile(X.astype(np.float64), (2, 1))
    vectors[0], vectors[1, 3], vectors[2, 5] = 0, np.nan, 1e300
    ids = b'["zero", "nan", "large", "good", "good", "", "\\ud83e", 7]'
    report = build(folder(tmp_path, vectors=vectors, ids=ids, name="ids.json"), tmp_path)
    assert Store.open(tmp_path / "index").ids() == ["good", "7"]
    assert [(one.id, one.reason) for one in report.quarantined] == [
        ("zero", "vectors.npy: length 0"),
        ("nan", "vectors.npy: NaN"),
        ("large", "vectors.npy: infinite"),
        ("good", "vectors.npy: its id occurred before"),
        ("row 5", "vectors.npy: it has no id"),
        ("\ufffd", "vectors.npy: its id is no valid text"),
    ]


def test_metadata_of_any_type(tmp_path):
    table = {
        "image_path": ["a", None, "c", "d"],
        "caption": [b"caf\xc3\xa9", b"\xff", None, b"a\0b"],
        "url": [1, 2, 3, None],
    }
    report = build(clip_folder(tmp_path, (X, table)), tmp_path)
    assert (report.new, len(report.quarantined)) == (3, 1)
    rows = Store.open(tmp_path / "index").columns(["id", "caption", "url"])
    assert list(zip(*rows.values(), strict=True)) == [
        ("a", "caf\u00e9", "1"),
        ("c", None, "3"),
        ("d", "a\ufffdb", None),
    ]
