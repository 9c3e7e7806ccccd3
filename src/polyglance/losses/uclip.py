"""The loss of uCLIP: alignment across its two heads, and inside each.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.contrastive import both_ways


def uclip(
    *,
    e_clip: Tensor,
    e_text: Tensor,
    v_clip: Tensor,
    m_text: Tensor,
    temperature: Tensor | float = 0.01,
    text_weight: float = 1.0,
    pseudo_weight: float = 1.0,
    intra_weight: float = 0.1,
    groups: Tensor | None = None,
    block_rows: int | None = None,
    gradient_dtype: torch.dtype | None = None,
) -> Terms:
    """Inter alignment across the two heads plus intra alignment inside each.

    L = (L_text + L_pseudo) + 0.1 L_intra. A weight of zero takes a term out, as the paper's
    ablation does, and does not compute it.

    Args:
        e_clip: (N, D), unit: English queries by the teacher's text tower, through its head.
        e_text: (N, D), unit: the same queries by the multilingual tower, through its head.
        v_clip: (N, D), unit: image vectors retrieved for `e_clip`, through the teacher's head.
        m_text: (N, D), unit: text vectors retrieved for `e_text`, through the text head.
        temperature: Fixed at 0.01 in the paper; see `both_ways`.
        text_weight: Of "text", the same query in both heads.
        pseudo_weight: Of "pseudo", the retrieved image with the retrieved text.
        intra_weight: lambda, of "intra", the query with what it retrieved. Squared distances, as
            in the paper; the released code does not square.
        groups: (N,) integers; one group is the same query twice.
        block_rows: Rows of logits held at a time.
        gradient_dtype: Of the products in the backward pass.

    Returns:
        "text", "pseudo", "inter" (their weighted sum), "intra" and "total".

    Source: uCLIP, section "Proposed Method", equation 5 and those after it.
    """
    both = functools.partial(
        both_ways,
        temperature=temperature,
        groups=groups,
        block_rows=block_rows,
        gradient_dtype=gradient_dtype,
    )
    absent = (e_clip * 0).sum()
    text = torch.stack(both(e_clip, e_text)).mean() if text_weight else absent
    pseudo = torch.stack(both(v_clip, m_text)).mean() if pseudo_weight else absent
    intra = absent
    if intra_weight:
        apart = (e_clip - v_clip).square().sum() + (e_text - m_text).square().sum()
        intra = apart / (2 * len(e_clip))
    inter = text_weight * text + pseudo_weight * pseudo
    return {
        "text": text,
        "pseudo": pseudo,
        "inter": inter,
        "intra": intra,
        "total": inter + intra_weight * intra,
    }
