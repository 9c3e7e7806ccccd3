"""What is trained beside frozen towers? Linear heads in torch that fold into one affine map.

Legend: N rows, D_in and D_out widths.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import affine, errors


class LinearHead(nn.Module):
    """Linear layers with bias and nothing between them, the first straight to the target width.

    Parameter names are those of the published M2M checkpoints (`mlps.0.weight`, ...), so that
    theirs load here and ours load there.

    Args:
        dim_in: Width of the multilingual vectors.
        dim_out: Width of the teacher's space.
        num_layers: 1, 2 or 4 in the paper; any number of 1 or more.
        residual: Adds each layer's input to its output wherever the two widths agree.

    Source: M2M, section 4 and table 1.
    """

    def __init__(
        self, dim_in: int, dim_out: int, *, num_layers: int = 2, residual: bool = False
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise errors.ConfigError(
                f"a head of {num_layers} layers; it needs at least one",
                hint="the paper uses 1, 2 or 4, best 2",
            )
        widths = [dim_in] + [dim_out] * num_layers
        self.mlps = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.residual = residual

    def forward(self, vectors: Tensor) -> Tensor:
        """Map rows: (N, D_in) to (N, D_out), not normalised."""
        for layer in self._layers():
            mapped = layer(vectors)
            vectors = vectors + mapped if self._skips(layer) else mapped
        return vectors

    def fold(self) -> affine.AffineMap:
        """The one affine map that these layers are, in NumPy."""
        return affine.fold([self._as_map(layer) for layer in self._layers()])

    @torch.no_grad()
    def start_from(self, solution: affine.AffineMap) -> None:
        """Set the layers so that the head equals `solution`: last layers the identity.

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


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars.

    >>> count_parameters(LinearHead(768, 768, num_layers=2))
    1181184
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def head_from_published(tensors: Mapping[str, Tensor], *, residual: bool = False) -> LinearHead:
    """The head in a published M2M checkpoint: a flat dict of `mlps.{i}.weight|bias`.

    Args:
        tensors: The loaded checkpoint; a `layer_norm` marks a generation head.
        residual: Whether it was trained with skip connections (`emb_method` in its config).

    Raises:
        InputError: For missing layers, other keys or widths that do not chain.
    """
    num_layers = sum(name.endswith(".weight") and name.startswith("mlps.") for name in tensors)
    wanted = {f"mlps.{i}.{part}" for i in range(num_layers) for part in ("weight", "bias")}
    if not num_layers or set(tensors) != wanted:
        raise errors.InputError(
            f"the checkpoint holds {sorted(tensors)}; an M2M retrieval head has only "
            "mlps.0.weight, mlps.0.bias, mlps.1.weight, ...",
            hint="generation heads (with layer_norm) cannot serve retrieval",
        )
    dim_out, dim_in = tensors["mlps.0.weight"].shape
    head = LinearHead(dim_in, dim_out, num_layers=num_layers, residual=residual)
    try:
        head.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        raise errors.InputError(
            f"the layers do not chain: {shapes}", hint="each must take what the last one gives"
        ) from error
    return head
