"""A small multilingual text network: hashed n-grams, pooled and projected, in torch.

Legend: N texts, V buckets, D width of the table, W width behind it.

Training happens here; what it learnt is used by `towers.tiny` in NumPy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from polyglance.towers.tiny import ngrams

# Rows start small against the first steps of Adam (learning rate 0.02), so that rows which
# training never meets stay near zero and add little noise to an unseen text.
INITIAL_STD = 0.05
INITIAL_SCALE = 20.0


class NgramNet(nn.Module):
    """A table of n-gram vectors, their weighted sum at length one, and one linear layer.

    Args:
        num_buckets: V.
        dim: D.
        width: W.
        dropout: Share of n-grams that training leaves out, so that no name depends on one of them.
    """

    def __init__(self, *, num_buckets: int, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(num_buckets, dim, mode="sum")
        nn.init.normal_(self.table.weight, std=INITIAL_STD)
        self.keys = nn.Linear(dim, width)
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())
        self.dropout = dropout

    def forward(self, features: ngrams.Features) -> Tensor:
        """N texts to (N, W), not normalised."""
        weights = torch.from_numpy(features.weights)
        if self.training and self.dropout:
            kept = torch.rand(len(weights)) >= self.dropout
            weights = weights * kept / (1 - self.dropout)
        ids = ngrams.buckets(features, num_buckets=self.table.num_embeddings)
        pooled = self.table(
            torch.from_numpy(ids),
            torch.from_numpy(features.offsets[:-1]),
            per_sample_weights=weights,
        )
        scores: Tensor = self.keys(self.log_scale.exp() * functional.normalize(pooled, dim=1))
        return scores
