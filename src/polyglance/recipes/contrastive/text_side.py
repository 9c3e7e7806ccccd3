"""The text side of contrastive training: a new tower, a copy, or only a projection.

Legend: N captions, B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads.affine import AffineMap
from polyglance.model.side import Side
from polyglance.recipes.contrastive.config import ContrastiveConfig
from polyglance.towers import Tower
from polyglance.towers.tiny import ngrams
from polyglance.towers.tiny.tower import TinyTextTower
from polyglance.towers.trainable.text import TrainableNgrams, TrainableText, TrainableTransformer


class FrozenText:
    """A text tower whose trunk stays as it is: encoded once, then a table of vectors.

    Args:
        side: The tower; a head behind it is no part of this.
        cache: Keeps what it gave.
    """

    def __init__(self, side: Side, cache: VectorCache | None) -> None:
        self.side, self.cache = side, cache
        self.module: nn.Module = nn.Module()
        self.dim = side.tower.dim

    def prepare(self, texts: Sequence[str], languages: Sequence[str] | None) -> Tensor:
        """Encode N texts: (N, D)."""
        raw = text_vectors(texts, self.side.tower, languages=languages, cache=self.cache)
        return torch.from_numpy(raw)

    def forward(self, prepared: Tensor, rows: Tensor) -> Tensor:
        """Rows (B,) to (B, D)."""
        return prepared[rows]

    def export(self) -> tuple[Tower, str]:
        """The tower, as it was."""
        return self.side.tower, self.side.reference


def live_text(
    side: Side | None,
    *,
    dim: int,
    config: ContrastiveConfig,
    cache: VectorCache | None,
) -> TrainableText:
    """The text tower of a training, which leaves the given one untouched.

    Args:
        side: A pretrained text tower; None for a fresh one of n-grams.
        dim: Width D of the space.
        config: Whether the tower itself learns (`regime`), the size of a fresh one, and how long
            its texts may be.
        cache: Keeps what a frozen trunk gives.

    Raises:
        ConfigError: For a tower of a kind that cannot learn, or none where it is not to learn.
    """
    trunk_learns = config.regime != "projection"
    if side is None:
        if not trunk_learns:
            raise errors.ConfigError(
                "no text tower was given, and only what is behind it is to learn",
                hint="give a multilingual text tower, or choose another regime",
            )
        return TrainableNgrams(
            num_buckets=config.num_buckets, width=config.width, dim=dim, dropout=config.dropout
        )
    if not trunk_learns:
        return FrozenText(side, cache)
    if isinstance(side.tower, TinyTextTower):
        return _ngrams_again(side.tower, dropout=config.dropout)
    return TrainableTransformer.copy_of(side.tower, side.reference, max_tokens=config.max_tokens)


def _ngrams_again(tower: TinyTextTower, *, dropout: float) -> TrainableNgrams:
    """A tiny tower's module, dequantised from 8 bits."""
    if tower.ending != "linear":
        raise errors.ConfigError(
            "the tiny tower chooses among a memory; only one with a linear end can be trained on",
            hint="freeze its trunk (regime=projection), or give another tower",
        )
    tensors = tower.tensors
    num_buckets, width = tensors["table"].shape
    live = TrainableNgrams(num_buckets=num_buckets, width=width, dim=tower.dim, dropout=dropout)
    with torch.no_grad():
        for name, weight in (("table", live.net.table.weight), ("keys", live.net.keys.weight)):
            matrix = ngrams.dequantise_rows(tensors[name], tensors[f"{name}_scale"])
            weight.copy_(torch.from_numpy(matrix))
        live.net.keys.bias.copy_(torch.from_numpy(tensors["bias"]))
        live.net.log_scale.zero_()  # the keys include it
    return live


def text_projection(side: Side | None, live: TrainableText, *, dim: int) -> nn.Linear | None:
    """What is behind the text tower at the start.

    A head that the tower has is trained on. Without one the projection is linear without bias:
    the identity where the widths agree, random else.

    Args:
        side: The given tower, or None for a fresh one, which ends in the space itself.
        live: The same, ready to learn.
        dim: Width D of the space.

    Raises:
        ConfigError: For a head that is not linear, or leads to another width.

    Source: NLLB-CLIP; METHODS on its text projection.
    """
    if side is None:
        return None
    if side.head is not None:
        if not isinstance(side.head, AffineMap) or side.head.dim_out != dim:
            raise errors.ConfigError(
                f"the tower's head is a {type(side.head).__name__} to width {side.head.dim_out}; "
                f"one linear map to the space's {dim} can be trained on",
                hint="give the tower without its head, or one fitted for this teacher",
            )
        return linear_from(side.head, bias=True)
    projection = nn.Linear(live.dim, dim, bias=False)
    if live.dim == dim:
        nn.init.eye_(projection.weight)
    return projection


def rate_factors(live: TrainableText, config: ContrastiveConfig) -> dict[str, float]:
    """Rates against that of the projections, by parameter; an image tower learns as trunks do.

    The layer behind an n-gram table learns at a quarter of its rate, as in `distill`.
    """
    trunk = config.trunk_rate / config.projection_rate
    if not isinstance(live, TrainableNgrams):
        return {"content_trunk": trunk, "tower.": trunk}
    table = config.ngram_rate / config.projection_rate
    return {
        "content_trunk": trunk,
        "tower.table": table,
        "tower.keys": table / 4,
        "tower.log_scale": table / 10,
    }


def linear_from(start: AffineMap, *, bias: bool) -> nn.Linear:
    """A layer that begins as a map."""
    layer = nn.Linear(start.dim_in, start.dim_out, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(start.weight))
        if bias:
            layer.bias.copy_(torch.from_numpy(start.bias))
    return layer


def map_of(layer: nn.Linear) -> AffineMap:
    """A layer as an affine map."""
    weight = layer.weight.detach().float().cpu().numpy().copy()
    if layer.bias is None:
        return AffineMap(weight, np.zeros(len(weight), np.float32))
    return AffineMap(weight, layer.bias.detach().float().cpu().numpy().copy())
