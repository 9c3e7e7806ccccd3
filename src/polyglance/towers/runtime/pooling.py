"""The poolings of token states to one vector a text, by name.

Legend: B rows of a batch, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

Pool = Callable[[Tensor, Tensor | None], Tensor]


def mean(states: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the states of real tokens.

    Args:
        states: (B, L, D).
        mask: (B, L), 1 for real tokens; None where nothing is padded.

    Returns:
        (B, D).

    >>> mean(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    if mask is None:
        return states.mean(1)
    weights = mask.unsqueeze(-1).to(states.dtype)  # (B, L, 1)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def first(states: Tensor, mask: Tensor | None) -> Tensor:
    """The state at position 0, whatever token stands there. Shapes as in `mean`."""
    del mask
    return states[:, 0]


def last(states: Tensor, mask: Tensor | None) -> Tensor:
    """The state of the last real token. Shapes as in `mean`.

    >>> last(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0]]
    """
    if mask is None:
        return states[:, -1]
    rows = torch.arange(len(states), device=states.device)
    return states[rows, mask.sum(1) - 1]


def largest(states: Tensor, mask: Tensor | None) -> Tensor:
    """The largest value of each dimension over real tokens. Shapes as in `mean`.

    >>> largest(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[3.0]]
    """
    if mask is not None:
        states = states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
    return states.amax(1)


# `cls` and `position0` read the same place; `cls` is refused where the tokenizer puts no such
# token there. `pooler` is the model's own layer and has no function here.
POOLINGS: Mapping[str, Pool] = MappingProxyType(
    {"mean": mean, "cls": first, "position0": first, "last": last, "max": largest}
)
# What an encoder of transformers can be pooled by.
TEXT_POOLINGS = (*POOLINGS, "pooler")


class PooledEncoder(nn.Module):
    """An encoder of token ids (or pixels), and the pooling of its states.

    Args:
        encoder: Called with the batch's tensors by name; its result has `last_hidden_state`, or
            `pooler_output` for the pooling `pooler`.
        pooling: One of `TEXT_POOLINGS`.
    """

    def __init__(self, encoder: nn.Module, *, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, D)."""
        out = self.encoder(**batch)
        if self.pooling == "pooler":
            return cast(Tensor, out.pooler_output)
        return POOLINGS[self.pooling](out.last_hidden_state, batch.get("attention_mask"))
