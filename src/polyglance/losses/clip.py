"""The loss of CLIP: the mean of both directions of a contrast over a batch of pairs.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.contrastive import both_ways


def contrastive(
    left: Tensor,
    right: Tensor,
    *,
    temperature: Tensor | float,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    groups: Tensor | None = None,
    block_rows: int | None = None,
    gradient_dtype: torch.dtype | None = None,
) -> Terms:
    """Mean of both directions over a batch of pairs, as in CLIP.

    Args:
        left: (N, D), unit; two rows or more.
        right: (N, D), unit; row i belongs to row i of `left`.
        temperature: As the options below: see `both_ways`.
        margin: Off the cosine of right pairs.
        label_smoothing: Share of the target that is spread.
        groups: (N,) integers; one group is the same thing said twice.
        block_rows: Rows of logits held at a time.
        gradient_dtype: Of the products in the backward pass.

    Source: CLIP; NLLB-CLIP, section 3; uCLIP, equation 5.
    """
    left_to_right, right_to_left = both_ways(
        left,
        right,
        temperature=temperature,
        margin=margin,
        label_smoothing=label_smoothing,
        groups=groups,
        block_rows=block_rows,
        gradient_dtype=gradient_dtype,
    )
    return {
        "left_to_right": left_to_right,
        "right_to_left": right_to_left,
        "total": (left_to_right + right_to_left) / 2,
    }


def contrastive_distillation(
    learning: Tensor,
    targets: Tensor,
    *,
    temperature: Tensor | float,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Terms:
    """Contrast with targets that stay where they are, as language adapters are trained.

    With the English captions' vectors as targets this is the paper's "text contrastive" (it
    freezes the temperature there), with the images' vectors it is LiT (the temperature learns).

    Args:
        learning: (N, D), unit: captions through what is trained.
        targets: (N, D), unit: by the model before training; no gradient reaches them.
        temperature: As the options below: see `both_ways`.
        groups: (N,) integers; one group is the same thing said twice.
        block_rows: Rows of logits held at a time.

    Source: Babel-ImageNet, section 5; LiT, Zhai et al. 2022.
    """
    return contrastive(
        learning, targets.detach(), temperature=temperature, groups=groups, block_rows=block_rows
    )
