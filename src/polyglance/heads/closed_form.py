"""Closed-form heads: ridge regression and orthogonal Procrustes, in blocks.

Legend: N rows, D_in and D_out widths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.heads.affine import AffineMap
from polyglance.vectors import Vectors, unit

# Rows of one product. Sums inside a block are float32, which BLAS makes of some hundred rows at a
# time; sums over blocks are float64. At a width of 768 products of 32,768 rows took 0.77 of the
# time that those of 8,192 took.
BLOCK_ROWS = 32_768

Scaling = Literal["uniform", "diagonal"]


@dataclass(frozen=True, eq=False)
class Moments:
    """All that least squares needs of the data: its first and second moments.

    Attributes:
        num_rows: N.
        sum_x: float64 (D_in,).
        sum_y: float64 (D_out,).
        xx: float64 (D_in, D_in), sum of outer products.
        xy: float64 (D_in, D_out).
    """

    num_rows: int
    sum_x: NDArray[np.float64]
    sum_y: NDArray[np.float64]
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]


def moments(blocks: Iterable[tuple[Vectors, Vectors]]) -> Moments:
    """Add up the moments of paired blocks; memory is that of one block and two matrices.

    Args:
        blocks: Pairs of float32 (n, D_in) and (n, D_out), finite.

    Raises:
        TrainingError: Where there is not one row.
        VectorError: For NaN or infinity, or blocks of unequal length.
    """
    total: Moments | None = None
    for x, y in blocks:
        if len(x) != len(y):
            raise errors.VectorError(
                f"{len(x)} source rows and {len(y)} target rows; they must pair up",
                hint="encode the same texts with both towers, in the same order",
            )
        # Sums as products: adding float32 up in float64 would cast every row first.
        ones = np.ones(len(x), np.float32)
        part = Moments(
            len(x),
            (ones @ x).astype(np.float64),
            (ones @ y).astype(np.float64),
            (x.T @ x).astype(np.float64),
            (x.T @ y).astype(np.float64),
        )
        total = part if total is None else _add(total, part)
    if total is None or not total.num_rows:
        raise errors.TrainingError("not one pair to fit a map on", hint="give at least one text")
    if not (np.isfinite(total.xx).all() and np.isfinite(total.xy).all()):
        raise errors.VectorError(
            "NaN or infinity among the vectors", hint="look for texts that encode to NaN"
        )
    return total


def _add(total: Moments, part: Moments) -> Moments:
    # In place: a fresh (D_in, D_in) a block would cost more than the product itself.
    total.sum_x.__iadd__(part.sum_x)
    total.sum_y.__iadd__(part.sum_y)
    total.xx.__iadd__(part.xx)
    total.xy.__iadd__(part.xy)
    return Moments(total.num_rows + part.num_rows, total.sum_x, total.sum_y, total.xx, total.xy)


def paired_blocks(
    x: Vectors, y: Vectors, *, block_rows: int = BLOCK_ROWS
) -> Iterable[tuple[Vectors, Vectors]]:
    """Cut paired rows into blocks."""
    for start in range(0, max(len(x), len(y)), block_rows):
        yield x[start : start + block_rows], y[start : start + block_rows]


def ridge_path(data: Moments, *, penalties: Sequence[float]) -> list[AffineMap]:
    """Ridge regression with bias, one solution a penalty, from one eigendecomposition.

    Minimises `mean |x W^T + b - y|^2 + penalty * mean_variance * |W|^2`, bias free. The penalty is
    in units of the mean variance of the inputs, so that one grid serves every tower.

    Args:
        data: Moments of the pairs.
        penalties: Each above zero.

    Raises:
        ConfigError: For a penalty of zero or less.
    """
    if min(penalties) <= 0:
        raise errors.ConfigError(
            f"ridge penalties {list(penalties)}; each must be above zero", hint="try 1e-3"
        )
    mean_x, mean_y = data.sum_x / data.num_rows, data.sum_y / data.num_rows
    covariance = data.xx / data.num_rows - np.outer(mean_x, mean_x)  # (D_in, D_in)
    cross = data.xy / data.num_rows - np.outer(mean_x, mean_y)  # (D_in, D_out)
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0.0)
    # Constant inputs have no variance: any positive floor gives the zero map plus the mean.
    mean_variance = max(float(variances.mean()), float(np.finfo(np.float32).tiny))
    rotated = directions.T @ cross  # (D_in, D_out)
    solutions = []
    for penalty in map(float, penalties):
        shrunk = rotated / (variances + penalty * mean_variance)[:, None]
        weight = (directions @ shrunk).T  # (D_out, D_in)
        bias = mean_y - weight @ mean_x
        solutions.append(
            AffineMap(np.ascontiguousarray(weight, np.float32), bias.astype(np.float32))
        )
    return solutions


def ridge(x: Vectors, y: Vectors, *, penalty: float) -> AffineMap:
    """Fit one ridge map.

    Args:
        x: float32 (N, D_in).
        y: float32 (N, D_out).
        penalty: Above zero, in units of the inputs' mean variance.

    >>> x = np.array([[0.0], [1.0], [2.0]], np.float32)
    >>> line = ridge(x, 3 * x + 1, penalty=1e-9)
    >>> line(np.array([[4.0]], np.float32)).round(3)
    array([[13.]], dtype=float32)
    """
    return ridge_path(moments(paired_blocks(x, y)), penalties=[penalty])[0]


def best_ridge(
    x: Vectors,
    y: Vectors,
    *,
    dev_x: Vectors,
    dev_y: Vectors,
    penalties: Sequence[float],
    score: Callable[[AffineMap], float] | None = None,
) -> tuple[AffineMap, float]:
    """Fit on one split, choose the penalty by mean cosine on another, or by what is given.

    Args:
        x: float32 (N, D_in).
        y: float32 (N, D_out).
        dev_x: float32 (M, D_in), rows that are not in `x`.
        dev_y: float32 (M, D_out), unit.
        penalties: Candidates, each above zero.
        score: Of a map, higher is better, in the place of the mean cosine.

    Returns:
        The map and its penalty.
    """
    solutions = ridge_path(moments(paired_blocks(x, y)), penalties=penalties)
    if score is None:
        scores = [float((unit(s(dev_x)) * dev_y).sum(axis=1).mean()) for s in solutions]
    else:
        scores = [score(solution) for solution in solutions]
    best = int(np.argmax(scores))
    return solutions[best], float(penalties[best])


def procrustes(data: Moments, *, centred: bool, scaling: Scaling) -> AffineMap:
    """The rotation that brings inputs nearest to targets, by one singular value decomposition.

    With M = sum of x^T y = U S V^T, the rotation is R = V U^T, which maximises the sum of the inner
    products of R x and y. Where the widths differ, the narrower side counts as padded with zeros to
    the width of the wider one, where the map is a rotation: what leads out of the target's width is
    cut off. A wider target keeps all lengths and angles then, a narrower one only those inside it.

    Args:
        data: Moments of the pairs.
        centred: Whether means are subtracted first and the targets' mean is added behind the
            rotation. Without it the map is a rotation about the origin, as in the paper.
        scaling: Factors behind the rotation by least squares: one for all, or one a dimension of
            the target.

    Source: Schönemann 1966; with scaling, Schönemann and Carroll 1970; for query adapters,
    Drift-Adapter (Vejendla 2025), which tries diagonal factors as well.
    """
    mean_x, mean_y = data.sum_x / data.num_rows, data.sum_y / data.num_rows
    if not centred:
        mean_x, mean_y = np.zeros_like(mean_x), np.zeros_like(mean_y)
    squares = data.xx / data.num_rows - np.outer(mean_x, mean_x)  # (D_in, D_in)
    cross = data.xy / data.num_rows - np.outer(mean_x, mean_y)  # (D_in, D_out)
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    rotation = (left @ right).T  # (D_out, D_in)
    explained = np.einsum("oi,io->o", rotation, cross)  # (D_out,)
    spread = np.einsum("oi,ij,oj->o", rotation, squares, rotation, optimize=True)  # (D_out,)
    if scaling == "uniform":
        explained, spread = explained.sum(keepdims=True), spread.sum(keepdims=True)
    # A dimension that never varies has nothing to scale: 0 times the floor stays 0.
    weight = rotation * (explained / np.maximum(spread, np.finfo(np.float32).tiny))[:, None]
    bias = mean_y - weight @ mean_x
    return AffineMap(np.ascontiguousarray(weight, np.float32), bias.astype(np.float32))
