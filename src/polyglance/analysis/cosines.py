"""Cosine matrix of pairs: every row with every column, and the right pairs alone.

Legend: N pairs, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polyglance import errors
from polyglance.vectors import Vectors, unit


@dataclass(frozen=True, kw_only=True)
class CosineMatrix:
    """Cosines of N rows with N columns, of which the equal places belong together.

    Attributes:
        cosines: N lists of N, in [-1, 1].
        pair_mean: Mean of the right pairs, the diagonal.
        other_mean: Mean of all others.
        pairs_first: Share of rows whose own column is the nearest, ties counting as their share.
    """

    cosines: tuple[tuple[float, ...], ...]
    pair_mean: float
    other_mean: float
    pairs_first: float

    @property
    def gap(self) -> float:
        """How far right pairs stand above the others."""
        return self.pair_mean - self.other_mean


def cosine_matrix(rows: Vectors, columns: Vectors) -> CosineMatrix:
    """Cosines of pairs: texts with their images, or texts of one language with another's.

    Args:
        rows: (N, D), no row zero; N is 2 or more.
        columns: (N, D), the row of each at the same place.

    Raises:
        VectorError: For shapes that do not fit, or vectors without a direction.

    Source: uCLIP, figure 4 (50 pairs of images and texts).

    >>> eye = np.eye(2, dtype=np.float32)
    >>> found = cosine_matrix(eye, eye)
    >>> found.pair_mean, found.other_mean, found.pairs_first
    (1.0, 0.0, 1.0)
    """
    if rows.shape != columns.shape or rows.ndim != 2 or len(rows) < 2:
        raise errors.VectorError(
            f"rows {rows.shape} and columns {columns.shape} are no pairs; both are (N, D) with "
            "2 pairs or more",
            hint="give the vectors of a pair at the same place, of one space",
        )
    cosines = np.clip(unit(rows).astype(np.float64) @ unit(columns).T, -1, 1)  # (N, N)
    pairs = np.diag(cosines)
    best = cosines == cosines.max(axis=1, keepdims=True)
    return CosineMatrix(
        cosines=tuple(tuple(row) for row in cosines.round(4).tolist()),
        pair_mean=float(pairs.mean()),
        other_mean=float((cosines.sum() - pairs.sum()) / (cosines.size - len(pairs))),
        pairs_first=float((np.diag(best) / best.sum(axis=1)).mean()),
    )
