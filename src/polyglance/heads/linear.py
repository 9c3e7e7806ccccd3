"""Trainable linear heads in torch that fold into one affine map.

Legend: N rows, D_in and D_out widths.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.heads import affine


class LinearHead(nn.Module):
    """Linear layers with bias and nothing between them, the first straight to the target width.

    Parameter names are those of the published M2M checkpoints (`mlps.0.weight`, ...), so that
    theirs load here and ours load there.

    Args:
        dim_in: Width of the multilingual vectors.
        dim_out: Width of the teacher's space.
        num_layers: 1, 2 or 4 in the paper; any number of 1 or more.
        residual: Adds each layer's input to its output wherever the two widths agree.
        layer_norm: Ends in a layer norm, as heads for generation do; such a head does not fold.

    Source: M2M, sections 4 and 7 and table 1.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        *,
        num_layers: int = 2,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise errors.ConfigError(
                f"a head of {num_layers} layers; it needs at least one",
                hint="the paper uses 1, 2 or 4, best 2",
            )
        widths = [dim_in] + [dim_out] * num_layers
        self.mlps = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.layer_norm = nn.LayerNorm(dim_out) if layer_norm else None
        self.residual = residual

    def forward(self, vectors: Tensor) -> Tensor:
        """Map rows: (N, D_in) to (N, D_out), not normalised."""
        for layer in self._layers():
            mapped = layer(vectors)
            vectors = vectors + mapped if self._skips(layer) else mapped
        if self.layer_norm is not None:
            vectors = self.layer_norm(vectors)
        return vectors

    def fold(self) -> affine.AffineMap:
        """The one affine map that these layers are, in NumPy.

        Raises:
            ConfigError: For a head that ends in a layer norm, which is no affine map.
        """
        if self.layer_norm is not None:
            raise errors.ConfigError(
                "a head with a layer norm is no affine map and does not fold",
                hint="a head for generation maps vectors as it is, and is no part of a pack",
            )
        return affine.fold([self._as_map(layer) for layer in self._layers()])

    @torch.no_grad()
    def start_from(self, solution: affine.AffineMap) -> None:
        """Set the layers so that they equal `solution`: last layers the identity.

        Args:
            solution: A closed-form fit of the same widths.
        """
        weight, bias = torch.from_numpy(solution.weight), torch.from_numpy(solution.bias)
        for layer in self._layers():
            identity = torch.eye(layer.out_features)
            layer.weight.copy_(weight - identity if self._skips(layer) else weight)
            layer.bias.copy_(bias)
            weight, bias = identity, torch.zeros(layer.out_features)

    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.mlps if isinstance(layer, nn.Linear)]

    def _skips(self, layer: nn.Linear) -> bool:
        return self.residual and layer.in_features == layer.out_features

    def _as_map(self, layer: nn.Linear) -> affine.AffineMap:
        weight = layer.weight.detach().float().numpy().copy()
        if self._skips(layer):
            weight += np.eye(len(weight), dtype=np.float32)
        return affine.AffineMap(weight, layer.bias.detach().float().numpy().copy())


