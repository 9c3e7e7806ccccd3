"""Fusing by rank and folding what is the same, by hand-worked cases."""

import numpy as np
import pytest

from polyglance.search.ranked import Candidate, fold, fuse


def item(name, score, *, key=None, vector=(1.0, 0.0)):
    return Candidate(
        id=name, key=key or name, path="", score=score, vector=np.array(vector, np.float32)
    )


def names(found):
    return [one.id for one in found]


def test_one_reading_is_left_as_it_is():
    found = [item("b", 0.9), item("a", 0.9)]
    assert fuse([found], shares=[0.3]) == found


def test_ranks_are_summed_not_scores():
    first = [item("a", 0.9), item("b", 0.8), item("c", 0.7)]
    second = [item("b", 0.2), item("c", 0.1), item("d", 0.05)]
    fused = fuse([first, second], shares=[1, 1])
    # b: 1/62 + 1/61, c: 1/63 + 1/62, a: 1/61, d: 1/63
    assert names(fused) == ["b", "c", "a", "d"]
    assert [one.score for one in fused] == [0.2, 0.1, 0.9, 0.05]  # of the better rank


def test_a_reading_that_is_likelier_counts_more():
    first, second = [item("a", 0.1)], [item("b", 0.9)]
    assert names(fuse([first, second], shares=[0.6, 0.4])) == ["a", "b"]
    assert names(fuse([first, second], shares=[0.4, 0.6])) == ["b", "a"]


def test_equal_ranks_go_by_id():
    assert names(fuse([[item("b", 1)], [item("a", 1)]], shares=[1, 1])) == ["a", "b"]


def test_copies_are_folded_and_counted():
    found = [
        item("a", 0.9, key="k"),
        item("b", 0.9, key="k"),
        item("c", 0.8),
        item("d", 0.1, key="k"),
    ]
    hits = fold(found, top=2, alike=1.0)
    assert [(hit.rank, hit.id, hit.num_folded) for hit in hits] == [(1, "a", 2), (2, "c", 0)]


def test_near_ones_are_folded_into_the_nearest():
    found = [
        item("a", 0.9),
        item("b", 0.8, vector=(0.0, 1.0)),
        item("c", 0.7, vector=(0.6, 0.8)),
        item("d", 0.6, vector=(0.1, 0.995)),
    ]
    hits = fold(found, top=5, alike=0.8)
    assert [(hit.id, hit.num_folded) for hit in hits] == [("a", 0), ("b", 2)]
    assert names(fold(found, top=5, alike=0.9)) == ["a", "b", "c"]


def test_nothing_is_folded_where_that_is_asked():
    found = [item("a", 0.9, key="k"), item("b", 0.9, key="k")]
    assert [hit.num_folded for hit in fold(found, top=5, alike=None)] == [0, 0]


@pytest.mark.parametrize("top", [1, 3])
def test_fewer_than_asked(top):
    assert fold([], top=top, alike=1.0) == []
