import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.heads import affine


def random_map(rng, dim_in, dim_out):
    weight = rng.standard_normal((dim_out, dim_in)).astype(np.float32)
    return affine.AffineMap(weight, rng.standard_normal(dim_out).astype(np.float32))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_fold_equals_one_after_the_other(a, b, c, seed):
    rng = np.random.default_rng(seed)
    first, second = random_map(rng, a, b), random_map(rng, b, c)
    x = rng.standard_normal((7, a)).astype(np.float32)
    np.testing.assert_allclose(affine.fold([first, second])(x), second(first(x)), atol=1e-4)


def test_map_refuses_other_width():
    with pytest.raises(errors.VectorError, match=r"\(2, 4\).*\(N, 3\)"):
        random_map(np.random.default_rng(0), 3, 2)(np.zeros((2, 4), np.float32))


def test_map_refuses_shapes_that_do_not_fit():
    with pytest.raises(errors.VectorError, match="make no affine map"):
        affine.AffineMap(np.zeros((2, 3), np.float32), np.zeros(3, np.float32))


def test_a_chain_of_three_with_norms_comes_back_from_its_tensors():
    rng = np.random.default_rng(0)
    maps = tuple(random_map(rng, a, b) for a, b in ((4, 3), (3, 5), (5, 2)))
    norms = tuple(
        affine.Norm(*rng.standard_normal((2, width)).astype(np.float32)) for width in (3, 5)
    )
    chain = affine.Chain(maps, norms)
    back = affine.head_of(affine.tensors_of(chain))
    assert len(back.norms) == 2
    vectors = rng.standard_normal((7, 4)).astype(np.float32)
    np.testing.assert_array_equal(back(vectors), chain(vectors))


@pytest.mark.parametrize(
    ("widths", "num_norms"), [((), None), (((4, 3), (2, 5)), None), (((4, 3), (3, 5)), 2)]
)
def test_layers_that_make_no_chain(widths, num_norms):
    rng = np.random.default_rng(0)
    norm = affine.Norm(np.ones(3, np.float32), np.zeros(3, np.float32))
    norms = None if num_norms is None else (norm,) * num_norms
    with pytest.raises(errors.VectorError, match="make no chain"):
        affine.Chain(tuple(random_map(rng, *width) for width in widths), norms)


def test_a_rounded_head_is_written_in_half_and_read_as_it_was():
    rng = np.random.default_rng(0)
    chain = affine.Chain((random_map(rng, 4, 3), random_map(rng, 3, 2)))
    exact = affine.narrowed(affine.tensors_of(chain))
    assert {value.dtype.name for value in exact.values()} == {"float32"}
    rounded = affine.rounded(chain)
    written = affine.narrowed(affine.tensors_of(rounded))
    assert {value.dtype.name for value in written.values()} == {"float16"}
    back = affine.head_of(written)
    vectors = rng.standard_normal((7, 4)).astype(np.float32)
    np.testing.assert_array_equal(back(vectors), rounded(vectors))
    assert back.maps[0].weight.dtype == np.float32
    np.testing.assert_allclose(back(vectors), chain(vectors), atol=0.02)


def test_values_that_half_precision_lacks_are_no_rounded_head():
    huge = affine.AffineMap(np.full((1, 1), 1e6, np.float32), np.zeros(1, np.float32))
    with pytest.raises(errors.VectorError, match="65,504"):
        affine.rounded(huge)
    assert affine.narrowed(affine.tensors_of(huge))["weight"].dtype == np.float32
