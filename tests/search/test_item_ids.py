"""Packed texts are those that went in, and the map finds the row of every id and of no other."""

import pyarrow as pa
import pytest

from polyglance.search import item_ids
from polyglance.search.item_ids import IdMap, PackedTexts

TEXTS = ["a.png", "ünder/日本 🐟.png", "", "b" * 300, "a.png2"]


@pytest.fixture(params=["one piece", "pieces", "slices", "large"])
def packed(request, monkeypatch):
    column = {
        "one piece": pa.chunked_array([pa.array(TEXTS)]),
        "pieces": pa.chunked_array([pa.array(TEXTS[:2]), pa.array(TEXTS[2:])]),
        "slices": pa.chunked_array([pa.array(["x", *TEXTS, "y"]).slice(1, len(TEXTS))]),
        "large": pa.chunked_array([pa.array(TEXTS)]),
    }[request.param]
    if request.param == "large":
        monkeypatch.setattr(item_ids, "OFFSETS_32", 10)
    return PackedTexts(column)


def test_packed_texts_are_those_that_went_in(packed, monkeypatch):
    monkeypatch.setattr(item_ids, "ITERATED", 2)
    assert list(packed) == TEXTS
    assert [packed[row] for row in range(len(packed))] == TEXTS
    assert (packed[-1], packed[1:3], packed.index("")) == (TEXTS[-1], TEXTS[1:3], 2)
    assert packed.nbytes < 1000
    with pytest.raises(IndexError):
        packed[len(TEXTS)]


def test_what_is_absent_is_empty():
    assert list(PackedTexts(pa.chunked_array([pa.array([None, "a"])]))) == ["", "a"]
    assert list(PackedTexts(pa.chunked_array([], pa.string()))) == []


@pytest.mark.parametrize("collide", [False, True])
def test_every_id_has_its_row(packed, monkeypatch, collide):
    if collide:
        monkeypatch.setattr(item_ids, "hash", lambda text: len(text) % 2, raising=False)
    found = IdMap(packed)
    assert found.rows(TEXTS).tolist() == [0, 1, 2, 3, 4]
    assert found.rows(["a.png2", "nothing", "a.pn", "\udce9"]).tolist() == [4, -1, -1, -1]
    assert found.rows([]).tolist() == []
    assert found.nbytes == 12 * len(TEXTS)


def test_the_map_of_nothing():
    assert IdMap([]).rows(["a"]).tolist() == [-1]
