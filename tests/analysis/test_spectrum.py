"""Spectra of heads against hand-worked ones."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.analysis.spectrum import spectrum
from polyglance.heads.affine import AffineMap, Chain
from shared_data import SHARED, needs_shared


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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
