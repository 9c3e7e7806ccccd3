"""The loss of M2M: alignment with the teacher's vectors, and of their cosines with each other.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses import Terms

# M2M gives lambda = 48 at D = 768, where the mean over the width makes it 0.125 (1 - cos).
# Rescaled by D / 768 that stays 0.125 in every space.
M2M_REFERENCE_WIDTH = 768


def structure(mapped: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the pairwise cosines, over the upper triangle.

    Args:
        mapped: (N, D), unit.
        target: (N, D), unit.

    Returns:
        A scalar; zero for a batch of one, which has no pairs.

    Source: M2M, equations 3 to 5.
    """
    num_rows = len(mapped)
    if num_rows < 2:
        return (mapped * 0).sum()
    # The matrix of differences is symmetric with a zero diagonal (rows are unit), so its full
    # sum is twice that of the triangle: no index tensors of N (N - 1) / 2 entries are built.
    difference = mapped @ mapped.T - target @ target.T  # (N, N)
    difference = difference - torch.diag(torch.diagonal(difference))
    return difference.square().sum() / (num_rows * (num_rows - 1))


def m2m(
    mapped: Tensor, target: Tensor, *, alignment_weight: float = 48.0, structure_weight: float = 1.0
) -> Terms:
    """Alignment plus structure preservation.

    Alignment is the mean over rows and width of squared differences, (2 / D)(1 - cos) on unit rows.

    Args:
        mapped: (N, D), unit: the multilingual vectors through the head.
        target: (N, D), unit: the teacher's vectors of the same texts.
        alignment_weight: lambda as the paper gives it for D = 768; rescaled to this width.
        structure_weight: beta.

    Source: M2M, equations 2 and 6.
    """
    scale = alignment_weight * mapped.shape[1] / M2M_REFERENCE_WIDTH
    terms = {"alignment": functional.mse_loss(mapped, target)}
    terms["structure"] = structure(mapped, target) if structure_weight else terms["alignment"] * 0
    terms["total"] = scale * terms["alignment"] + structure_weight * terms["structure"]
    return terms
