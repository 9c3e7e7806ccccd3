"""Cosines, spectra, spread and class curves against hand-worked and naive versions."""

import itertools

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis.classes import class_curve, log_linear
from polyglance.analysis.cosines import cosine_matrix
from polyglance.analysis.spectrum import spectrum
from polyglance.analysis.spread import cluster_spread
from polyglance.heads.affine import AffineMap, Chain
from polyglance.vectors import unit
from shared_data import SHARED, needs_shared


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


def test_a_spectrum_by_hand():
    # Singular values 2, 1, 0: shares 2/3 and 1/3, of the squares 4/5 and 1/5.
    weight = np.diag([1.0, 2.0, 0.0]).astype(np.float32)
    found = spectrum(AffineMap(weight, np.array([3, 0, 4], np.float32)))
    assert found.singular_values == (2, 1, 0)
    assert found.effective_rank == pytest.approx((3 / 2) ** (2 / 3) * 3 ** (1 / 3))
    assert found.effective_rank_of_squares == pytest.approx((5 / 4) ** 0.8 * 5**0.2)
    assert found.participation_ratio == pytest.approx(25 / 17)
    assert found.rank_of_90_percent == 2
    assert found.orthogonality_deviation == pytest.approx(np.sqrt(9 + 0 + 1))
    assert found.bias_norm == 5


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5)])
def test_deviations_are_those_of_the_matrices(shape):
    weight = vectors(*shape)
    found = spectrum(AffineMap(weight, np.zeros(shape[0], np.float32)))
    gram = weight.astype(np.float64).T @ weight
    eye = np.eye(shape[1])
    assert found.orthogonality_deviation == pytest.approx(np.linalg.norm(gram - eye))
    scales = np.linspace(0, 1, 20001)
    least = min(np.linalg.norm(scale * gram - eye) for scale in scales)
    assert found.rotation_distance == pytest.approx(least / np.sqrt(shape[1]), abs=1e-6)


def test_a_rotation_of_any_scale_is_one():
    rotation = np.linalg.qr(vectors(6, 6))[0].astype(np.float32)
    found = spectrum(AffineMap(3 * rotation, np.zeros(6, np.float32)))
    assert found.rotation_distance == pytest.approx(0, abs=1e-3)
    assert found.effective_rank == pytest.approx(6, abs=1e-4)
    assert found.orthogonality_deviation == pytest.approx(8 * np.sqrt(6), rel=1e-5)


def test_heads_without_a_spectrum():
    flat = AffineMap(np.zeros((2, 2), np.float32), np.zeros(2, np.float32))
    with pytest.raises(errors.VectorError, match="zero"):
        spectrum(flat)
    with pytest.raises(errors.ConfigError, match="bends"):
        spectrum(Chain((flat, flat)))


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


@needs_shared
def test_a_published_head_of_one_layer():
    """The paper's figures are of the two-layer head, which was not published; this is the other."""
    from polyglance.recipes import published_m2m

    path = SHARED / "m2m_checkpoints/en_250_mse_klclip_L1_jina_multiMpnet/checkpoint.pth"
    found = spectrum(published_m2m.import_head(path).fold())
    assert (found.dim_in, found.dim_out) == (768, 768)
    assert found.effective_rank == pytest.approx(447, abs=1)
    assert found.orthogonality_deviation == pytest.approx(192.7, abs=0.1)
    assert found.bias_norm == pytest.approx(0.733, abs=1e-3)
