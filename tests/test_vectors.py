"""Unit length, and which rows can be used, against literal rules."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polyglance
from polyglance import errors
from polyglance.vectors import unit, unusable_rows


def test_unit_gives_length_one():
    vectors = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(unit(vectors), axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1.0, 1e30])
def test_rows_have_length_one_at_any_scale(scale):
    vectors = (np.array([[3.0, -4.0], [1.0, 0.0]]) * scale).astype(np.float32)
    assert unit(vectors) == pytest.approx(
        np.array([[0.6, -0.8], [1.0, 0.0]]), abs=1e-4 if scale == 1e-40 else 1e-6
    )


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_unit_names_the_rows_that_have_no_direction(bad):
    vectors = np.ones((4, 2), np.float32)
    vectors[2] = bad
    with pytest.raises(errors.VectorError, match=r"first rows \[2\]"):
        unit(vectors)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_all_rows_without_direction_are_named(bad):
    vectors = np.ones((9, 2), dtype=np.float32)
    vectors[[2, 5]] = bad
    with pytest.raises(errors.VectorError, match=r"2 of 9 .* rows \[2, 5\]"):
        unit(vectors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_usual_length_keep_their_bits_beside_extreme_ones(dtype):
    rows = np.random.default_rng(1).standard_normal((5, 3)).astype(dtype)
    extreme = np.array([[1e30, 0, 0], [0, -1e-30, 0]], dtype)
    found = unit(np.concatenate([rows, extreme]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:5], unit(rows))
    np.testing.assert_array_equal(found[5:], [[1, 0, 0], [0, -1, 0]])


def test_the_package_has_one_type_of_vectors():
    source = Path(polyglance.__file__).parent
    defining = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign) and "Vectors" in ast.unparse(node.targets[0])
    }
    assert defining == {"vectors.py"}


@given(
    rows=st.lists(
        st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=3, max_size=3)
    )
)
def test_unusable_rows_against_the_literal_rule(rows):
    vectors = np.array(rows, dtype=np.float32).reshape(-1, 3)
    found = unusable_rows(vectors)
    for row, vector in enumerate(vectors):
        with np.errstate(all="ignore"):
            length = np.float32(0)
            for value in vector:
                length = np.float32(length + value * value)
        if np.isfinite(length) and length > 1e-37 and length < 1e38:
            assert row not in found
        elif not np.isfinite(vector).all() or not vector.any():
            assert row in found


def test_a_vector_too_long_or_short_to_be_measured_is_unusable():
    vectors = np.array([[1e30, 0], [1e-30, 0]], dtype=np.float32)
    assert unusable_rows(vectors) == {0: "too long for float32", 1: "length 0"}
