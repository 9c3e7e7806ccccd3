"""The nearest rows through an index: those of a full comparison, as the table is at the moment."""

import dataclasses
import shutil

import numpy as np
import pytest

import vector_tables
from polyglance import errors
from polyglance.storage import ann_build, ann_index
from polyglance.storage.ann_index import Nearest
from polyglance.storage.store import Store


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """2,000 rows and their index, made once; tests get copies."""
    path = tmp_path_factory.mktemp("template") / "index"
    ann_build.build(vector_tables.make(path, 2_000), texts=vector_tables.vectors(20, seed=5))
    return path


@pytest.fixture
def store(template, tmp_path):
    return Store.open(shutil.copytree(template, tmp_path / "index"))


@pytest.fixture(autouse=True)
def many_candidates(monkeypatch):
    """Rounding to five bits is coarser over 32 numbers than over the hundreds of real vectors."""
    monkeypatch.setattr(ann_index, "CANDIDATES", 10)


@pytest.fixture
def queries():
    return vector_tables.vectors(8, seed=99)


def all_probed(store):
    """An index that looks into every partition, so that it must find what a full sort finds."""
    facts = ann_index.facts_of(store.table)
    return Nearest(store.table, facts=dataclasses.replace(facts, num_probes=facts.num_partitions))


def ids_of(store, found):
    ids = store.ids()
    return [[ids[row] for row in one.rows] for one in found]


def test_without_an_index_every_row_is_compared(tmp_path, queries):
    store = vector_tables.make(tmp_path / "plain", 300)
    nearest = Nearest(store.table)
    nearest.warm_up()
    assert nearest.facts is None
    found = nearest.search(queries, top=7)
    assert ids_of(store, found) == [vector_tables.naive(store, query, top=7) for query in queries]
    assert found[0].rows.shape == found[0].scores.shape == (7,)


def test_through_the_index_scores_are_exact_and_the_order_is_theirs(store, queries):
    nearest = all_probed(store)
    nearest.warm_up()
    found = nearest.search(queries, top=7)
    assert ids_of(store, found) == [vector_tables.naive(store, query, top=7) for query in queries]
    everything = store.vectors()
    for query, one in zip(queries, found, strict=True):
        np.testing.assert_array_equal(nearest.vectors_at(one.rows), everything[one.rows])
        np.testing.assert_allclose(one.scores, everything[one.rows] @ query, rtol=1e-6)


def test_as_many_probes_as_were_measured_find_nearly_all(store):
    nearest = Nearest(store.table)
    queries = vector_tables.vectors(100, seed=123)
    truth = ann_build.exact_nearest(store, queries, top=10)
    assert ann_build.recall(nearest, queries, truth=truth) >= 0.97


def test_fewer_probes_find_less(store):
    queries = vector_tables.vectors(100, seed=123)
    truth = ann_build.exact_nearest(store, queries, top=10)
    nearest = Nearest(store.table)
    one = ann_build.recall(nearest, queries, truth=truth, num_probes=1)
    assert one < ann_build.recall(nearest, queries, truth=truth) - 0.05


def test_new_rows_are_found_before_the_index_knows_them(store, queries):
    vector_tables.add(store, 2_000, len(queries), rows=queries)
    found = Nearest(store.table).search(queries, top=1)
    assert ids_of(store, found) == [[f"i{2_000 + row}"] for row in range(len(queries))]


def test_open_searches_see_the_table_as_it_was(store, queries):
    nearest = all_probed(store)
    before = nearest.search(queries, top=5)
    vector_tables.add(store, 2_000, len(queries), rows=queries)
    store.delete([store.ids()[before[0].rows[0]]])
    after = nearest.search(queries, top=5)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)


def test_deleted_rows_never_come_back(store, queries):
    gone = {i for one in ids_of(store, all_probed(store).search(queries, top=5)) for i in one}
    store.delete(sorted(gone))
    for step in (lambda: None, store.compact, lambda: ann_build.build(store)):
        step()
        found = all_probed(store).search(queries, top=5)
        assert ids_of(store, found) == [
            vector_tables.naive(store, query, top=5) for query in queries
        ]
        assert not gone & {identity for one in ids_of(store, found) for identity in one}


def test_replaced_rows_answer_with_their_new_vector_alone(store, queries):
    query = queries[:1]
    (first,) = ids_of(store, all_probed(store).search(query, top=1))[0]
    store.replace([first], ["new"], vectors=-query, extra={"size": [0]})
    for step in (lambda: None, store.compact):
        step()
        nearest = all_probed(store)
        assert first not in ids_of(store, nearest.search(query, top=50))[0]
        assert ids_of(store, nearest.search(-query, top=1)) == [[first]]


