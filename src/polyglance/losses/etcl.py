"""The losses of ETCL: MURAL, from which it starts, and the triple contrast.

Legend: N rows of a batch, M text pairs, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from polyglance.losses import Terms
from polyglance.losses.contrastive import both_ways


def mural(
    images: Tensor,
    texts: Tensor,
    *,
    text_a: Tensor,
    text_b: Tensor,
    temperature: Tensor | float,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    groups: Tensor | None = None,
    text_groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Terms:
    """Images with texts, and texts with their translations: (L_it + L_tt) / 2.

    Each L_ab is the *sum* of both directions, as the paper has it.

    Args:
        images: (N, D), unit.
        texts: (N, D), unit: their captions.
        text_a: (M, D), unit: texts in one language; may be another batch than the captions.
        text_b: (M, D), unit: the same in another language.
        temperature: One for all four terms; this and the options below: see `both_ways`.
        margin: Off the cosine of right pairs; the paper's is 0.3.
        label_smoothing: Share of the target that is spread; the paper's is 0.1.
        groups: (N,) integers of the image-text rows.
        text_groups: (M,) integers of the text-text rows.
        block_rows: Rows of logits held at a time.

    Source: MURAL, Jain et al. 2021; ETCL, equations 1 to 3.
    """
    both = functools.partial(
        both_ways,
        temperature=temperature,
        margin=margin,
        label_smoothing=label_smoothing,
        block_rows=block_rows,
    )
    terms: Terms = {}
    terms["image_to_text"], terms["text_to_image"] = both(images, texts, groups=groups)
    terms["a_to_b"], terms["b_to_a"] = both(text_a, text_b, groups=text_groups)
    terms["total"] = torch.stack(list(terms.values())).sum() / 2
    return terms


def etcl(
    images: Tensor,
    texts_a: Tensor,
    texts_b: Tensor,
    *,
    temperature: Tensor | float,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Terms:
    """Triple contrastive loss: (L_iA + L_AB + L_Bi) / 3, each the sum of both directions.

    Args:
        images: (N, D), unit.
        texts_a: (N, D), unit: captions in one language.
        texts_b: (N, D), unit: the same captions in another.
        temperature: As the options below: see `both_ways`.
        margin: Off the cosine of right pairs.
        label_smoothing: Share of the target that is spread.
        groups: (N,) integers; rows of the same image carry the same one.
        block_rows: Rows of logits held at a time.

    Source: ETCL, equation 4.
    """
    both = functools.partial(
        both_ways,
        temperature=temperature,
        margin=margin,
        label_smoothing=label_smoothing,
        groups=groups,
        block_rows=block_rows,
    )
    terms: Terms = {}
    terms["image_to_a"], terms["a_to_image"] = both(images, texts_a)
    terms["a_to_b"], terms["b_to_a"] = both(texts_a, texts_b)
    terms["b_to_image"], terms["image_to_b"] = both(texts_b, images)
    terms["total"] = torch.stack(list(terms.values())).sum() / 3
    return terms
