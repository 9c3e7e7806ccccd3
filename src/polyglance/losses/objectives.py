"""The losses of the papers: pure functions of tensors that return named terms and "total".

An objective never sees a model, a process rank or a file.

Legend: N rows of a batch, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance.losses.contrastive import both_ways
from polyglance.losses.contrastive import one_way as one_way
from polyglance.losses.contrastive import sigmoid as sigmoid

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
        temperature: As the options below: see `one_way`.
        margin: Off the cosine of right pairs.
        label_smoothing: Share of the target that is spread.
        groups: (N,) integers; one group is the same thing said twice.
        block_rows: Rows of logits held at a time.
        gradient_dtype: Of the products in the backward pass; see `contrastive.both_ways`.

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
        temperature: As the options below: see `one_way`.
        groups: (N,) integers; one group is the same thing said twice.
        block_rows: Rows of logits held at a time.

    Source: Babel-ImageNet, section 5; LiT, Zhai et al. 2022.
    """
    return contrastive(
        learning, targets.detach(), temperature=temperature, groups=groups, block_rows=block_rows
    )


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
        temperature: One for all four terms; this and the options below: see `one_way`.
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
        temperature: As the options below: see `one_way`.
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
        temperature: Fixed at 0.01 in the paper; see `one_way`.
        text_weight: Of "text", the same query in both heads.
        pseudo_weight: Of "pseudo", the retrieved image with the retrieved text.
        intra_weight: lambda, of "intra", the query with what it retrieved. Squared distances, as
            in the paper; the released code does not square.
        groups: (N,) integers; one group is the same query twice.
        block_rows: Rows of logits held at a time.
        gradient_dtype: Of the products in the backward pass; see `contrastive.both_ways`.

    Returns:
        "text", "pseudo", "inter" (their weighted sum), "intra" and "total".

    Source: uCLIP, section "Proposed Method", equation 5 and those after it.
    """
    both = functools.partial(
        contrastive,
        temperature=temperature,
        groups=groups,
        block_rows=block_rows,
        gradient_dtype=gradient_dtype,
    )
    absent = (e_clip * 0).sum()
    text = both(e_clip, e_text)["total"] if text_weight else absent
    pseudo = both(v_clip, m_text)["total"] if pseudo_weight else absent
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
