"""Regression losses: distances of rows to their targets, all rows and numbers counted alike.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses import Terms


def mean_squared_error(predicted: Tensor, target: Tensor) -> Terms:
    """Squared difference of raw vectors: distillation, and M2M for generation.

    Args:
        predicted: (N, D).
        target: (N, D).

    Source: Reimers and Gurevych 2020; M2M, section 7.
    """
    return {"total": functional.mse_loss(predicted, target)}


def mean_absolute_error(mapped: Tensor, target: Tensor) -> Terms:
    """Absolute difference. Source: M2M, table 1, row V4."""
    return {"total": functional.l1_loss(mapped, target)}


def cosine_distance(mapped: Tensor, target: Tensor) -> Terms:
    """Mean of 1 - cos over unit rows. Source: M2M, table 1, row V3."""
    return {"total": 1 - (mapped * target).sum(dim=1).mean()}
