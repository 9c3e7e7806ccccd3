"""Spectrum of a head: singular values, effective rank, and distance from a rotation.

Legend: D_in and D_out widths, R = min(D_in, D_out) singular values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.heads.affine import AffineMap, Head


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The weight of a folded map, seen through its singular values.

    M2M (section 5) gives an effective rank without saying which; the three in use stand here.

    Attributes:
        dim_in: D_in.
        dim_out: D_out.
        singular_values: R, largest first.
        effective_rank: Exponential of the entropy of singular values that sum to 1 (Roy and
            Vetterli, 2007).
        effective_rank_of_squares: The same of their squares, the variance each direction carries.
        participation_ratio: (sum of squares) squared over the sum of fourth powers.
        rank_of_90_percent: How many directions carry 90 % of the sum of squares.
        orthogonality_deviation: Frobenius norm of W'W - I (M2M, section 5); it grows with the
            scale of the weight.
        rotation_distance: The same for the best multiple of W, over the root of D_in: 0 for a
            rotation of any scale, near 1 for a map onto one direction.
        bias_norm: Length of the folded bias.
    """

    dim_in: int
    dim_out: int
    singular_values: tuple[float, ...]
    effective_rank: float
    effective_rank_of_squares: float
    participation_ratio: float
    rank_of_90_percent: int
    orthogonality_deviation: float
    rotation_distance: float
    bias_norm: float


def spectrum(head: Head) -> Spectrum:
    """Analyse a head that is one affine map.

    Args:
        head: Folded, as a pack holds it.

    Raises:
        ConfigError: For a nonlinear head (a chain with ReLU), which has no single weight.
        VectorError: For a weight that is zero or not finite.

    >>> found = spectrum(AffineMap(2 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)))
    >>> round(found.effective_rank, 6), round(found.rotation_distance, 6)
    (3.0, 0.0)
    >>> round(found.orthogonality_deviation, 3)
    5.196
    """
    if not isinstance(head, AffineMap):
        raise errors.ConfigError(
            "this head bends (linear, ReLU, linear): it has no one weight to analyse",
            hint="analyse a head of ridge or m2m",
        )
    weight = head.weight.astype(np.float64)
    if not np.isfinite(weight).all() or not weight.any():
        raise errors.VectorError(
            "the weight is zero or not finite; it has no spectrum", hint="train the head again"
        )
    values = np.linalg.svd(weight, compute_uv=False).astype(np.float64)  # (R,)
    squares = values**2
    participation = squares.sum() ** 2 / (squares**2).sum()
    # W'W has the squares as eigenvalues, and D_in - R zeros.
    missing = max(0, head.dim_in - len(values))
    return Spectrum(
        dim_in=head.dim_in,
        dim_out=head.dim_out,
        singular_values=tuple(values.round(6).tolist()),
        effective_rank=_entropy_rank(values),
        effective_rank_of_squares=_entropy_rank(squares),
        participation_ratio=float(participation),
        rank_of_90_percent=int(np.searchsorted(np.cumsum(squares), 0.9 * squares.sum()) + 1),
        orthogonality_deviation=float(np.sqrt(((squares - 1) ** 2).sum() + missing)),
        rotation_distance=float(np.sqrt(max(0.0, 1 - participation / head.dim_in))),
        bias_norm=float(np.linalg.norm(head.bias.astype(np.float64))),
    )


def _entropy_rank(values: NDArray[np.floating]) -> float:
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
