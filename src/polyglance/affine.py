"""What does a linear head come down to? An affine map in NumPy: fitted, folded, applied, saved.

Kept apart from `heads` so that a pack answers queries without importing torch.

Legend: N rows, D_in and D_out widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from polyglance import errors

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """`x @ weight.T + bias`, in PyTorch's orientation.

    Attributes:
        weight: float32 (D_out, D_in).
        bias: float32 (D_out,).
    """

    weight: Vectors
    bias: Vectors

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise errors.VectorError(
                f"weight {self.weight.shape} and bias {self.bias.shape} make no affine map; "
                "they must be (D_out, D_in) and (D_out,)",
                hint="check which way round the matrix is stored",
            )

    @property
    def dim_in(self) -> int:
        """Width of the vectors it takes."""
        return int(self.weight.shape[1])

    @property
    def dim_out(self) -> int:
        """Width of the vectors it gives."""
        return int(self.weight.shape[0])

    def __call__(self, vectors: Vectors) -> Vectors:
        """Map rows.

        Args:
            vectors: float32 (N, D_in).

        Returns:
            float32 (N, D_out).

        Raises:
            VectorError: For rows of another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dim_in:
            raise errors.VectorError(
                f"vectors of shape {vectors.shape} do not fit a map that takes (N, {self.dim_in})",
                hint="use the text tower that the map was fitted on",
            )
        return np.asarray(vectors @ self.weight.T + self.bias, dtype=np.float32)

    def after(self, first: AffineMap) -> AffineMap:
        """The one map that does `first`, then this.

        >>> double = AffineMap(2 * np.eye(2, dtype=np.float32), np.ones(2, np.float32))
        >>> double.after(double)(np.ones((1, 2), np.float32))
        array([[7., 7.]], dtype=float32)
        """
        weight = self.weight.astype(np.float64) @ first.weight
        bias = self.weight.astype(np.float64) @ first.bias + self.bias
        return AffineMap(weight.astype(np.float32), bias.astype(np.float32))


def fold(maps: Sequence[AffineMap]) -> AffineMap:
    """Collapse maps applied one after the other into one.

    Args:
        maps: At least one, first applied first.
    """
    return reduce(lambda done, following: following.after(done), maps)


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to length one.

    Args:
        vectors: float (N, D), no row zero or non-finite.

    Returns:
        float32 (N, D).

    Raises:
        VectorError: Naming the first rows whose length is zero or not finite.

    >>> unit(np.array([[3.0, 4.0]], np.float32))
    array([[0.6, 0.8]], dtype=float32)
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)))
    if len(bad):
        raise errors.VectorError(
            f"{len(bad)} of {len(vectors)} vectors are zero or not finite, "
            f"first rows {bad[:5].tolist()}; each needs a direction",
            hint="drop those rows, or look at the inputs they were encoded from",
        )
    return np.asarray(vectors / lengths, dtype=np.float32)
