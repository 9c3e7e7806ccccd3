"""Heads from class names: a weighed mean of the names' vectors, by hand."""

import numpy as np

from polyglance.recipes import class_names
from polyglance.vectors import unit


def test_an_item_is_the_weighed_mean_of_its_classes_and_both_are_centred():
    rng = np.random.default_rng(0)
    names = rng.standard_normal((5, 3)).astype(np.float32) + 2
    shares = rng.dirichlet(np.ones(5), size=4).astype(np.float32)
    items, texts = class_names.convex_combination(names)
    vectors = [row / np.linalg.norm(row) for row in names]
    centre = sum(vectors) / 5
    expected = [
        sum(share * row for share, row in zip(of, vectors, strict=True)) - centre for of in shares
    ]
    np.testing.assert_allclose(items(shares), expected, atol=1e-6)
    np.testing.assert_allclose(texts(unit(names)), np.array(vectors) - centre, atol=1e-6)


def test_an_item_of_one_class_is_nearest_to_its_name():
    names = np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32) + 1
    items, texts = class_names.convex_combination(names)
    cosines = unit(texts(unit(names))) @ unit(items(np.eye(6, dtype=np.float32))).T
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)
    assert (cosines.argmax(axis=1) == np.arange(6)).all()
