"""Fusing by rank and folding what is the same, by hand-worked cases."""

import numpy as np
import pytest

from polyglance.search.fusion import Candidates, fold, fuse


def item(name, score, *, key=None):
    return name, score, key or name


def listed(*items):
    return Candidates(
        rows=[ord(name) for name, _, _ in items],
        ids=[name for name, _, _ in items],
        contents=[hash(content) for _, _, content in items],
        paths=[f"{name}.jpg" for name, _, _ in items],
        scores=[score for _, score, _ in items],
    )


def never(rows):
    raise AssertionError("nobody asked how alike they look")


def names(found):
    return [one.id for one in found]


def test_one_reading_is_left_as_it_is():
    found = listed(item("b", 0.9), item("a", 0.9))
    assert fuse([found], shares=[0.3]) == found


def test_ranks_are_summed_not_scores():
    first = listed(item("a", 0.9), item("b", 0.8), item("c", 0.7))
    second = listed(item("b", 0.2), item("c", 0.1), item("d", 0.05))
    fused = fuse([first, second], shares=[1, 1])
    # b: 1/62 + 1/61, c: 1/63 + 1/62, a: 1/61, d: 1/63
    assert fused == listed(item("b", 0.2), item("c", 0.1), item("a", 0.9), item("d", 0.05))


def test_a_reading_that_is_likelier_counts_more():
    first, second = listed(item("a", 0.1)), listed(item("b", 0.9))
    assert fuse([first, second], shares=[0.6, 0.4]).ids == ["a", "b"]
    assert fuse([first, second], shares=[0.4, 0.6]).ids == ["b", "a"]


def test_equal_ranks_go_by_id():
    assert fuse([listed(item("b", 1)), listed(item("a", 1))], shares=[1, 1]).ids == ["a", "b"]


def test_copies_are_folded_and_counted():
    found = listed(
        item("a", 0.9, key="k"),
        item("b", 0.9, key="k"),
        item("c", 0.8),
        item("d", 0.1, key="k"),
    )
    hits = fold(found, top=2, alike=1.0, vectors_at=never)
    assert hits == [(1, "a", 0.9, "a.jpg", 2), (2, "c", 0.8, "c.jpg", 0)]


def test_near_ones_are_folded_into_the_nearest():
    found = listed(*(item(name, 0.5) for name in "abcd"))
    vector_of = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.6, 0.8), "d": (0.1, 0.995)}

    def vectors_at(rows):
        return np.array([vector_of[chr(row)] for row in rows], np.float32)

    hits = fold(found, top=5, alike=0.8, vectors_at=vectors_at)
    assert [(hit.id, hit.num_folded) for hit in hits] == [("a", 0), ("b", 2)]
    assert names(fold(found, top=5, alike=0.9, vectors_at=vectors_at)) == ["a", "b", "c"]


def test_nothing_is_folded_where_that_is_asked():
    found = listed(item("a", 0.9, key="k"), item("b", 0.9, key="k"))
    hits = fold(found, top=5, alike=None, vectors_at=never)
    assert [hit.num_folded for hit in hits] == [0, 0]


def test_what_is_left_out_takes_no_place():
    found = listed(item("a", 0.9, key="k"), item("b", 0.9, key="k"), item("c", 0.8))
    hits = fold(found, top=1, alike=1.0, vectors_at=never, without={"a"})
    assert hits == [(1, "b", 0.9, "b.jpg", 0)]


@pytest.mark.parametrize("top", [1, 3])
@pytest.mark.parametrize("alike", [1.0, 0.5])
def test_fewer_than_asked(top, alike):
    assert fold(listed(), top=top, alike=alike, vectors_at=never) == []