class LowRankHead(nn.Module):
    """An affine map of low rank, `U V^T x + t`, that folds into a plain one.

    Args:
        dim_in: Width of the vectors it takes.
        dim_out: Width of the space.
        rank: Width between the two factors, at least 1.

    Source: Drift-Adapter (Vejendla 2025), the low-rank affine adapter.
    """

    def __init__(self, dim_in: int, dim_out: int, *, rank: int) -> None:
        super().__init__()
        if rank < 1:
            raise errors.ConfigError(f"rank {rank}; it must be 1 or more", hint="try 256")
        self.down = nn.Linear(dim_in, rank, bias=False)
        self.up = nn.Linear(rank, dim_out)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, D_in) to (N, D_out), not normalised."""
        mapped: Tensor = self.up(self.down(vectors))
        return mapped

    def fold(self) -> affine.AffineMap:
        """The one affine map that both factors are, in NumPy."""
        weight = (self.up.weight.double() @ self.down.weight.double()).detach().float().numpy()
        return affine.AffineMap(weight, self.up.bias.detach().float().numpy().copy())

    @torch.no_grad()
    def start_from(self, solution: affine.AffineMap) -> None:
        """Set both factors to the nearest map of this rank: the largest singular values, shared."""
        left, sizes, right = np.linalg.svd(solution.weight.astype(np.float64), full_matrices=False)
        rank = self.down.out_features
        roots = np.sqrt(sizes[:rank])
        self.up.weight.zero_()
        self.down.weight.zero_()
        # A rank above both widths leaves the last rows at zero.
        self.up.weight[:, : len(roots)] = torch.from_numpy(left[:, :rank] * roots).float()
        self.down.weight[: len(roots)] = torch.from_numpy(roots[:, None] * right[:rank]).float()
        self.up.bias.copy_(torch.from_numpy(solution.bias))


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars.

    >>> count_parameters(LinearHead(768, 768, num_layers=2))
    1181184
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def head_from_published(tensors: Mapping[str, Tensor], *, residual: bool = False) -> LinearHead:
    """The head in a published M2M checkpoint for retrieval: `mlps.{i}.weight|bias` and no more.

    Args:
        tensors: The loaded checkpoint.
        residual: Whether it was trained with skip connections (`emb_method` in its config).

    Raises:
        InputError: For missing layers, other keys or widths that do not chain.
    """
    if not _has_layers(tensors):
        raise errors.InputError(
            f"the checkpoint holds {sorted(tensors)}; an M2M retrieval head has only "
            "mlps.0.weight, mlps.0.bias, mlps.1.weight, ...",
            hint="generation heads (with layer_norm) cannot serve retrieval",
        )
    return head_from_tensors(tensors, residual=residual)


def generation_head_from_published(
    tensors: Mapping[str, Tensor], *, residual: bool = False
) -> LinearHead:
    """The head in a published M2M checkpoint for generation: layers, and `layer_norm.weight|bias`.

    That the norm stands behind the layers is inferred: the authors' code for generation is not
    published. Its target, the pooled output of CLIP's text tower, ends in a layer norm itself, and
    with weights left at 1 a norm at the end gives length sqrt(768) = 27.7, which is what that
    output has. Half-precision weights come as float32.

    Args:
        tensors: The loaded checkpoint.
        residual: Whether it was trained with skip connections (`emb_method` in its config).

    Raises:
        InputError: For a head without a norm, other keys or widths that do not chain.
    """
    norm = {"layer_norm.weight", "layer_norm.bias"}
    rest = {name: value for name, value in tensors.items() if name not in norm}
    if not norm <= set(tensors) or not _has_layers(rest):
        raise errors.InputError(
            f"the checkpoint holds {sorted(tensors)}; an M2M generation head has mlps.0.weight, "
            "mlps.0.bias, ..., layer_norm.weight and layer_norm.bias",
            hint="a head without layer_norm is for retrieval: it knows directions and no lengths; "
            "polyglance import-m2m makes a pack of it",
        )
    return head_from_tensors(tensors, residual=residual)


def _has_layers(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are linear layers from 0 on, and nothing else."""
    num_layers = sum(name.endswith(".weight") for name in tensors)
    wanted = {f"mlps.{i}.{part}" for i in range(num_layers) for part in ("weight", "bias")}
    return num_layers > 0 and set(tensors) == wanted


def head_from_tensors(tensors: Mapping[str, Tensor], *, residual: bool) -> LinearHead:
    """The head whose tensors these are, with a layer norm or without.

    Args:
        tensors: `mlps.{i}.weight|bias`, perhaps `layer_norm.weight|bias`.
        residual: Whether it has skip connections.

    Raises:
        InputError: For widths that do not chain.
    """
    num_layers = sum(name.startswith("mlps.") and name.endswith(".weight") for name in tensors)
    dim_out, dim_in = tensors["mlps.0.weight"].shape
    head = LinearHead(
        dim_in,
        dim_out,
        num_layers=num_layers,
        residual=residual,
        layer_norm="layer_norm.weight" in tensors,
    )
    try:
        head.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        raise errors.InputError(
            f"the layers do not chain: {shapes}", hint="each must take what the last one gives"
        ) from error
    return head
