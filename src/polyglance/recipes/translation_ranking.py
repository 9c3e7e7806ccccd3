"""Translation ranking: a multilingual text tower trained without any teacher.

A text has to pick, among all groups of translations, the one it belongs to. No English sentence
vector and no image takes part, so the space is the tower's own. Where there are few groups
(names), the space is the share of each group itself. Where there are many (captions), each group
has a prototype, the place where its translations meet, learnt with the tower and thrown away after.

Legend: B texts of a batch, G groups, W width of the tower's space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from polyglance import training
from polyglance.losses import Terms, cross_entropy
from polyglance.recipes.data import parallel_text
from polyglance.records import Pair
from polyglance.towers.tiny import ngrams
from polyglance.towers.tiny.text_net import NgramNet
from polyglance.towers.tiny.tower import Ending, TinyTextTower, text_tower_from


@dataclass(frozen=True, kw_only=True)
class RankingConfig:
    """Settings of translation ranking.

    Attributes:
        width: W of the space with prototypes; None takes the shares of the groups as the space.
        num_buckets: Rows of the n-gram table.
        dim: Width of the table.
        dropout: Share of n-grams that a training step leaves out.
        num_steps: Optimiser steps.
        batch_size: Texts a step.
        learning_rate: Peak rate of the table; what is behind it learns at a quarter.
        temperature: Where the learnt temperature of the prototypes starts.
        related_share: Share of related texts (keywords) in a batch.
        related_weight: How much one of them counts.
        seed: Fixes start and draws.
    """

    width: int | None = None
    num_buckets: int = 26_000
    dim: int = 96
    dropout: float = 0.2
    num_steps: int = 600
    batch_size: int = 4096
    learning_rate: float = 2e-2
    temperature: float = 1 / 16
    related_share: float = 0.3
    related_weight: float = 0.5
    seed: int = 1


class _PrototypeRanker(nn.Module):
    """The tower with the prototypes and the temperature beside it."""

    def __init__(self, net: NgramNet, *, num_groups: int, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.prototypes = nn.Parameter(torch.randn(num_groups, net.keys.out_features))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, features: ngrams.Features) -> Tensor:
        """(B, G) cosines over the temperature."""
        texts = functional.normalize(self.net(features), dim=1)
        scores: Tensor = texts @ functional.normalize(self.prototypes, dim=1).T
        return scores * self.log_scale.exp()


def train_tower(
    pairs: Sequence[Pair], *, config: RankingConfig, related: Sequence[Pair] = ()
) -> TinyTextTower:
    """Train a multilingual text tower in a space of its own.

    Args:
        pairs: English texts and their translations.
        config: Settings.
        related: English texts and what only belongs to them, as keywords do.

    Raises:
        TrainingError: For too little text.
    """
    torch.manual_seed(config.seed)
    data = parallel_text.gather(pairs, related)
    num_groups = len(data.english)
    net = NgramNet(
        num_buckets=config.num_buckets,
        dim=config.dim,
        width=config.width or num_groups,
        dropout=config.dropout,
    )
    ranker: nn.Module = net
    if config.width is not None:
        ranker = _PrototypeRanker(net, num_groups=num_groups, temperature=config.temperature)

    def step(batch: parallel_text.Batch) -> Terms:
        return cross_entropy.choose_among(
            ranker(batch.features), batch.groups, weights=batch.weights
        )

    training.fit(
        ranker,
        step,
        batches=parallel_text.batches(
            data,
            batch_size=config.batch_size,
            related_share=config.related_share,
            related_weight=config.related_weight,
            seed=config.seed,
        ),
        config=training.TrainConfig(
            num_steps=config.num_steps,
            learning_rate=config.learning_rate,
            weight_decay=0.0,
            schedule="cosine",
            num_warmup_steps=int(0.05 * config.num_steps),
            betas=(0.9, 0.99),
            rate_factors={"net.table": 1.0, "table": 1.0, "log_scale": 0.1, "": 0.25},
            clip_norm=None,
        ),
        label="ranking text tower",
    )
    ending: Ending = "softmax" if config.width is None else "linear"
    return text_tower_from(net, ending=ending, languages=list(data.languages))
