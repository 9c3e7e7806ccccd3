"""Hits, first places and macro-F1 agree with the plain metrics, ties and draws included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance.metrics import classification, retrieval, ties
from polyglance.metrics.classification import drawn_macro_f1, guess, macro_f1
from polyglance.vectors import unit


def world(seed=0, *, num_items=90, num_classes=12, dim=6, repeats=3):
    """Class vectors of which the last repeat the first, and items near their class."""
    random = np.random.default_rng(seed)
    weights = unit(random.standard_normal((num_classes, dim)).astype(np.float32))
    weights[num_classes - repeats :] = weights[:repeats]
    classes = random.integers(0, num_classes, num_items)
    noise = random.standard_normal((num_items, dim))
    contents = unit((weights[classes] + 0.6 * noise).astype(np.float32))
    return contents, weights, classes


def exact_scores(contents, weights):
    """Float64 scores in which equal vectors have equal columns."""
    return np.array([[np.dot(c.astype(float), w.astype(float)) for w in weights] for c in contents])


def naive_shares(scores):
    """1/t for each of the t best classes of a row."""
    best = scores >= scores.max(axis=1, keepdims=True) - 1e-12
    return best / best.sum(axis=1, keepdims=True)


def naive_macro_f1(shares, labels):
    """As textbooks have it, over classes that are labels or guessed, a tie shared."""
    values = []
    for each in range(shares.shape[1]):
        right = shares[labels == each, each].sum()
        guessed, labelled = shares[:, each].sum(), (labels == each).sum()
        if guessed + labelled > 0:
            values.append(2 * right / (guessed + labelled))
    return np.mean(values)


def test_as_naive_metrics_with_repeated_classes():
    contents, weights, classes = world()
    found = guess(contents, weights, rows=np.arange(90), truth=classes)
    scores = exact_scores(contents, weights)
    shares = naive_shares(scores)
    assert found.accuracy == pytest.approx(shares[np.arange(90), classes].mean())
    assert macro_f1(found) == pytest.approx(naive_macro_f1(shares, classes))
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
        expected = naive_macro_f1(naive_shares(scores[rows]), classes[rows])
        assert drawn[draw] == pytest.approx(expected)


def macro_f1_of(scores, labels):
    """Macro-F1 where the scores are given."""
    scores, labels = np.array(scores, np.float32), np.array(labels)
    eye = np.eye(scores.shape[1], dtype=np.float32)
    return macro_f1(guess(scores, eye, rows=np.arange(len(scores)), truth=labels))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_macro_f1_without_ties_is_the_textbook_one(pairs):
    guessed, labels = zip(*pairs, strict=True)
    values = []
    for each in sorted({*guessed, *labels}):
        right = sum(g == each and t == each for g, t in pairs)
        values.append(2 * right / (guessed.count(each) + labels.count(each)))
    assert macro_f1_of(np.eye(5)[list(guessed)], labels) == pytest.approx(np.mean(values))


def test_macro_f1_favours_no_tied_class():
    # Two classes, one item each, all scores equal: each class is guessed once, half of it right.
    assert macro_f1_of(np.zeros((2, 2)), [0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("repeats", [0, 3])
@pytest.mark.parametrize("noise", [0.0, 0.6, 9.0])
def test_first_places_are_those_of_all_items_and_few_are_compared_twice(
    noise, repeats, monkeypatch
):
    _, weights, classes = world(repeats=repeats)
    random = np.random.default_rng(1).standard_normal((90, 6))
    contents = unit((weights[classes] + noise * random).astype(np.float32))
    compared = []

    def watched(queries, candidates):
        compared.append(len(queries))
        return ties.first_places(queries, candidates)

    monkeypatch.setattr(classification, "first_places", watched)
    found = guess(contents, weights, rows=np.arange(90), truth=classes)
    distinct = np.unique(weights, axis=0)
    expected = ties.first_places(contents, distinct)
    np.testing.assert_array_equal((found.items, found.columns), expected)
    level = (exact_scores(contents, weights) >= 1 - 1e-6).sum(axis=1) if noise == 0 else None
    assert compared[0] < 90
    assert level is None or compared[0] == (level > 1).sum()
