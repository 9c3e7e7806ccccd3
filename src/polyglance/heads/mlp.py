"""Trainable MLP heads: uCLIP's, with a norm, and Drift-Adapter's, added to what they take.

Legend: N rows, D_in and D_out widths, H hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from polyglance import errors
from polyglance.heads import affine
from polyglance.vectors import Vectors

NormName = Literal["batch", "layer"]
# Unit vectors lie so close together that AdamW would take thousands of steps to tell them apart.
STANDARD_LENGTH = 20.0


@dataclass(frozen=True, eq=False)
class Standard:
    """Inputs centred and brought to one length: `(x - centre) * scale`.

    Attributes:
        centre: Float32 (D,).
        scale: Float32.
    """

    centre: Vectors
    scale: np.float32

    @classmethod
    def of(cls, rows: Vectors) -> Standard:
        """That by which the mean of rows (N, D) is zero and their mean length `STANDARD_LENGTH`."""
        centre = rows.mean(axis=0)
        return cls(
            centre, np.float32(STANDARD_LENGTH / np.linalg.norm(rows - centre, axis=1).mean())
        )

    @classmethod
    def nothing(cls, dim: int) -> Standard:
        """That which leaves inputs as they are."""
        return cls(np.zeros(dim, np.float32), np.float32(1))

    def __call__(self, rows: Vectors) -> Vectors:
        """Rows (N, D) as they are taken."""
        return (rows - self.centre) * self.scale

    def folded(self, first: affine.AffineMap) -> affine.AffineMap:
        """The map behind it, made to take inputs as they are."""
        weight: Vectors = first.weight * self.scale
        return affine.AffineMap(weight, first.bias - weight @ self.centre)


class ProjectionHead(nn.Module):
    """Linear, norm, ReLU, linear: the shape of uCLIP's released heads.

    Args:
        dim_in: Width of the vectors it takes.
        dim_out: Width of the shared space.
        expansion: H as a multiple of D_in.
        norm: `batch` as released, or `layer`, which is the same in training and in use.

    >>> sum(p.numel() for d in (512, 768) for p in ProjectionHead(d, 512).parameters())
    3023360
    >>> sum(p.numel() for d in (512, 384) for p in ProjectionHead(d, 512).parameters())
    1743104
    """

    def __init__(
        self, dim_in: int, dim_out: int, *, expansion: float = 2.0, norm: NormName = "batch"
    ) -> None:
        super().__init__()
        hidden = max(1, round(dim_in * expansion))
        self.first = nn.Linear(dim_in, hidden)
        self.norm: nn.Module = nn.BatchNorm1d(hidden) if norm == "batch" else nn.LayerNorm(hidden)
        self.last = nn.Linear(hidden, dim_out)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D_in) to (N, D_out), not normalised."""
        projected: Tensor = self.last(torch.relu(self.norm(self.first(vectors))))
        return projected

    @torch.no_grad()
    def recalibrate(self, vectors: Tensor) -> None:
        """Take a batch norm's statistics from these rows instead of the training's noisy ones.

        Args:
            vectors: (N, D_in), as they will come in use.
        """
        if not isinstance(self.norm, nn.BatchNorm1d):
            return
        hidden = self.first(vectors)
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.copy_(hidden.mean(dim=0))
        self.norm.running_var.copy_(hidden.var(dim=0))

    def fold(self) -> affine.Chain:
        """The same in NumPy; a batch norm becomes part of the first layer."""
        first, last = _as_map(self.first), _as_map(self.last)
        assert isinstance(self.norm, nn.LayerNorm | nn.BatchNorm1d)
        gain, shift = _numpy(self.norm.weight), _numpy(self.norm.bias)
        if isinstance(self.norm, nn.LayerNorm):
            return affine.Chain((first, last), (affine.Norm(gain, shift),))
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        factor = gain / np.sqrt(_numpy(self.norm.running_var) + np.float32(self.norm.eps))
        bias = (first.bias - _numpy(self.norm.running_mean)) * factor + shift
        return affine.Chain((affine.AffineMap(first.weight * factor[:, None], bias), last))


