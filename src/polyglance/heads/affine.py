"""Affine maps and chains of them, in NumPy: what a head comes down to, applied and saved.

Kept apart from `heads` so that a pack answers queries without importing torch.

Legend: N rows, D_in and D_out widths, H hidden width.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.vectors import Vectors

LAYER_NORM_EPSILON = 1e-5


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


@dataclass(frozen=True, eq=False)
class Norm:
    """What a LayerNorm learnt: factor and offset of each hidden dimension, float32 (H,)."""

    gain: Vectors
    shift: Vectors

    def __call__(self, hidden: Vectors) -> Vectors:
        """Rows (N, H) to mean 0 and variance 1, then scaled and moved."""
        centred = hidden - hidden.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + LAYER_NORM_EPSILON)
        return np.asarray(centred / deviation * self.gain + self.shift, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Chain:
    """Affine maps with a ReLU between each two, perhaps behind a LayerNorm: a nonlinear head.

    A BatchNorm folds into the map in front of it and needs no place here.

    Attributes:
        maps: One or more, each taking what the one before gives.
        norms: One a ReLU, or None for all.
    """

    maps: tuple[AffineMap, ...]
    norms: tuple[Norm, ...] | None = None

    def __post_init__(self) -> None:
        widths = [(m.dim_in, m.dim_out) for m in self.maps]
        fits = all(a[1] == b[0] for a, b in itertools.pairwise(widths))
        if not widths or not fits or len(self.norms or widths[1:]) != len(widths) - 1:
            raise errors.VectorError(
                f"maps of widths {widths} make no chain; each must take what the last one gives",
                hint="check the order of the layers",
            )

    @property
    def dim_in(self) -> int:
        """Width of the vectors it takes."""
        return self.maps[0].dim_in

    @property
    def dim_out(self) -> int:
        """Width of the vectors it gives."""
        return self.maps[-1].dim_out

    def __call__(self, vectors: Vectors) -> Vectors:
        """Map rows: float32 (N, D_in) to (N, D_out).

        >>> flip = AffineMap(-np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
        >>> Chain((flip, flip))(np.array([[1.0, -2.0]], np.float32)) + 0
        array([[ 0., -2.]], dtype=float32)
        """
        found = self.maps[0](vectors)
        for number, following in enumerate(self.maps[1:]):
            if self.norms is not None:
                found = self.norms[number](found)
            found = following(np.maximum(found, 0, out=found))
        return found


# What stands behind a tower or in front of an index: one map, or a chain of them.
Head = AffineMap | Chain


def tensors_of(head: Head | None, *, prefix: str = "") -> dict[str, Vectors]:
    """A head as named tensors; empty where there is none.

    Args:
        head: What to write.
        prefix: Put in front of every name.
    """
    if head is None:
        return {}
    maps, norms = (head.maps, head.norms or ()) if isinstance(head, Chain) else ((head,), ())
    found: dict[str, Vectors] = {}
    for number, layer in enumerate(maps):
        tail = f"_{number}" if number else ""
        found |= {f"weight{tail}": layer.weight, f"bias{tail}": layer.bias}
    for number, norm in enumerate(norms):
        found |= {f"gain_{number}": norm.gain, f"shift_{number}": norm.shift}
    # safetensors writes the buffer as it lies: a transposed view would be read back scrambled.
    return {prefix + name: np.ascontiguousarray(value) for name, value in found.items()}


def narrowed(tensors: Mapping[str, Vectors]) -> dict[str, NDArray[Any]]:
    """Tensors as they are written: in half precision where that keeps every value.

    >>> narrowed({"weight": np.array([0.5], np.float32)})["weight"].dtype.name
    'float16'
    >>> narrowed({"weight": np.array([0.1], np.float32)})["weight"].dtype.name
    'float32'
    """
    halves = _halves(tensors)
    return {
        name: halves[name] if np.array_equal(halves[name], value) else value
        for name, value in tensors.items()
    }


def _halves(tensors: Mapping[str, Vectors]) -> dict[str, NDArray[np.float16]]:
    """Each tensor in half precision; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return {name: value.astype(np.float16) for name, value in tensors.items()}


def rounded(head: Head) -> Head:
    """A head whose values half precision holds, so that its file is half as large.

    Raises:
        VectorError: A value is too large for it.
    """
    found = _halves(tensors_of(head))
    if not all(np.isfinite(value).all() for value in found.values()):
        raise errors.VectorError(
            "a head has values above 65,504, which half precision does not hold",
            hint="scale what the head takes, or keep it as it is",
        )
    whole = head_of(found)
    assert whole is not None
    return whole


def head_of(tensors: Mapping[str, NDArray[Any]], *, prefix: str = "") -> Head | None:
    """A head from named tensors, of any precision; None where they hold none."""
    if f"{prefix}weight" not in tensors:
        return None
    tensors = {name: value.astype(np.float32, copy=False) for name, value in tensors.items()}
    maps = [AffineMap(tensors[f"{prefix}weight"], tensors[f"{prefix}bias"])]
    while f"{prefix}weight_{len(maps)}" in tensors:
        tail = f"_{len(maps)}"
        maps.append(AffineMap(tensors[f"{prefix}weight{tail}"], tensors[f"{prefix}bias{tail}"]))
    norms = tuple(
        Norm(tensors[f"{prefix}gain_{i}"], tensors[f"{prefix}shift_{i}"])
        for i in range(len(maps) - 1)
        if f"{prefix}gain_{i}" in tensors
    )
    return maps[0] if len(maps) == 1 else Chain(tuple(maps), norms or None)


def fold(maps: Sequence[AffineMap]) -> AffineMap:
    """Collapse maps applied one after the other into one.

    Args:
        maps: At least one, first applied first.
    """
    return reduce(lambda done, following: following.after(done), maps)
