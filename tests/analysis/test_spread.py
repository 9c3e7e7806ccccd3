"""Distances of paraphrases against a naive loop."""

import itertools

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis.spread import cluster_spread
from polyglance.vectors import unit


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_spread_is_that_of_a_naive_loop():
    rows = vectors(11, 4)
    names = ["a", "b", "a", "c", "b", "b", "d", "c", "a", "e", "c"]
    found = cluster_spread(rows, names)
    directions = unit(rows).astype(np.float64)
    inside = {name: [] for name in "abc"}
    outside = []
    for i, j in itertools.combinations(range(11), 2):
        if names[i] in "de" or names[j] in "de":
            continue
        distance = 1 - directions[i] @ directions[j]
        (inside[names[i]] if names[i] == names[j] else outside).append(distance)
    assert found.inside.mean == pytest.approx(np.mean([np.mean(d) for d in inside.values()]))
    assert found.outside == pytest.approx(np.mean(outside))
    pairs = np.concatenate(list(inside.values()))
    assert found.quantiles == pytest.approx(tuple(np.quantile(pairs, [0, 0.25, 0.5, 0.75, 1])))
    assert (found.num_clusters, found.num_texts) == (3, 9)
    assert found.relative == pytest.approx(found.inside.mean / found.outside)


def test_spread_refuses():
    with pytest.raises(errors.InputError, match="two are needed"):
        cluster_spread(vectors(4, 3), ["a", "a", "b", "c"])
    with pytest.raises(errors.InputError, match="4 vectors and 3"):
        cluster_spread(vectors(4, 3), ["a", "a", "b"])
