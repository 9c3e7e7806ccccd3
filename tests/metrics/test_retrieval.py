"""Metrics against hand-worked cases and against all orders of the ties, one by one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from polyglance.errors import ConfigError, InputError, VectorError
from polyglance.metrics import retrieval
from polyglance.metrics.retrieval import Relevance
from polyglance.vectors import unit


def by_all_orders(scores, right, *, ks):
    """Expected hits, rank and reciprocal rank of the first positive over all orders of ties."""
    ranks = []
    for order in itertools.permutations(range(len(scores))):
        ranked = sorted(order, key=lambda column: -scores[column])  # stable: ties as in `order`
        ranks.append(1 + min(ranked.index(each) for each in right))
    ranks = np.array(ranks)
    cut = {k: np.where(ranks <= k, 1 / ranks, 0).mean() for k in ks}
    return {k: (ranks <= k).mean() for k in ks}, ranks.mean(), (1 / ranks).mean(), cut


def drawn(shape, *, seed):
    return unit(np.random.default_rng(seed).standard_normal(shape))


@settings(max_examples=120, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(1, 6), elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0])),
    st.data(),
)
def test_metrics_are_the_expectation_over_all_orders_of_ties(scores, data):
    columns = range(len(scores))
    right = sorted(data.draw(st.sets(st.sampled_from(columns), min_size=1)))
    ks = tuple(range(1, len(scores) + 2))
    ranks = retrieval.rank_statistics(
        np.ones((1, 1)), scores[:, None], relevance=Relevance.of([right])
    )
    hits, _, reciprocal, cut = by_all_orders(scores, right, ks=ks)
    found = retrieval.hits_at_k(ranks, ks=ks)
    assert {k: found[k][0] for k in ks} == pytest.approx(hits)
    assert retrieval.reciprocal_ranks(ranks)[0] == pytest.approx(reciprocal)
    assert retrieval.mean_reciprocal_rank(ranks) == pytest.approx(reciprocal)
    assert {k: retrieval.reciprocal_ranks(ranks, k=k)[0] for k in ks} == pytest.approx(cut)


@pytest.mark.parametrize("num_candidates", [1, 3, 7, 49, 1000])
def test_a_constant_scorer_has_exactly_k_out_of_m(num_candidates):
    queries = drawn((4, 5), seed=0)
    candidates = np.repeat(drawn((1, 5), seed=1), num_candidates, axis=0)
    ks = [k for k in (1, 3, 5, 10) if k <= num_candidates]
    hits = retrieval.hit_rates_at_k(
        queries, candidates, relevance=np.zeros(4, dtype=int), ks=ks, block_rows=3
    )
    for k in ks:
        assert (hits[k] == k / num_candidates).all()


def test_a_constant_scorer_with_several_positives_is_hypergeometric():
    ranks = retrieval.rank_statistics(
        np.ones((1, 2)), np.ones((20, 2)), relevance=Relevance.of([[1, 5, 9]])
    )
    hits = retrieval.hits_at_k(ranks, ks=(4, 17, 18, 30))
    assert hits[4][0] == pytest.approx(1 - math.comb(17, 4) / math.comb(20, 4))
    assert hits[17][0] == pytest.approx(1 - 1 / math.comb(20, 17))
    assert hits[18][0] == 1.0
    assert hits[30][0] == 1.0


def test_hand_worked_negative_scores_and_ties():
    # Scores of the one query: -3, -1, -1, -2; all negative, none dropped.
    candidates = np.array([[-3.0], [-1.0], [-1.0], [-2.0]])
    for answer, expected in ((0, [0, 0, 0, 1]), (1, [0.5, 1, 1, 1]), (3, [0, 0, 1, 1])):
        hits = retrieval.hit_rates_at_k(
            np.ones((1, 1)), candidates, relevance=np.array([answer]), ks=(1, 2, 3, 4)
        )
        assert [hits[k][0] for k in (1, 2, 3, 4)] == expected


def test_a_hit_needs_any_of_the_positives():
    hits = retrieval.hit_rates_at_k(
        np.ones((1, 1)),
        np.array([[3.0], [2.0], [1.0]]),
        relevance=Relevance.of([[1, 2]]),
        ks=(1, 2),
    )
    assert (hits[1][0], hits[2][0]) == (0.0, 1.0)


def test_both_directions_with_several_captions_an_image():
    texts, contents = drawn((30, 12), seed=2), drawn((10, 12), seed=3)
    both = retrieval.retrieval_both_ways(texts, contents, relevance=np.arange(30) % 10, ks=(1, 2))
    scores = texts.astype(np.float64) @ contents.T
    forward = [(row > row[i % 10]).sum() for i, row in enumerate(scores)]
    backward = [(row > row[i::10].max()).sum() for i, row in enumerate(scores.T)]
    for k in (1, 2):
        assert both.text_to_content.hits[k].tolist() == [float(each < k) for each in forward]
        assert both.content_to_text.hits[k].tolist() == [float(each < k) for each in backward]
    rates = [*both.text_to_content.hit_rates.values(), *both.content_to_text.hit_rates.values()]
    assert both.average_recall == pytest.approx(np.mean(rates))


def test_content_without_text_can_be_left_out():
    both = retrieval.retrieval_both_ways(
        np.eye(3)[:2],
        np.eye(3),
        relevance=np.arange(2),
        ks=(1,),
        without_positive="leave out",
    )
    assert both.content_to_text.ranks.query_rows.tolist() == [0, 1]
    assert both.text_to_content.hit_rates == {1: 1.0}


@pytest.mark.parametrize("ks", [(), (0, 1), (-1,)])
def test_cut_offs_are_positive(ks):
    with pytest.raises(ConfigError, match="ks is"):
        retrieval.hit_rates_at_k(np.eye(2), np.eye(2), relevance=np.arange(2), ks=ks)


def test_reciprocal_rank_of_many_ties():
    ranks = retrieval.rank_statistics(
        np.zeros((3, 2)), np.ones((100, 2)), relevance=np.array([0, 50, 99])
    )
    expected = np.mean(1 / np.arange(1, 101))
    assert retrieval.reciprocal_ranks(ranks) == pytest.approx(np.full(3, expected))


def test_bitext_accuracy_counts_ties_as_chance():
    assert retrieval.bitext_accuracy(np.eye(4), np.eye(4)) == 1.0
    assert retrieval.bitext_accuracy(np.eye(4), np.ones((4, 4))) == 0.25
    with pytest.raises(VectorError, match="4 sources and 3 targets"):
        retrieval.bitext_accuracy(np.eye(4), np.eye(4)[:3])


def test_spearman_by_hand():
    # Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5.
    found = retrieval.spearman(np.array([0.0, 1.0, 1.0, 5.0]), np.array([-9.0, 7.0, 6.0, 8.0]))
    assert found == pytest.approx(4.5 / math.sqrt(4.5 * 5))


@given(
    hnp.arrays(np.float64, 8, elements=st.integers(-3, 3).map(float)),
    hnp.arrays(np.float64, 8, elements=st.integers(-3, 3).map(float)),
)
def test_spearman_is_pearson_of_mean_ranks(first, second):
    ranks = [
        np.array([(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x]) for x in (first, second)
    ]
    if min(np.ptp(each) for each in ranks) == 0:
        with pytest.raises(InputError, match="single value"):
            retrieval.spearman(first, second)
    else:
        found = retrieval.spearman(first, second)
        assert found == pytest.approx(np.corrcoef(*ranks)[0, 1])
        assert retrieval.spearman(first, -first) == pytest.approx(-1.0)
        assert -1 <= found <= 1


def test_spearman_refuses_what_it_cannot_rank():
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        retrieval.spearman(np.arange(3.0), np.arange(2.0))
    with pytest.raises(InputError, match="2 or more"):
        retrieval.spearman(np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="NaN"):
        retrieval.spearman(np.array([0.0, np.nan]), np.arange(2.0))
