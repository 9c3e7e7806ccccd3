"""What a server holds of every item, and that what is shown is the same held and read."""

import gc
from datetime import datetime

import numpy as np
import pytest

from polyglance.search import indexing
from polyglance.search.filters import Filters
from polyglance.search.index import Index
from polyglance.search.queries import MediaVector, Query
from polyglance.search.request import SearchRequest
from polyglance.search.searcher import Searcher
from polyglance.serve import answers
from polyglance.serve.answers import Asker, Catalogue
from polyglance.storage import ann_build
from polyglance.storage.store import Store
from polyglance.vectors import unit

NUM, WIDTH = 3000, 32


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An index with a vector index, and with captions, urls, days and sizes; as a large one."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((NUM, WIDTH), dtype=np.float32))
    (folder / "given").mkdir()
    np.save(folder / "given" / "vectors.npy", vectors[:1])
    (folder / "given" / "ids.txt").write_text("first")
    indexing.build(
        folder / "given", model="precomputed:nowhere", space="large", out=folder / "index"
    )
    store = Store.open(folder / "index")
    ids = [f"below/{row % 7}/{row:05}.jpg" for row in range(NUM)]
    extra = {name: [None] * NUM for name in store.extra_columns} | {
        "path": [f"/data/{name}" for name in ids],
        "size": [1000 + row for row in range(NUM)],
        "caption": [f"number {row}" if row % 3 else None for row in range(NUM)],
        "url": [f"https://photos.example/{row}.jpg" for row in range(NUM)],
        "taken_at": [datetime(2024, 1, 1 + row % 28) for row in range(NUM)],
    }
    store.append(ids, [f"{row:032x}" for row in range(NUM)], vectors=vectors, extra=extra)
    store.delete(["first", ids[17], ids[18], ids[2000]])
    ann_build.build(store)
    return folder / "index"


def near(index, row, **more):
    vector = index.vectors_at([row])[0]
    return SearchRequest(query=Query.near(MediaVector(vector)), **more)


def everything_asked(asker):
    index = asker.catalogue.index
    first = asker.answers([near(index, 5, top=50)])[0]["hits"]
    asker.answers([SearchRequest(query=Query.like(first[0]["id"]))])
    for filters in (Filters(folders=("below/3",)), Filters(since=datetime(2024, 1, 5))):
        asker.answers([near(index, 7, filters=filters)])
    for hit in first:
        assert asker.catalogue.pictures.key(hit["id"])
        assert hit["id"] in asker.catalogue
    return first


def test_no_map_or_list_of_all_items_is_held(large):
    def lengths():
        gc.collect()
        return {
            id(one): one
            for one in gc.get_objects()
            if type(one) in (dict, list, set, tuple) and len(one) >= NUM - 10
        }

    before = lengths()
    asker = Asker(Searcher(large))
    asker.warm_up()
    everything_asked(asker)
    new = [one for key, one in lengths().items() if key not in before and one is not before]
    assert [type(one) for one in new] == []


def test_beside_ids_paths_and_the_vector_index_an_item_takes_sixty_bytes(large, monkeypatch):
    monkeypatch.setattr(answers, "HELD_BYTES", 16 * NUM)  # of a million items
    asker = Asker(Searcher(large))
    everything_asked(asker)
    index = asker.catalogue.index
    held = index.id_map.nbytes + index.contents.nbytes + asker.catalogue.nbytes
    assert 2 * NUM / 8 <= index.nearest.nbytes < 3 * NUM / 8  # two conditions; 64 are kept
    assert held + 32 * index.nearest.nbytes <= 60 * len(index.ids)


@pytest.mark.parametrize("room", [0, 8 * NUM + 600, 2**24])
def test_what_is_shown_is_the_same_held_and_read(large, monkeypatch, room):
    monkeypatch.setattr(answers, "HELD_BYTES", room)
    catalogue = Catalogue(Index(large))
    assert catalogue.nbytes <= room
    names = ["below/4/00004.jpg", "nothing.jpg", "below/3/00003.jpg", "below/3/00017.jpg"]
    told = catalogue.told(names)
    assert list(told) == [names[0], names[2]]
    assert told[names[0]] == {
        "id": names[0],
        "image": "/api/images/below/4/00004.jpg",
        "thumbnail": "/api/thumbnails/below/4/00004.jpg",
        "caption": "number 4",
        "url": "https://photos.example/4.jpg",
        "taken_at": "2024-01-05T00:00:00",
        "size": 1004,
    }
    assert told[names[2]]["caption"] is None
    assert catalogue.told(names) == told


def test_columns_that_say_nothing_are_neither_held_nor_read(world, monkeypatch):
    monkeypatch.setattr(answers, "HELD_BYTES", 10**6)
    catalogue = Catalogue(Index(world.index))
    assert set(catalogue._held) <= {"taken_at", "size"}
    assert catalogue._read == []


def test_few_items_are_kept_as_they_are_told(large, monkeypatch):
    monkeypatch.setattr(answers, "KEPT_ITEMS", 3)
    catalogue = Catalogue(Index(large))
    names = list(catalogue.index.ids)[:8]
    assert list(catalogue.told(names)) == names
    for name in names:
        assert catalogue.told([name])[name]["id"] == name
        assert len(catalogue._told) <= 8


def test_rows_that_went_shift_those_behind_them(large):
    index = Index(large)
    assert len(index.ids) == NUM - 3
    assert "below/3/00017.jpg" not in Catalogue(index)
    for row in (0, 16, 17, 1990, 1997, len(index.ids) - 1):
        (found,) = Searcher(large).search_many([near(index, row, top=1)])
        assert found.hits[0].id == index.ids[row]
        assert index.id_map.rows([index.ids[row]]).tolist() == [row]
        assert (index.vector_of(index.ids[row]) == index.vectors_at([row])[0]).all()
