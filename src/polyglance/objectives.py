"""What is minimised? Pure functions of tensors that return named terms, with "total" among them.

An objective never sees a model, a process rank or a file.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

Terms = dict[str, Tensor]

# M2M gives lambda = 48 at D = 768, where the mean over the width makes it 0.125 (1 - cos).
# Rescaled by D / 768 that stays 0.125 in every space.
M2M_REFERENCE_WIDTH = 768


def alignment(mapped: Tensor, target: Tensor) -> Tensor:
    """Mean over rows and width of squared differences: (2 / D)(1 - cos) on unit rows.

    Args:
        mapped: (N, D).
        target: (N, D).

    Source: M2M, equation 2.
    """
    return functional.mse_loss(mapped, target)


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

    Args:
        mapped: (N, D), unit: the multilingual vectors through the head.
        target: (N, D), unit: the teacher's vectors of the same texts.
        alignment_weight: lambda as the paper gives it for D = 768; rescaled to this width.
        structure_weight: beta.

    Source: M2M, equation 6.
    """
    scale = alignment_weight * mapped.shape[1] / M2M_REFERENCE_WIDTH
    terms = {"alignment": alignment(mapped, target)}
    terms["structure"] = structure(mapped, target) if structure_weight else terms["alignment"] * 0
    terms["total"] = scale * terms["alignment"] + structure_weight * terms["structure"]
    return terms


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


def choose_among(scores: Tensor, wanted: Tensor, *, weights: Tensor | None = None) -> Terms:
    """Cross entropy of choosing the right one among all candidates.

    Args:
        scores: (N, M), already divided by the temperature.
        wanted: (N,) which of the M candidates is right.
        weights: (N,) how much each row counts; None counts them alike.
    """
    each = functional.cross_entropy(scores, wanted, reduction="none")
    return {"total": each.mean() if weights is None else (each * weights).mean()}


def contrastive(
    left: Tensor,
    right: Tensor,
    *,
    temperature: Tensor | float,
    groups: Tensor | None = None,
) -> Terms:
    """Symmetric cross entropy over a batch of pairs (InfoNCE, as in CLIP).

    Args:
        left: (N, D), unit.
        right: (N, D), unit; row i belongs to row i of `left`.
        temperature: Divides the cosines; above zero.
        groups: (N,) integers; rows of one group are the same thing said twice, so they are taken
            out of each other's negatives. None where all rows differ.

    Source: CLIP; NLLB-CLIP, section 3.
    """
    logits = left @ right.T / temperature  # (N, N)
    if groups is not None:
        same = groups[:, None] == groups[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -torch.inf)
    wanted = torch.arange(len(left), device=left.device)
    left_to_right = functional.cross_entropy(logits, wanted)
    right_to_left = functional.cross_entropy(logits.T, wanted)
    return {
        "left_to_right": left_to_right,
        "right_to_left": right_to_left,
        "total": (left_to_right + right_to_left) / 2,
    }
