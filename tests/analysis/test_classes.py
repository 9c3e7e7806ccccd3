"""Accuracy against the number of classes, against the whole and chance."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis.classes import class_curve, log_linear


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_class_curve_with_all_classes_is_the_accuracy():
    scores = vectors(40, 8) + 1.2 * np.eye(8, dtype=np.float32)[np.arange(40) % 8]
    labels = np.arange(40) % 8
    classes = np.eye(8, dtype=np.float32)
    found = class_curve(scores, classes, labels, sizes=[2, 4, 6, 8], num_subsets=30)
    assert found.num_classes == (2, 4, 6, 8)
    assert [len(each) for each in found.by_subset] == [30, 30, 30, 1]
    assert found.accuracies[-1] == np.mean(scores.argmax(axis=1) == labels)
    assert list(found.accuracies) == sorted(found.accuracies, reverse=True)
    assert found.line.slope.high < 0


def test_subsets_of_one_size_are_drawn_each_by_itself():
    """Each class is as hard as its number says, so a subset's accuracy says which it was."""
    labels = np.repeat(np.arange(16), 16)
    scores = 2.0 * np.eye(16)[labels]
    wrong = np.arange(256) % 16 < labels  # class c is right in (16 - c) of its 16 contents
    scores[wrong] = 0.0
    found = class_curve(scores, np.eye(16), labels, sizes=[2, 4, 8, 16], num_subsets=10)
    for of_size in found.by_subset[:3]:
        assert len(set(of_size)) > 5
    other = class_curve(scores, np.eye(16), labels, sizes=[2, 4, 8, 16], num_subsets=10, seed=1)
    assert other.by_subset[:3] != found.by_subset[:3]


def test_a_constant_scorer_falls_as_one_over_the_classes():
    found = class_curve(np.zeros((12, 12)), np.eye(12), np.arange(12), sizes=[2, 3, 6, 12])
    assert found.accuracies == pytest.approx((1 / 2, 1 / 3, 1 / 6, 1 / 12))


@pytest.mark.parametrize(
    ("labels", "sizes", "said"),
    [
        ([0, 1, 2, 3, 4], [2, 3, 4, 6], "each from 2 to 5"),
        ([0, 1, 2, 3, 4], [2, 3, 5], "4 or more"),
        ([0, 1, 2, 3, 3], [2, 3, 4, 5], "4 of 5 classes"),
        ([0, 1, 2], [2, 3, 4, 5], "labels"),
    ],
)
def test_class_curves_refuse(labels, sizes, said):
    with pytest.raises(errors.InputError, match=said):
        class_curve(np.eye(5), np.eye(5), np.array(labels), sizes=sizes)


def test_numbers_of_classes_start_at_one():
    with pytest.raises(errors.InputError, match="below 1"):
        log_linear([0, 10, 100, 1000], [0.4, 0.3, 0.2, 0.1], clusters=range(4))
