"""Macro-F1 and accuracy are those of scikit-learn.

scikit-learn has one guess an item. Where t classes share the first place, ours counts 1/t of a
guess of each: there the item stands t times, with weights of 1/t.
"""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from polyglance.metrics.classification import guess, macro_f1

NUM_CASES = 1000


def case(random, *, num_levels):
    """Scores of classes, as whole numbers, and the right class of each item."""
    num_items, num_classes = int(random.integers(2, 20)), int(random.integers(2, 7))
    scores = random.integers(0, num_levels, (num_items, num_classes)) - num_levels // 2
    # Some classes are never right, as for labels that no image has.
    return scores, random.integers(0, max(1, num_classes - 1), num_items)


def spread(scores, truth):
    """Every class in first place, with its share: truth, guess and weight, one a place."""
    items, guesses = np.nonzero(scores == scores.max(axis=1, keepdims=True))
    weights = 1 / np.bincount(items)[items]
    return truth[items], guesses, weights


@pytest.mark.parametrize("num_levels", [3, 10_000])
def test_macro_f1_and_accuracy_are_those_of_scikit_learn(num_levels):
    random = np.random.default_rng(num_levels)
    num_tied = 0
    for _ in range(NUM_CASES):
        scores, truth = case(random, num_levels=num_levels)
        classes = np.eye(scores.shape[1], dtype=np.float32)
        rows = np.arange(len(scores))
        found = guess(scores.astype(np.float32), classes, rows=rows, truth=truth)
        wanted, guessed, weights = spread(scores, truth)
        num_tied += len(weights) > len(scores)
        f1 = f1_score(wanted, guessed, average="macro", zero_division=0, sample_weight=weights)
        assert macro_f1(found) == pytest.approx(f1, abs=1e-9)
        right = accuracy_score(wanted, guessed, sample_weight=weights)
        assert found.accuracy == pytest.approx(right, abs=1e-9)
    assert (num_tied > NUM_CASES / 2) == (num_levels == 3)
