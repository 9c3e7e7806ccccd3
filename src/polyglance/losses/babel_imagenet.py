"""Losses of language adapters with two targets, as Babel-ImageNet trains them.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.clip import contrastive_distillation
from polyglance.losses.regression import mean_squared_error


def squared_distance(learning: Tensor, targets: Tensor) -> Terms:
    """Mean squared error, summed over the width instead of averaged: the distillation (MSE).

    AdamW does not mind the factor D, but gradients of unit vectors in a wide space would come near
    its epsilon.

    Args:
        learning: (N, D).
        targets: (N, D).

    Source: Babel-ImageNet, section 6; Reimers and Gurevych 2020.
    """
    error = mean_squared_error(learning, targets)["total"]
    return {"total": error * learning.shape[1], "squared_error": error}


def lit_and_mse(
    learning: Tensor,
    english: Tensor,
    images: Tensor,
    *,
    temperature: Tensor | float,
    groups: Tensor | None = None,
    lit_weight: float = 1.0,
) -> Terms:
    """Both objectives at once: to the English caption's vector, and to find the image.

    Args:
        learning: (N, D): captions through what is trained, of the lengths that MSE compares.
        english: (N, D): English captions by the model before training; no gradient reaches them.
        images: (N, D), unit: of the captions; no gradient reaches them.
        temperature: Of the contrast with images, which learns.
        groups: (N,) integers; captions of one image carry the same one.
        lit_weight: Of the contrast beside the distance; the paper names none.

    Source: Babel-ImageNet, appendix B.3, "multitask training with both LiT and MSE".
    """
    distance = squared_distance(learning, english.detach())
    contrast = contrastive_distillation(
        functional.normalize(learning, dim=1), images, temperature=temperature, groups=groups
    )
    return {
        "squared_error": distance["squared_error"],
        "lit": contrast["total"],
        "total": distance["total"] + lit_weight * contrast["total"],
    }
