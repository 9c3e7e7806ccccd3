"""Ties count the same wherever they are met: one table of cases, worked by hand."""

import numpy as np
import pytest

from polyglance.evaluation.neighbours import nearest_hits
from polyglance.metrics import retrieval, ties
from polyglance.metrics.classification import guess
from polyglance.metrics.ranking import rank_statistics

# Scores of each candidate, the right one, and the chance that it comes first.
CASES = [
    ([0.9, 0.1, 0.2], 0, 1.0),
    ([0.9, 0.1, 0.2], 1, 0.0),
    ([0.5, 0.5, 0.2], 1, 1 / 2),
    ([0.5, 0.5, 0.2], 2, 0.0),
    ([0.2, 0.2, 0.2], 2, 1 / 3),
    ([-1.0, -2.0, -1.0], 2, 1 / 2),
    ([0.0, 0.0, 0.0], 0, 1 / 3),
    ([0.0, 1.0, 0.0], 0, 0.0),
    # One apart in the last place of float32: no tie.
    ([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.2], 0, 0.0),
]
SCORES = np.array([scores for scores, _, _ in CASES], np.float32)
RIGHT = np.array([right for _, right, _ in CASES])
CHANCES = np.array([chance for _, _, chance in CASES])
CANDIDATES = np.eye(3, dtype=np.float32)


def by_ranks():
    return retrieval.hits_at_k(rank_statistics(SCORES, CANDIDATES, relevance=RIGHT), ks=(1,))[1]


def by_hit_rates():
    return retrieval.hit_rates_at_k(SCORES, CANDIDATES, relevance=RIGHT, ks=(1,))[1]


def by_both_ways():
    """Each query by itself, in the pass that asks in both directions."""
    found = []
    for scores, right in zip(SCORES, RIGHT, strict=True):
        both = retrieval.retrieval_both_ways(
            scores[None],
            CANDIDATES,
            relevance=np.array([right]),
            ks=(1,),
            without_positive="leave out",
        )
        found.append(both.text_to_content.hits[1][0])
    return np.array(found)


def by_guess():
    return guess(SCORES, CANDIDATES, rows=np.arange(len(SCORES)), truth=RIGHT).hits[:, 0]


def by_neighbours():
    contents = np.concatenate([SCORES, CANDIDATES])
    asking, found = np.arange(len(SCORES)), len(SCORES) + np.arange(3)
    return nearest_hits(contents, np.concatenate([RIGHT, np.arange(3)]), asking=asking, found=found)


def by_first_places():
    queries, candidates = ties.first_places(SCORES, CANDIDATES)
    times = np.bincount(queries, minlength=len(SCORES))
    return np.bincount(queries[candidates == RIGHT[queries]], minlength=len(SCORES)) / times


@pytest.mark.parametrize(
    "way", [by_ranks, by_hit_rates, by_both_ways, by_guess, by_neighbours, by_first_places]
)
def test_every_way_of_counting_agrees_with_the_hand(way):
    assert way() == pytest.approx(CHANCES, abs=1e-15)


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_first_places_as_a_loop_in_blocks(monkeypatch, block):
    for name in ("BLOCK_QUERIES", "BLOCK_CANDIDATES", "BLOCK_PAIRS"):
        monkeypatch.setattr(ties, name, block)
    random = np.random.default_rng(0)
    queries, candidates = (random.integers(-2, 3, (n, 4)).astype(np.float32) for n in (20, 30))
    expected = [
        (row, column)
        for row, query in enumerate(queries)
        for column, candidate in enumerate(candidates)
        if query @ candidate == (candidates @ query).max()
    ]
    found = zip(*(part.tolist() for part in ties.first_places(queries, candidates)), strict=True)
    assert list(found) == expected


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_sums_in_another_order_are_level_at_any_length(scale):
    random = np.random.default_rng(3)
    one = random.standard_normal(50)
    candidates = np.stack([random.permutation(one) for _ in range(40)]).astype(np.float32)
    query = np.full((1, 50), 50**-0.5, np.float32)
    rows, columns = ties.first_places(query * np.float32(scale), candidates)
    assert (rows.tolist(), columns.tolist()) == ([0] * 40, list(range(40)))
