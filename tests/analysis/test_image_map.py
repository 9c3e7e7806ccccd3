"""Images are laid out by class, and their neighbours counted against a plain loop."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis import image_map

pytest.importorskip("sklearn")


def test_the_largest_classes_are_shown_and_few_of_each():
    classes = np.array([3] * 30 + [1] * 20 + [7] * 20 + [2] * 5)
    found = image_map.shown_images(classes, num_classes=3, images_per_class=12, seed=1)
    assert np.bincount(classes[found]).tolist() == [0, 12, 0, 12, 0, 0, 0, 12]
    assert (np.diff(found) > 0).all()
    again = image_map.shown_images(classes, num_classes=3, images_per_class=12, seed=2)
    assert not np.array_equal(found, again)


@pytest.mark.parametrize("classes", [np.zeros(40, int), np.arange(6), np.empty(0, int)])
def test_too_few_images_or_classes(classes):
    with pytest.raises(errors.InputError, match="too few"):
        image_map.shown_images(classes)


def test_neighbours_are_counted_in_the_space():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 14)
    rows = (2 * np.eye(6)[classes] + rng.standard_normal((42, 6))).astype(np.float32)
    found = image_map.image_map(rows, classes=classes, method="tsne", seed=0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    shares = []
    for place, row in enumerate(unit):
        order = [other for other in np.argsort(-(unit @ row)) if other != place][:10]
        shares.append(np.mean([classes[other] == classes[place] for other in order]))
    assert found.same_class.mean == pytest.approx(np.mean(shares))
    assert found.same_class.low < found.same_class.mean < found.same_class.high
    assert found.same_class_by_chance == pytest.approx(13 / 41)
    assert len(found.x) == len(found.y) == 42


def test_another_method():
    with pytest.raises(errors.UnknownNameError, match="tsne, umap"):
        image_map.image_map(np.eye(12, dtype=np.float32), classes=np.arange(12), method="pca")


@pytest.mark.slow
def test_umap_lays_images_out():
    pytest.importorskip("umap")
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    found = image_map.image_map(rows, classes=np.arange(40) % 4)
    assert found.method == "umap"
    assert np.isfinite([*found.x, *found.y]).all()