def test_a_condition_decides_before_anything_is_ranked(store, queries):
    for where, allowed in (
        ("size < 40", lambda row: row < 40),
        ("size >= 1000 AND id != 'i1500'", lambda row: row >= 1000 and row != 1500),
    ):
        found = Nearest(store.table).search(queries, top=9, where=where)
        assert ids_of(store, found) == [
            vector_tables.naive(store, query, top=9, allowed=allowed) for query in queries
        ]


def test_a_wide_condition_goes_through_the_index(store, queries, monkeypatch):
    monkeypatch.setattr(ann_index, "EXACT_ROWS", 100)
    found = all_probed(store).search(queries, top=9, where="size % 2 = 0")
    assert ids_of(store, found) == [
        vector_tables.naive(store, query, top=9, allowed=lambda row: row % 2 == 0)
        for query in queries
    ]


@pytest.mark.parametrize("compared", [65_536, 300])
def test_a_wide_condition_whose_rows_lie_far_from_the_query(store, queries, monkeypatch, compared):
    """Nothing near the query passes: Lance filters first; among given rows all are compared."""
    monkeypatch.setattr(ann_index, "EXACT_ROWS", 100)
    monkeypatch.setattr(ann_index, "FILTERED_PROBES", 1)
    monkeypatch.setattr(ann_index, "COMPARED_ROWS", compared)
    facts = dataclasses.replace(ann_index.facts_of(store.table), num_probes=1)
    nearest = Nearest(store.table, facts=facts)
    scores = store.vectors() @ queries[0]
    far = np.sort(np.argsort(scores)[:500])
    expected = far[np.argsort(-scores[far])][:9].tolist()
    (found,) = nearest.search_among(queries[:1], top=9, allowed=far)
    assert found.rows.tolist() == expected
    np.testing.assert_allclose(found.scores, scores[expected], rtol=1e-5)
    where = f"size IN ({', '.join(str(store.columns(['size'])['size'][row]) for row in far)})"
    (through,) = nearest.search(queries[:1], top=9, where=where)
    assert len(through.rows) == 9
    assert set(through.rows.tolist()) <= set(far.tolist())


def test_a_condition_that_nothing_meets(store, queries):
    (found,) = Nearest(store.table).search(queries[:1], top=3, where="size < 0")
    assert (len(found.rows), len(found.scores)) == (0, 0)


def test_more_is_asked_than_there_is(tmp_path, queries):
    store = vector_tables.make(tmp_path / "few", 3)
    assert len(Nearest(store.table).search(queries[:1], top=10)[0].rows) == 3
    empty = vector_tables.make(tmp_path / "none", 0)
    assert len(Nearest(empty.table).search(queries[:1], top=10)[0].rows) == 0


def test_equal_scores_come_in_the_order_of_the_rows(tmp_path):
    row = vector_tables.vectors(1)
    store = vector_tables.make(tmp_path / "same", 0)
    vector_tables.add(store, 0, 6, rows=np.repeat(row, 6, axis=0))
    assert Nearest(store.table).search(row, top=3)[0].rows.tolist() == [0, 1, 2]


def test_it_goes_with_the_table(store, queries, tmp_path):
    """What goes to object storage is the Lance table; no file beside it is read."""
    shutil.copytree(store.path / "vectors.lance", tmp_path / "elsewhere" / "vectors.lance")
    copied = Store.open(f"file://{tmp_path / 'elsewhere'}")
    nearest = Nearest(copied.table)
    assert nearest.facts == ann_index.facts_of(store.table)
    here = Nearest(store.table).search(queries, top=5)
    assert ids_of(store, nearest.search(queries, top=5)) == ids_of(store, here)


def test_bad_questions(store, queries):
    nearest = Nearest(store.table)
    with pytest.raises(errors.ConfigError, match="top 0"):
        nearest.search(queries, top=0)
    with pytest.raises(errors.VectorError, match="float32"):
        nearest.search(queries[:, :5], top=1)
    with pytest.raises(errors.InputError, match="colour"):
        nearest.search(queries, top=1, where="colour = 'red'")


def test_the_fewer_rows_are_allowed_the_more_are_looked_at(store, queries, monkeypatch):
    monkeypatch.setattr(ann_index, "EXACT_ROWS", 100)
    nearest, asked = Nearest(store.table), []
    probe = Nearest._probe

    def counted(self, query, *, count, **kwargs):
        asked.append(count)
        return probe(self, query, count=count, **kwargs)

    monkeypatch.setattr(Nearest, "_probe", counted)
    for step in (1, 4):
        allowed = np.arange(0, len(store), step)
        nearest.search_among(queries[:1], top=9, allowed=allowed)
    least = max(9 * ann_index.CANDIDATES, ann_index.LEAST_CANDIDATES)
    assert asked[0] == least
    assert asked[1] == pytest.approx(4 * least, rel=0.01)