class ChainHead(nn.Module):
    """A chain of maps with a ReLU between each two, trained on from its weights.

    Args:
        start: Where it starts.
    """

    def __init__(self, start: affine.Chain) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_as_layer(each) for each in start.maps)
        self.norms = None
        if start.norms is not None:
            self.norms = nn.ModuleList(_as_norm(each) for each in start.norms)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D_in) to (N, D_out), not normalised."""
        found: Tensor = self.layers[0](vectors)
        for number, layer in enumerate(self.layers[1:]):
            if self.norms is not None:
                found = self.norms[number](found)
            found = layer(torch.relu(found))
        return found

    def fold(self) -> affine.Chain:
        """The same in NumPy."""
        maps = tuple(_as_map(cast(nn.Linear, layer)) for layer in self.layers)
        if self.norms is None:
            return affine.Chain(maps)
        norms = [cast(nn.LayerNorm, norm) for norm in self.norms]
        return affine.Chain(
            maps, tuple(affine.Norm(_numpy(n.weight), _numpy(n.bias)) for n in norms)
        )


class ResidualHead(nn.Module):
    """Two layers beside a fixed affine map: `skip(x) + W2 relu(W1 x + b1) + b2`.

    The skip is the identity, or brings the input into the target's space. The last layer starts
    at zero, so that training starts at the skip.

    Args:
        skip: The fixed map, (D_out, D_in).
        hidden: H, at least 1.
        dropout: Share of the H units that a training step leaves out.
        standard: How the layers take their inputs; None leaves them as they are.

    Source: Drift-Adapter (Vejendla 2025), the residual MLP, whose skip is the identity.
    """

    skip_weight: Tensor
    skip_bias: Tensor
    centre: Tensor

    def __init__(
        self,
        skip: affine.AffineMap,
        *,
        hidden: int,
        dropout: float = 0.0,
        standard: Standard | None = None,
    ) -> None:
        super().__init__()
        if hidden < 1:
            raise errors.ConfigError(f"hidden {hidden}; it must be 1 or more", hint="try 256")
        self._skip, self._dropout = skip, dropout
        self._standard = standard or Standard.nothing(skip.dim_in)
        self.register_buffer("skip_weight", torch.from_numpy(skip.weight))
        self.register_buffer("skip_bias", torch.from_numpy(skip.bias))
        self.register_buffer("centre", torch.from_numpy(self._standard.centre))
        self.first = nn.Linear(skip.dim_in, hidden)
        self.last = nn.Linear(hidden, skip.dim_out)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D_in) to (N, D_out), not normalised."""
        taken = (vectors - self.centre) * float(self._standard.scale)
        hidden = functional.dropout(torch.relu(self.first(taken)), self._dropout, self.training)
        skipped = functional.linear(vectors, self.skip_weight, self.skip_bias)
        found: Tensor = skipped + self.last(hidden)
        return found

    def fold(self) -> affine.Chain:
        """The same as two maps with a ReLU between them, in NumPy.

        The skip goes through the ReLU in two halves, since z = relu(z) - relu(-z).
        """
        identity = np.eye(self._skip.dim_out, dtype=np.float32)
        first, last = self._standard.folded(_as_map(self.first)), _as_map(self.last)
        skip = self._skip
        widened = affine.AffineMap(
            np.concatenate([first.weight, skip.weight, -skip.weight]),
            np.concatenate([first.bias, skip.bias, -skip.bias]),
        )
        weight = np.concatenate([last.weight, identity, -identity], axis=1)
        return affine.Chain((widened, affine.AffineMap(weight, last.bias)))


def _as_layer(start: affine.AffineMap) -> nn.Linear:
    layer = nn.Linear(start.dim_in, start.dim_out)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start.weight))
        layer.bias.copy_(torch.from_numpy(start.bias))
    return layer


def _as_norm(start: affine.Norm) -> nn.LayerNorm:
    norm = nn.LayerNorm(len(start.gain), eps=affine.LAYER_NORM_EPSILON)
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(start.gain))
        norm.bias.copy_(torch.from_numpy(start.shift))
    return norm


def _as_map(layer: nn.Linear) -> affine.AffineMap:
    return affine.AffineMap(_numpy(layer.weight), _numpy(layer.bias))


def _numpy(tensor: Tensor) -> Vectors:
    array: Vectors = tensor.detach().float().cpu().numpy().copy()
    return array
