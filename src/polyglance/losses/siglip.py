"""The loss of SigLIP: each image with each text is a yes-or-no question of its own.

Legend: N rows of a batch, B rows of a block, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.contrastive import at_least_float32, check_pairs, check_positive, over_blocks


def sigmoid(
    images: Tensor,
    texts: Tensor,
    *,
    scale: Tensor | float,
    bias: Tensor | float,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Terms:
    """Sum of the binary cross entropies of all pairs of a batch, an image.

    -(1/N) sum_ij log sigmoid(z_ij (t c_ij + b)), with z_ij one on the diagonal, else minus one.

    Args:
        images: (N, D), unit.
        texts: (N, D), unit; row i belongs to row i of `images`.
        scale: t, above zero; SigLIP starts at 10.
        bias: b; SigLIP starts at -10.
        groups: (N,) integers; two rows of one group are neither a right nor a wrong pair.
        block_rows: Rows of logits held at a time, as in `contrastive.both_ways`.

    Returns:
        "positive" and "negative", the shares of right and of wrong pairs, and their sum "total".

    Source: SigLIP, Zhai et al. 2023, equation 1.
    """
    check_pairs(images, texts, at_least=1)
    check_positive("scale", scale)
    # Without groups only the diagonal is no negative: each row is a group of its own.
    known = torch.arange(len(images), device=images.device) if groups is None else groups

    def summed(first: int, last: int) -> Tensor:
        logits = at_least_float32(images[first:last] @ texts.T) * scale + bias  # (B, N)
        own = known[first:last, None] == known[None, :]  # (B, N)
        wrong = functional.logsigmoid(-logits).masked_fill(own, 0.0)
        right = functional.logsigmoid(logits.diagonal(offset=first))
        return -torch.stack([right.sum(), wrong.sum()])

    sums = over_blocks(summed, len(images), block_rows=block_rows) / len(images)
    return {"positive": sums[0], "negative": sums[1], "total": sums.sum()}
