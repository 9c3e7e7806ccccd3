"""Vectors: their type, unit length, and checks of what comes in.

Legend: N rows, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors

Vectors = NDArray[np.float32]
# Of any precision, as metrics take them.
AnyVectors = NDArray[np.floating[Any]]

# Squared lengths of float32 unit vectors differ from 1 by some 1e-6, of ones kept in half precision
# by 1e-3.
UNIT_TOLERANCE = 1e-2
# Between these lengths squares neither leave float32 nor lose digits.
SHORTEST, LONGEST = 1e-15, 1e15


def unit(vectors: AnyVectors) -> Vectors:
    """Scale rows to length one, so that dot products are cosines.

    Args:
        vectors: (N, D), finite, no row all zero.

    Returns:
        float32 (N, D).

    Raises:
        VectorError: Naming the first rows that are zero or not finite.

    >>> unit(np.array([[3.0, 4.0]], np.float32))
    array([[0.6, 0.8]], dtype=float32)
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = np.flatnonzero(~((lengths > SHORTEST) & (lengths < LONGEST)))
    if len(rows):
        largest = np.abs(vectors[rows]).max(axis=1, keepdims=True, initial=0.0)
        bad = rows[~(np.isfinite(largest[:, 0]) & (largest[:, 0] > 0))]
        if len(bad):
            raise errors.VectorError(
                f"{len(bad)} of {len(vectors)} vectors are zero or not finite, "
                f"first rows {bad[:5].tolist()}; each needs a direction",
                hint="drop those rows, or look at the inputs they were encoded from",
            )
        vectors = vectors.copy()
        vectors[rows] /= largest
        lengths[rows] = np.linalg.norm(vectors[rows], axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def unusable_rows(vectors: Vectors) -> dict[int, str]:
    """Rows that have no direction, and why: NaN, infinite, or of length 0 (or not measurable).

    Args:
        vectors: float32 (N, D).

    Returns:
        Row to reason, in order.

    >>> unusable_rows(np.array([[1, 0], [0, 0], [np.nan, 1]], dtype=np.float32))
    {1: 'length 0', 2: 'NaN'}
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", vectors, vectors)  # (N,)
    found = {}
    for row in np.flatnonzero(~(np.isfinite(squared) & (squared > 0))).tolist():
        if np.isnan(vectors[row]).any():
            found[row] = "NaN"
        elif np.isinf(vectors[row]).any():
            found[row] = "infinite"
        else:
            found[row] = "length 0" if squared[row] == 0 else "too long for float32"
    return found


def is_unit(vectors: Vectors) -> NDArray[np.bool_]:
    """Which rows are finite and of length one, as far as float32 and half precision hold it.

    >>> is_unit(np.array([[0.6, 0.8], [np.nan, 1], [2, 0]], np.float32)).tolist()
    [True, False, False]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", vectors, vectors)  # (N,)
        found: NDArray[np.bool_] = np.abs(squared - 1) < UNIT_TOLERANCE  # False for NaN
    return found


def check_shape(vectors: Vectors, *, dim: int, num_rows: int) -> None:
    """Refuse what is not float32 of (num_rows, dim).

    Raises:
        VectorError: Wrong type, shape or width.
    """
    kind = getattr(vectors, "dtype", type(vectors).__name__)
    shape = getattr(vectors, "shape", "without a shape")
    if kind != np.float32 or shape != (num_rows, dim):
        raise errors.VectorError(
            f"vectors of {kind} {shape} were given; float32 ({num_rows}, {dim}) is allowed: one "
            "a row, of the store's width",
            hint="numpy.asarray(vectors, dtype=numpy.float32), one row for each id",
        )


def check_vectors(vectors: Vectors, *, dim: int, ids: Sequence[str]) -> None:
    """Refuse vectors that cannot be stored.

    Args:
        vectors: Should be float32 (N, D), every row with a direction.
        dim: D.
        ids: N names of the rows, for the message.

    Raises:
        VectorError: Wrong type, shape or width, or unusable rows; names the first three.
    """
    check_shape(vectors, dim=dim, num_rows=len(ids))
    if bad := unusable_rows(vectors):
        first = ", ".join(
            f"row {row} ({ids[row]!r}): {reason}" for row, reason in list(bad.items())[:3]
        )
        raise errors.VectorError(
            f"{len(bad)} of {len(ids)} vectors cannot be used: {first}; each must be finite and "
            "longer than 0",
            hint="leave those rows out, or look at what the tower got for them",
        )
