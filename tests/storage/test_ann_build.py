"""The vector index is built when it pays, kept up with the table, and says how well it finds."""

import numpy as np
import pytest

import vector_tables
from polyglance.storage import ann_build, ann_index
from polyglance.storage.ann_build import build, build_if_it_pays
from polyglance.storage.ann_index import Nearest, facts_of
from polyglance.storage.store import Store


@pytest.fixture(autouse=True)
def few_queries(monkeypatch):
    monkeypatch.setattr(ann_build, "NUM_MEASURED", 30)


@pytest.fixture
def small_steps(monkeypatch):
    """Building pays from 500 rows; more than 20 new ones are too many."""
    monkeypatch.setattr(ann_build, "LEAST_ROWS", 500)
    monkeypatch.setattr(ann_build, "LEAST_NEW_ROWS", 20)


@pytest.fixture
def store(tmp_path):
    return vector_tables.make(tmp_path / "index", 1_000)


def never(texts):
    pytest.fail("texts were encoded though nothing is built")


def test_small_tables_get_none(store):
    assert build_if_it_pays(store, encode=never) is None
    assert facts_of(store.table) is None


def test_what_it_says_of_itself(store, small_steps):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return vector_tables.vectors(len(texts), seed=3)

    facts = build_if_it_pays(store, encode=encode)
    assert asked == ann_build.query_texts()
    assert facts_of(Store.open(store.path).table) == facts
    assert (facts.num_rows, facts.num_trained, facts.num_partitions) == (1_000, 1_000, 32)
    assert facts.space_id == "made-space"
    assert min(facts.recall_rows, facts.recall_texts) >= ann_build.WANTED_RECALL
    assert facts.seconds > 0
    truth = ann_build.exact_nearest(store, vector_tables.vectors(200, seed=3)[:30], top=10)
    again = ann_build.recall(
        Nearest(store.table), vector_tables.vectors(200, seed=3)[:30], truth=truth
    )
    assert again == facts.recall_texts


def test_recall_is_measured_and_not_assumed(store, monkeypatch):
    """With one probe that may not grow the index misses, and says so."""
    monkeypatch.setattr(ann_build, "WANTED_RECALL", 0.0)
    monkeypatch.setattr(ann_build, "LEAST_PROBES", 1)
    facts = build(store, texts=vector_tables.vectors(50, seed=3))
    assert facts.num_probes == 1
    assert facts.recall_rows < 0.9
    assert facts.recall_texts < 0.9


def test_a_row_that_finds_itself_does_not_count(tmp_path, monkeypatch):
    """Neighbours lie in other partitions: by one probe a row finds itself alone."""
    monkeypatch.setattr(ann_build, "WANTED_RECALL", 0.0)
    monkeypatch.setattr(ann_build, "LEAST_PROBES", 1)
    monkeypatch.setattr(ann_build, "num_partitions", lambda _: 16)
    store = vector_tables.make(tmp_path / "axes", 0)
    vector_tables.add(store, 0, 32, rows=np.eye(32, dtype=np.float32))
    assert build(store).recall_rows < 0.5


def test_the_next_run_has_nothing_to_do(store, small_steps):
    build_if_it_pays(store)
    vector_tables.add(store, 1_000, 20)
    version = store.table.version
    assert build_if_it_pays(store, encode=never) is None
    assert store.table.version == version


def test_many_new_rows_extend_it_and_still_more_choose_partitions_anew(store, small_steps):
    first = build_if_it_pays(store)
    vector_tables.add(store, 1_000, 100)
    extended = build_if_it_pays(store)
    assert (extended.num_trained, extended.num_rows) == (first.num_trained, 1_100)
    vector_tables.add(store, 1_100, 150)
    anew = build_if_it_pays(store)
    assert (anew.num_trained, anew.num_rows) == (1_250, 1_250)
    for rows in (store.vectors()[:1_000:100], store.vectors()[1_000:]):
        found = Nearest(store.table).search(rows, top=1)
        hits = [one.scores[0] > 0.9999 for one in found]
        assert np.mean(hits) > 0.95


def test_an_index_that_nobody_measured_is_not_used(store, monkeypatch):
    """Killed while measuring: every row is compared, and the next run builds."""
    monkeypatch.setattr(ann_build, "_measured", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(store)
    monkeypatch.undo()
    opened = Store.open(store.path)
    assert facts_of(opened.table) is None
    assert Nearest(opened.table).search(opened.vectors()[:1], top=1)[0].rows.tolist() == [0]
    assert build(opened).num_rows == 1_000


def test_exact_nearest_is_a_full_sort(store):
    queries = vector_tables.vectors(4, seed=17)
    ids = store.ids()
    found = ann_build.exact_nearest(store, queries, top=6)
    assert [[ids[row] for row in each] for each in found] == [
        vector_tables.naive(store, query, top=6) for query in queries
    ]


def test_the_index_goes_with_the_table(store):
    """Derivable at any time: dropped, every row is compared; built, it is there again."""
    build(store)
    store.table.drop_index(ann_index.INDEX_NAME)
    opened = Store.open(store.path)
    assert facts_of(opened.table) is None
    assert build(opened) == facts_of(Store.open(store.path).table)
