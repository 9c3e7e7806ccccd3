"""Counts of candidates before the best positive, against literal versions."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from polyglance.errors import ConfigError, InputError, VectorError
from polyglance.metrics import ranking
from polyglance.metrics.ranking import rank_statistics, rank_statistics_both_ways
from polyglance.metrics.relevance import Relevance


def literal_counts(scores, positives):
    """Above, tied negatives and tied positives of each row of an exact score matrix."""
    found = []
    for row, right in zip(scores, positives, strict=True):
        best = max(row[each] for each in right)
        negatives = [score for column, score in enumerate(row) if column not in right]
        found.append(
            (
                sum(score > best for score in negatives),
                sum(score == best for score in negatives),
                sum(row[each] == best for each in right),
            )
        )
    return found


def counts(found):
    return list(
        zip(
            found.above.tolist(),
            found.tied_negatives.tolist(),
            found.tied_positives.tolist(),
            strict=True,
        )
    )


def unit(shape, *, seed):
    vectors = np.random.default_rng(seed).standard_normal(shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def problems(draw):
    """Small integer vectors (many ties, negative scores) with any relevance."""
    num_queries, num_candidates = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    width = draw(st.integers(1, 3))
    small = st.integers(-2, 2).map(float)
    queries = draw(hnp.arrays(np.float32, (num_queries, width), elements=small))
    candidates = draw(hnp.arrays(np.float32, (num_candidates, width), elements=small))
    pairs = draw(hnp.arrays(np.bool_, (num_queries, num_candidates)))
    return queries, candidates, pairs


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.0, 1.0]))
def test_counts_equal_the_literal_ones_for_any_tiling(problem, block_rows, columns, dense):
    queries, candidates, pairs = problem
    lists = [np.flatnonzero(row).tolist() for row in pairs]
    back = [np.flatnonzero(column).tolist() for column in pairs.T]
    scores = queries @ candidates.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "TILE_COLUMNS", columns)
        patch.setattr(ranking, "DENSE_SHARE", dense)
        found = rank_statistics_both_ways(
            queries,
            candidates,
            relevance=Relevance.of(lists),
            without_positive="leave out",
            block_rows=block_rows,
        )
    for side, matrix, right in zip(found, (scores, scores.T), (lists, back), strict=True):
        asked = [row for row, each in enumerate(right) if each]
        assert side.query_rows.tolist() == asked
        assert side.num_candidates == matrix.shape[1]
        assert counts(side) == literal_counts(matrix[asked], [right[row] for row in asked])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_random_vectors_are_ranked_as_float64_ranks_them(dtype):
    queries, candidates = unit((203, 48), seed=1).astype(dtype), unit((151, 48), seed=2)
    candidates = candidates.astype(dtype)
    answers = np.random.default_rng(3).integers(0, 151, 203)
    exact = queries.astype(np.float64) @ candidates.astype(np.float64).T
    found = rank_statistics(queries, candidates, relevance=answers, block_rows=64)
    assert counts(found) == literal_counts(exact, [[each] for each in answers])


def test_one_way_and_both_ways_agree():
    texts, contents = unit((90, 16), seed=4), unit((30, 16), seed=5)
    relevance = Relevance.of(np.arange(90) % 30)
    forward, backward = rank_statistics_both_ways(texts, contents, relevance=relevance)
    assert counts(forward) == counts(rank_statistics(texts, contents, relevance=relevance))
    alone = rank_statistics(contents, texts, relevance=relevance.transpose(30))
    assert counts(backward) == counts(alone)


@pytest.mark.parametrize("copies", [2, 60])
def test_identical_candidates_tie_wherever_they_stand(copies):
    # Edge kernels of a matrix product may give the same vector other bits at other columns.
    random = np.random.default_rng(6)
    queries, candidates = unit((67, 131), seed=7), unit((131, 131), seed=8)
    places = random.choice(131, size=copies, replace=False)
    candidates[places] = candidates[places[0]]
    found = rank_statistics(queries, candidates, relevance=np.full(67, places[0]))
    assert (found.tied_negatives == copies - 1).all()
    only = Relevance.of([[0] if row == places[0] else [] for row in range(131)])
    _, backward = rank_statistics_both_ways(
        candidates, queries, relevance=only, without_positive="leave out"
    )
    assert backward.tied_negatives.tolist() == [copies - 1]


def test_scores_that_float32_cannot_tell_apart_are_told_apart():
    candidates = np.array([[1.0, 0.0], [1.0, 2e-8], [1.0, -2e-8]], dtype=np.float32)
    query = np.ones((1, 2), dtype=np.float32)
    assert np.unique(query @ candidates.T).size == 1
    found = [rank_statistics(query, candidates, relevance=np.array([row])) for row in range(3)]
    assert [int(each.above[0]) for each in found] == [1, 0, 2]
    assert [int(each.tied_negatives[0]) for each in found] == [0, 0, 0]


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
@pytest.mark.parametrize("scaled_side", ["queries", "candidates", "both"])
def test_the_length_of_all_vectors_does_not_matter(scale, scaled_side):
    queries, candidates = unit((40, 8), seed=9), unit((50, 8), seed=10)
    answers = np.arange(40)
    plain = rank_statistics(queries, candidates, relevance=answers)
    if scaled_side != "candidates":
        queries = queries * np.float32(scale)
    if scaled_side != "queries":
        candidates = candidates * np.float32(scale)
    exact = queries.astype(np.float64) @ candidates.astype(np.float64).T
    found = rank_statistics(queries, candidates, relevance=answers)
    assert counts(found) == literal_counts(exact, [[each] for each in answers])
    assert np.abs(found.above - plain.above).max() <= 1


def test_a_zero_query_ties_with_everything():
    found = rank_statistics(np.zeros((1, 4)), unit((9, 4), seed=11), relevance=np.array([3]))
    assert counts(found) == [(0, 8, 1)]


def test_one_long_vector_among_short_ones_is_ranked_right():
    queries, candidates = unit((20, 6), seed=12), unit((25, 6), seed=13)
    candidates[7] *= 1e9
    exact = queries.astype(np.float64) @ candidates.astype(np.float64).T
    found = rank_statistics(queries, candidates, relevance=np.arange(20))
    assert counts(found) == literal_counts(exact, [[each] for each in range(20)])


def test_the_score_matrix_is_never_whole():
    texts, contents = unit((6000, 8), seed=14), unit((3000, 8), seed=15)
    tracemalloc.start()
    try:
        rank_statistics_both_ways(texts, contents, relevance=np.arange(6000) % 3000, block_rows=128)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6000 * 3000 * 4 / 3


def test_a_constant_scorer_in_many_tiles_stays_small():
    texts, contents = np.ones((3000, 4), np.float32), np.ones((2000, 4), np.float32)
    tracemalloc.start()
    try:
        forward, backward = rank_statistics_both_ways(
            texts, contents, relevance=np.arange(3000) % 2000, block_rows=256
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (forward.tied_negatives == 1999).all()
    assert (backward.tied_negatives + backward.tied_positives == 3000).all()
    assert peak < 3000 * 2000 * 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_vectors_that_are_not_finite_are_refused_by_row(bad, side):
    both = [unit((5, 3), seed=16), unit((5, 3), seed=17)]
    both[side][[1, 3], 2] = bad
    with pytest.raises(VectorError, match=r"\[1, 3\]"):
        rank_statistics(both[0], both[1], relevance=np.arange(5))


def test_vectors_that_do_not_fit_are_refused():
    with pytest.raises(VectorError, match="3 wide and candidates 4"):
        rank_statistics(np.ones((2, 3)), np.ones((2, 4)), relevance=np.arange(2))
    for queries in (np.ones(3), np.ones((0, 3)), np.ones((2, 3), dtype=int)):
        with pytest.raises(VectorError, match="matrix of floats"):
            rank_statistics(queries, np.ones((2, 3)), relevance=np.arange(2))


def test_a_query_without_positive_is_refused_unless_left_out():
    queries, relevance = np.eye(3), Relevance.of([[0], [], [1]])
    with pytest.raises(InputError, match=r"1 of 3 queries have no positive.*\[1\]"):
        rank_statistics(queries, np.eye(3), relevance=relevance)
    with pytest.raises(InputError, match=r"1 of 3 candidates have no positive.*\[2\]"):
        rank_statistics_both_ways(queries, np.eye(3), relevance=np.array([0, 1, 1]))
    found = rank_statistics(queries, np.eye(3), relevance=relevance, without_positive="leave out")
    assert found.query_rows.tolist() == [0, 2]
    assert counts(found) == [(0, 0, 1), (1, 1, 1)]


def test_block_rows_is_at_least_one():
    with pytest.raises(ConfigError, match="block_rows is 0"):
        rank_statistics(np.eye(2), np.eye(2), relevance=np.arange(2), block_rows=0)
