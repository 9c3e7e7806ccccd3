import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from polyglance import errors
from polyglance.heads import closed_form


def world(seed=0, num_rows=400, dim_in=6, dim_out=4, noise=0.01):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((num_rows, dim_in)).astype(np.float32) + 1.5
    weight = rng.standard_normal((dim_out, dim_in)).astype(np.float32)
    y = x @ weight.T + 2 + noise * rng.standard_normal((num_rows, dim_out)).astype(np.float32)
    return x, y.astype(np.float32), weight


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(1e-3, 1.0))
def test_ridge_matches_the_normal_equations(seed, penalty):
    x, y, _ = world(seed, num_rows=50)
    centred_x, centred_y = x - x.mean(0), y - y.mean(0)
    gram = centred_x.T.astype(np.float64) @ centred_x / len(x)
    scale = penalty * np.trace(gram) / len(gram)
    expected = np.linalg.solve(
        gram + scale * np.eye(len(gram)), centred_x.T.astype(np.float64) @ centred_y / len(x)
    ).T
    found = closed_form.ridge(x, y, penalty=penalty)
    np.testing.assert_allclose(found.weight, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.bias, y.mean(0) - expected @ x.mean(0), rtol=1e-3, atol=1e-2)


def test_blocks_make_no_difference():
    x, y, _ = world(num_rows=1000)
    whole = closed_form.ridge_path(closed_form.moments([(x, y)]), penalties=[1e-3])[0]
    blocks = closed_form.paired_blocks(x, y, block_rows=7)
    pieces = closed_form.ridge_path(closed_form.moments(blocks), penalties=[1e-3])[0]
    np.testing.assert_allclose(whole.weight, pieces.weight, atol=1e-4)


@pytest.mark.parametrize("num_x", range(9))
@pytest.mark.parametrize("longer", [0, 1, 4])
def test_blocks_hold_every_row_once_and_no_pair_is_torn(num_x, longer):
    x, y = np.arange(num_x), -np.arange(num_x + longer)
    for one, other, flipped in ((x, y, False), (y, x, True)):
        found = list(closed_form.paired_blocks(one, other, block_rows=3))
        assert np.concatenate([x[:0], *(a for a, _ in found)]).tolist() == one.tolist(), flipped
        assert np.concatenate([x[:0], *(b for _, b in found)]).tolist() == other.tolist(), flipped
        for number, (a, b) in enumerate(found):
            assert (a[:1].tolist(), b[:1].tolist()) == (
                one[3 * number : 3 * number + 1].tolist(),
                other[3 * number : 3 * number + 1].tolist(),
            )
            assert 0 < max(len(a), len(b)) <= 3


def test_best_ridge_prefers_shrinkage_where_there_is_only_noise():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 25)).astype(np.float32)
    weight = rng.standard_normal((5, 25)).astype(np.float32)
    y = x @ weight.T + 8 * rng.standard_normal((30, 5)).astype(np.float32)
    dev_x = rng.standard_normal((200, 25)).astype(np.float32)
    dev_y = dev_x @ weight.T
    dev_y /= np.linalg.norm(dev_y, axis=1, keepdims=True)
    _, penalty = closed_form.best_ridge(x, y, dev_x=dev_x, dev_y=dev_y, penalties=[1e-6, 1.0])
    assert penalty == 1.0


def test_constant_inputs_give_the_mean():
    x, y = np.ones((5, 3), np.float32), np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_allclose(closed_form.ridge(x, y, penalty=0.1)(x), np.tile(y.mean(0), (5, 1)))


@pytest.mark.parametrize(
    ("x", "y", "error"),
    [
        (np.ones((3, 2)), np.ones((2, 2)), errors.VectorError),
        (np.ones((0, 2)), np.ones((0, 2)), errors.TrainingError),
        (np.full((3, 2), np.nan), np.ones((3, 2)), errors.VectorError),
    ],
)
def test_bad_pairs_are_refused(x, y, error):
    with pytest.raises(error):
        closed_form.ridge(x.astype(np.float32), y.astype(np.float32), penalty=0.1)


