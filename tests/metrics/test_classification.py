"""Hits, first places and macro-F1 agree with the plain metrics, ties and draws included."""

import numpy as np
import pytest

from polyglance.heads import affine
from polyglance.metrics import classification, retrieval
from polyglance.metrics.classification import drawn_macro_f1, guess, macro_f1


def world(seed=0, *, num_items=90, num_classes=12, dim=6, repeats=3):
    """Class vectors of which the last repeat the first, and items near their class."""
    random = np.random.default_rng(seed)
    weights = affine.unit(random.standard_normal((num_classes, dim)).astype(np.float32))
    weights[num_classes - repeats :] = weights[:repeats]
    classes = random.integers(0, num_classes, num_items)
    noise = random.standard_normal((num_items, dim))
    contents = affine.unit((weights[classes] + 0.6 * noise).astype(np.float32))
    return contents, weights, classes


def exact_scores(contents, weights):
    """Float64 scores in which equal vectors have equal columns."""
    return np.array([[np.dot(c.astype(float), w.astype(float)) for w in weights] for c in contents])


@pytest.mark.parametrize("block_items", [7, 4096])
def test_as_the_plain_metrics_with_repeated_classes(monkeypatch, block_items):
    monkeypatch.setattr(classification, "BLOCK_ITEMS", block_items)
    contents, weights, classes = world()
    found = guess(contents, weights, rows=np.arange(90), truth=classes)
    scores = exact_scores(contents, weights)
    assert found.accuracy == pytest.approx(retrieval.accuracy(scores, classes))
    assert macro_f1(found) == pytest.approx(retrieval.macro_f1(scores, classes))
    ranks = retrieval.rank_statistics(contents, weights, relevance=classes)
    np.testing.assert_allclose(found.hits[:, 1], retrieval.hits_at_k(ranks, ks=(5,))[5])


def test_only_the_rows_asked_about():
    contents, weights, classes = world()
    rows = np.array([80, 3, 41])
    found = guess(contents, weights, rows=rows, truth=classes[rows])
    again = guess(contents[rows], weights, rows=np.arange(3), truth=classes[rows])
    np.testing.assert_array_equal(found.hits, again.hits)


@pytest.mark.parametrize("num_classes", [3, 7, 101])
def test_a_model_that_says_the_same_of_all_is_exactly_at_chance(num_classes):
    contents, _, _ = world(num_items=2 * num_classes)
    same = np.tile(contents[:1], (num_classes, 1))
    classes = np.repeat(np.arange(num_classes), 2)
    found = guess(contents, same, rows=np.arange(2 * num_classes), truth=classes)
    assert found.accuracy == pytest.approx(1 / num_classes, abs=1e-15)
    assert set(found.hits[:, 1]) == {min(5, num_classes) / num_classes}
    assert macro_f1(found) == pytest.approx(1 / num_classes)


def test_draws_are_those_of_a_loop():
    contents, weights, classes = world(num_items=40)
    found = guess(contents, weights, rows=np.arange(40), truth=classes)
    drawn = drawn_macro_f1(found, seed=3, num_draws=5)
    scores = exact_scores(contents, weights)
    random = np.random.default_rng(3)
    for draw, rows in enumerate(random.integers(0, 40, size=(5, 40))):
        assert drawn[draw] == pytest.approx(retrieval.macro_f1(scores[rows], classes[rows]))
