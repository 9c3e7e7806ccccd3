"""Cosines of pairs against a naive loop."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis.cosines import cosine_matrix


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_cosines_are_those_of_a_naive_loop():
    rows, columns = vectors(7, 5), vectors(7, 5, seed=1)
    found = cosine_matrix(rows, columns)
    naive = [
        [float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for b in columns] for a in rows
    ]
    assert np.array(found.cosines) == pytest.approx(np.array(naive), abs=1e-4)
    pairs = [naive[i][i] for i in range(7)]
    others = [naive[i][j] for i in range(7) for j in range(7) if i != j]
    assert found.pair_mean == pytest.approx(np.mean(pairs), abs=1e-6)
    assert found.other_mean == pytest.approx(np.mean(others), abs=1e-6)
    assert found.gap == pytest.approx(np.mean(pairs) - np.mean(others), abs=1e-6)
    firsts = [max(range(7), key=lambda j: naive[i][j]) == i for i in range(7)]
    assert found.pairs_first == np.mean(firsts)


def test_a_constant_side_is_at_chance():
    found = cosine_matrix(vectors(4, 3), np.ones((4, 3), np.float32))
    assert found.pairs_first == pytest.approx(0.25)
    assert found.gap == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("columns", [(4, 2), (3, 3), (4, 3, 1)])
def test_cosines_refuse_what_is_no_pair(columns):
    with pytest.raises(errors.VectorError, match="no pairs"):
        cosine_matrix(vectors(4, 3), vectors(*columns))
