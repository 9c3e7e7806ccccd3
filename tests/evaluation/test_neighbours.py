"""The nearest neighbour's class, exactly, with ties by expectation."""

import numpy as np
import pytest

from polyglance import errors, evaluation
from polyglance.evaluation.neighbours import nearest_hits
from polyglance.tasks.neighbours import NeighbourData
from polyglance.vectors import unit


def points(seed, num_rows, dim=5):
    random = np.random.default_rng(seed)
    return unit(random.standard_normal((num_rows, dim)).astype(np.float32))


def naive(contents, classes, asking, found):
    hits = []
    for query in asking:
        scores = contents[found].astype(float) @ contents[query].astype(float)
        level = scores >= scores.max() - 1e-12
        hits.append((classes[found][level] == classes[query]).mean())
    return np.array(hits)


def test_as_a_naive_loop_with_repeated_pictures():
    contents = points(0, 60)
    contents[20:40] = contents[:20]  # the same picture twice, often in two classes
    classes = np.random.default_rng(1).integers(0, 3, 60)
    asking, found = np.arange(40, 60), np.arange(40)
    hits = nearest_hits(contents, classes, asking=asking, found=found)
    np.testing.assert_allclose(hits, naive(contents, classes, asking, found))
    assert 0.5 in hits


def test_sums_in_another_order_are_level():
    """Rows that hold the same numbers in another order are equally near a constant one."""
    random = np.random.default_rng(3)
    one = points(5, 1, dim=50)[0]
    contents = np.stack([*(random.permutation(one) for _ in range(40)), np.full(50, 50**-0.5)])
    classes = np.arange(41) % 4
    hits = nearest_hits(
        contents.astype(np.float32), classes, asking=np.array([40]), found=np.arange(40)
    )
    assert hits.tolist() == [0.25]


def test_a_model_that_says_the_same_of_all_is_exactly_at_chance():
    contents = np.tile(points(0, 1), (30, 1))
    classes = np.arange(30) % 5
    hits = nearest_hits(contents, classes, asking=np.arange(20, 30), found=np.arange(20))
    assert set(hits) == {0.2}


def folder_of_vectors(folder, ids, numbers):
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    np.save(folder / "labels.npy", np.array(numbers))
    return folder


def test_through_the_engine(tmp_path):
    ids = ["train/a", "val/a", "train/b", "val/b"]
    folder = folder_of_vectors(tmp_path, ids, [1, 1, 2, 2])
    data = NeighbourData(task="n").with_items(folder, "image")
    contents = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.9, 0.1]], np.float32)
    (row,) = evaluation.evaluate(None, data, contents=contents, name="m", model_id="m")
    assert row.values == {"hit_rate_at_1": 0.5}
    assert (row.direction, row.num_queries, row.num_candidates) == ("content_to_content", 2, 2)
    fewer = data.only(ids[:3], reason="items_missing")
    assert fewer.num_dropped == {"items_missing": 1}
    assert fewer.data_id("eng_Latn") != data.data_id("eng_Latn")
    with pytest.raises(errors.UnavailableError, match="none to be found"):
        data.only(["val/a"], reason="items_missing")


def test_classes_are_the_same_in_both_parts(tmp_path):
    from PIL import Image

    for name in ("train/n1", "train/n2", "val/n2"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name / "x.png")
    data = NeighbourData(task="n").with_items(tmp_path, "image")
    assert dict(zip(data.item_ids, data.classes.tolist(), strict=True)) == {
        "train/n1/x.png": 0,
        "train/n2/x.png": 1,
        "val/n2/x.png": 1,
    }


def test_a_folder_without_both_parts(tmp_path):
    with pytest.raises(errors.InputError, match="train/ and in val/"):
        NeighbourData(task="n").with_items(
            folder_of_vectors(tmp_path, ["train/a", "b"], [0, 0]), "image"
        )
    with pytest.raises(errors.UnavailableError, match="does not bring"):
        NeighbourData(task="n").with_items(None, "image")
