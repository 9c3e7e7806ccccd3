"""Trainable MLP heads: uCLIP's, with a norm, and Drift-Adapter's, added to what they take.

Legend: N rows, D_in and D_out widths, H hidden width.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.heads import affine
from polyglance.vectors import Vectors

NormName = Literal["batch", "layer"]


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
    """Two layers with a ReLU between them, added to what they take: `z + W2 relu(W1 z + b1) + b2`.

    z is a fixed affine map of the input: the identity, or a rotation into the target's space. The
    last layer starts at zero, so that training starts at z.

    Args:
        skip: The fixed map, (D_out, D_in).
        hidden: H, at least 1.

    Source: Drift-Adapter (Vejendla 2025), the residual MLP, whose skip is the identity.
    """

    def __init__(self, skip: affine.AffineMap, *, hidden: int) -> None:
        super().__init__()
        if hidden < 1:
            raise errors.ConfigError(f"hidden {hidden}; it must be 1 or more", hint="try 256")
        self._skip = skip
        self.register_buffer("skip_weight", torch.from_numpy(skip.weight))
        self.register_buffer("skip_bias", torch.from_numpy(skip.bias))
        self.first = nn.Linear(skip.dim_out, hidden)
        self.last = nn.Linear(hidden, skip.dim_out)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D_in) to (N, D_out), not normalised."""
        assert isinstance(self.skip_weight, Tensor)
        assert isinstance(self.skip_bias, Tensor)
        z = vectors @ self.skip_weight.T + self.skip_bias
        found: Tensor = z + self.last(torch.relu(self.first(z)))
        return found

    def fold(self) -> affine.Chain:
        """The same as two maps with a ReLU between them, in NumPy.

        The skip goes through the ReLU in two halves, since z = relu(z) - relu(-z).
        """
        identity = np.eye(self._skip.dim_out, dtype=np.float32)
        first, last = _as_map(self.first), _as_map(self.last)
        widened = affine.AffineMap(
            np.concatenate([first.weight, identity, -identity]),
            np.concatenate([first.bias, np.zeros(2 * len(identity), np.float32)]),
        )
        weight = np.concatenate([last.weight, identity, -identity], axis=1)
        return affine.Chain((widened.after(self._skip), affine.AffineMap(weight, last.bias)))


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
