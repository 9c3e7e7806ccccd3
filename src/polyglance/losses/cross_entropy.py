"""Cross entropy of a choice among given candidates."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses import Terms


def choose_among(scores: Tensor, wanted: Tensor, *, weights: Tensor | None = None) -> Terms:
    """Cross entropy of choosing the right one among all candidates, mean over rows.

    Args:
        scores: (N, M), already divided by the temperature.
        wanted: (N,) which of the M candidates is right.
        weights: (N,) how much each row counts; None counts them alike.
    """
    each = functional.cross_entropy(scores, wanted, reduction="none")
    return {"total": each.mean() if weights is None else (each * weights).mean()}