def test_penalty_must_be_positive():
    x, y, _ = world()
    with pytest.raises(errors.ConfigError, match="above zero"):
        closed_form.ridge(x, y, penalty=0.0)


def rotation_by_hand(x, y):
    """Schönemann's rotation between equal widths, the narrower side padded with zeros."""
    width = max(x.shape[1], y.shape[1])
    wide_x = np.pad(x, ((0, 0), (0, width - x.shape[1]))).astype(np.float64)
    wide_y = np.pad(y, ((0, 0), (0, width - y.shape[1]))).astype(np.float64)
    turned, _ = scipy.linalg.orthogonal_procrustes(wide_x, wide_y)
    return turned.T[: y.shape[1], : x.shape[1]]


@pytest.mark.parametrize(("dim_in", "dim_out"), [(5, 5), (4, 6), (7, 4)])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("scaling", ["uniform", "diagonal"])
def test_procrustes_is_the_rotation_and_the_least_squares_factors(
    dim_in, dim_out, centred, scaling
):
    x, y, _ = world(3, num_rows=200, dim_in=dim_in, dim_out=dim_out, noise=0.5)
    found = closed_form.procrustes(
        closed_form.moments(closed_form.paired_blocks(x, y, block_rows=64)),
        centred=centred,
        scaling=scaling,
    )
    mean_x, mean_y = (x.mean(0), y.mean(0)) if centred else (np.zeros(dim_in), np.zeros(dim_out))
    rotation = rotation_by_hand(x - mean_x, y - mean_y)
    turned = (x - mean_x) @ rotation.T
    if scaling == "uniform":
        factors = np.linalg.lstsq(turned.reshape(-1, 1), (y - mean_y).reshape(-1), rcond=None)[0]
    else:
        factors = np.array(
            [
                np.linalg.lstsq(turned[:, [j]], (y - mean_y)[:, j], rcond=None)[0][0]
                for j in range(dim_out)
            ]
        )
    if dim_in < dim_out and scaling == "diagonal":
        # What the inputs cannot reach is arbitrary in the padded rotation: compare what is given.
        assert np.isfinite(found.weight).all()
    np.testing.assert_allclose(found(x), turned * factors + mean_y, atol=2e-3)


@pytest.mark.parametrize(("dim_in", "dim_out"), [(5, 5), (4, 6), (7, 4)])
def test_no_other_rotation_has_larger_inner_products(dim_in, dim_out):
    x, y, _ = world(1, dim_in=dim_in, dim_out=dim_out, noise=1.0)
    found = closed_form.procrustes(
        closed_form.moments([(x, y)]), centred=False, scaling="uniform"
    ).weight
    size = np.sqrt(np.square(found).sum() / min(dim_in, dim_out))
    rotation = found / size
    product = rotation @ rotation.T if dim_in >= dim_out else rotation.T @ rotation
    np.testing.assert_allclose(product, np.eye(min(dim_in, dim_out)), atol=1e-4)
    best = np.sum((x @ rotation.T) * y)
    rng = np.random.default_rng(0)
    for small in (1e-3, 0.1, 2.0):
        for _ in range(20):
            skew = small * rng.standard_normal((dim_out, dim_out))
            other = scipy.linalg.expm(skew - skew.T) @ rotation
            assert np.sum((x @ other.T) * y) <= best * (1 + 1e-5)


def test_procrustes_finds_a_rotation_that_is_there_and_ridge_agrees():
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0].astype(np.float32)
    x = rng.standard_normal((300, 6)).astype(np.float32)
    y = 1.7 * x @ turn.T + np.float32(0.3)
    found = closed_form.procrustes(closed_form.moments([(x, y)]), centred=True, scaling="uniform")
    np.testing.assert_allclose(found.weight, 1.7 * turn, atol=1e-4)
    np.testing.assert_allclose(found.bias, 0.3, atol=1e-4)


def test_a_constant_input_has_a_rotation_of_nothing():
    x, y = np.ones((9, 3), np.float32), np.eye(9, 4, dtype=np.float32)
    found = closed_form.procrustes(closed_form.moments([(x, y)]), centred=True, scaling="diagonal")
    np.testing.assert_allclose(found(x), np.tile(y.mean(0), (9, 1)), atol=1e-6)
