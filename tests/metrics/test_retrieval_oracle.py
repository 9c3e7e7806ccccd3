"""Hit rate and MRR are those of trec_eval, by its binding pytrec_eval.

trec_eval has no ties: it orders level documents by their names, last name first. Ours is the
expectation under random order; so a case with ties is asked once for every order of the names of
those that are level with the best positive, which alone decide, and the mean is compared.
"""

import itertools
import math

import numpy as np
import pytest
import pytrec_eval

from polyglance.metrics import retrieval
from polyglance.metrics.relevance import Relevance

KS = (1, 3, 5)
MEASURES = {"recip_rank", f"success.{','.join(map(str, KS))}"}
NUM_CASES, NUM_CANDIDATES = 1000, 9


def scores_of(random, *, num_levels):
    """Whole numbers, which trec_eval's float32 and ours hold exactly; some below zero."""
    return random.integers(0, num_levels, NUM_CANDIDATES) - num_levels // 2


def ours(scores, right):
    """Candidates are the unit vectors, so that a query is its scores."""
    ranks = retrieval.rank_statistics(
        np.array([scores], np.float32),
        np.eye(len(scores), dtype=np.float32),
        relevance=Relevance.of([tuple(right)]),
    )
    hits = retrieval.hits_at_k(ranks, ks=KS)
    return [retrieval.mean_reciprocal_rank(ranks), *(hits[k][0] for k in KS)]


def by_trec_eval(scores, right, names):
    judged = pytrec_eval.RelevanceEvaluator(
        {"q": {names[row]: int(row in right) for row in range(len(scores))}}, MEASURES
    )
    found = judged.evaluate({"q": {n: float(s) for n, s in zip(names, scores, strict=True)}})["q"]
    return [found["recip_rank"], *(found[f"success_{k}"] for k in KS)]


def expectation(scores, right):
    """Over all orders of what is level with the best positive, by trec_eval."""
    best = max(scores[row] for row in right)
    level = np.flatnonzero(scores == best).tolist()
    found = []
    for order in itertools.permutations(level):
        names = [f"d{row:02}" for row in range(len(scores))]
        for row, place in zip(level, order, strict=True):
            names[row] = f"d{place:02}"
        found.append(by_trec_eval(scores, right, names))
    assert len(found) == math.factorial(len(level))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("num_levels", [5, 40, 10_000])
def test_hits_and_reciprocal_ranks_are_those_of_trec_eval(num_levels):
    random = np.random.default_rng(num_levels)
    num_tied = num_asked = 0
    while num_asked < (NUM_CASES if num_levels == 40 else NUM_CASES // 4):
        scores = scores_of(random, num_levels=num_levels)
        right = set(random.choice(NUM_CANDIDATES, random.integers(1, 4), replace=False).tolist())
        num_level = np.count_nonzero(scores == max(scores[row] for row in right))
        if num_level > 4:  # 120 orders and more would only take time
            continue
        num_asked += 1
        num_tied += num_level > 1
        np.testing.assert_allclose(
            ours(scores, right), expectation(scores, right), atol=1e-9, rtol=0
        )
    assert num_tied > 0 or num_levels == 10_000
