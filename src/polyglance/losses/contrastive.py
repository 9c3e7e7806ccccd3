"""Contrastive losses: softmax and sigmoid contrasts of each row against its batch.

Both can go through the logits a block of rows at a time, so that a large batch costs no (N, N)
matrix. The losses of the papers are put together from these in `objectives`.

Legend: N rows of a batch, B rows of a block, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from polyglance import errors


def one_way(
    queries: Tensor,
    keys: Tensor,
    *,
    temperature: Tensor | float,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Tensor:
    """Cross entropy of finding each query's own key among all keys of the batch.

    With c_ij the cosine of query i and key j, m the margin and s the temperature:
    l(q, k) = -(1/N) sum_i log softmax_j((c_ij - m [i = j]) / s).

    Args:
        queries: (N, D), unit; two rows or more.
        keys: (N, D), unit; row i belongs to row i of `queries`.
        temperature: s, above zero; may be a tensor that learns.
        margin: m, taken off the cosine of the right pair: it has to win by that much.
        label_smoothing: Share of the target, in [0, 1), that is spread evenly over all candidates
            of a row which are not masked, the right one among them.
        groups: (N,) integers; rows of one group are the same thing said twice, so they are taken
            out of each other's candidates. None where all rows differ.
        block_rows: Rows of logits held at a time, recomputed in the backward pass, so that no
            (N, N) matrix ever is; same value, same gradient. None takes all rows at once.

    Returns:
        A scalar.

    Raises:
        TrainingError: For fewer than two rows, among which there is nothing to choose.
        VectorError: Where the two sides differ in shape.
        ConfigError: For a temperature, smoothing or block out of its range.

    Source: InfoNCE; ETCL, equation 1, with the logarithm and the temperature that it lacks; margin
    of Yang et al. 2019.

    >>> one_way(torch.eye(2), torch.eye(2), temperature=0.5)
    tensor(0.1269)
    """
    _check_contrast(queries, keys, temperature=temperature, label_smoothing=label_smoothing)

    def summed(first: int, last: int) -> Tensor:
        cosines = _with_margin(queries[first:last] @ keys.T, first=first, margin=margin)  # (B, N)
        return _summed_losses(
            _over_temperature(cosines, temperature),
            first=first,
            label_smoothing=label_smoothing,
            groups=groups,
        )

    return _over_blocks(summed, len(queries), block_rows=block_rows) / len(queries)


def both_ways(
    left: Tensor,
    right: Tensor,
    *,
    temperature: Tensor | float,
    margin: float = 0.0,
    label_smoothing: float = 0.0,
    groups: Tensor | None = None,
    block_rows: int | None = None,
    gradient_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """`one_way` from left to right and from right to left, for the same arguments.

    Where all rows go at once, one matrix of cosines serves both ways: half the products, which
    for heads on cached vectors is half of the loss's time.

    Args:
        left: (N, D), unit.
        right: (N, D), unit.
        temperature: s.
        margin: m.
        label_smoothing: As for `one_way`.
        groups: (N,) integers.
        block_rows: Rows of logits held at a time.
        gradient_dtype: In which the backward products are computed, where all rows go at once;
            None keeps that of the vectors. Cosines are never rounded, only their gradients.
    """
    if block_rows is not None and block_rows < len(left):
        way = functools.partial(
            one_way,
            temperature=temperature,
            margin=margin,
            label_smoothing=label_smoothing,
            groups=groups,
            block_rows=block_rows,
        )
        return way(left, right), way(right, left)
    _check_contrast(left, right, temperature=temperature, label_smoothing=label_smoothing)
    losses = functools.partial(
        _summed_losses, first=0, label_smoothing=label_smoothing, groups=groups
    )
    cosines: Tensor = _Cosines.apply(left, right, gradient_dtype)  # type: ignore[no-untyped-call]
    logits = _over_temperature(_with_margin(cosines, first=0, margin=margin), temperature)
    return losses(logits) / len(left), losses(logits.T) / len(left)


def sigmoid(
    images: Tensor,
    texts: Tensor,
    *,
    scale: Tensor | float,
    bias: Tensor | float,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> dict[str, Tensor]:
    """Sigmoid loss: each image with each text is a yes-or-no question of its own.

    -(1/N) sum_ij log sigmoid(z_ij (t c_ij + b)), with z_ij one on the diagonal, else minus one.

    Args:
        images: (N, D), unit.
        texts: (N, D), unit; row i belongs to row i of `images`.
        scale: t, above zero; SigLIP starts at 10.
        bias: b; SigLIP starts at -10.
        groups: (N,) integers; two rows of one group are neither a right nor a wrong pair.
        block_rows: Rows of logits held at a time, as in `one_way`.

    Returns:
        "positive" and "negative", the shares of right and of wrong pairs, and their sum "total".

    Source: SigLIP, Zhai et al. 2023, equation 1.
    """
    _check_pairs(images, texts, at_least=1)
    _check_positive("scale", scale)
    # Without groups only the diagonal is no negative: each row is a group of its own.
    known = torch.arange(len(images), device=images.device) if groups is None else groups

    def summed(first: int, last: int) -> Tensor:
        logits = _at_least_float32(images[first:last] @ texts.T) * scale + bias  # (B, N)
        own = known[first:last, None] == known[None, :]  # (B, N)
        wrong = functional.logsigmoid(-logits).masked_fill(own, 0.0)
        right = functional.logsigmoid(logits.diagonal(offset=first))
        return -torch.stack([right.sum(), wrong.sum()])

    sums = _over_blocks(summed, len(images), block_rows=block_rows) / len(images)
    return {"positive": sums[0], "negative": sums[1], "total": sums.sum()}


def _with_margin(cosines: Tensor, *, first: int, margin: float) -> Tensor:
    """Take the margin off the right pairs of cosines (B, N) whose first row is row `first`."""
    if margin:
        cosines.diagonal(offset=first).sub_(margin)
    return cosines


class _Cosines(torch.autograd.Function):
    """left @ right.T, whose gradient may be computed in half precision."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, dtype: torch.dtype | None) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.dtype = dtype or left.dtype
        return left @ right.T

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        left, right = ctx.saved_tensors
        flow, wanted = gradient.to(ctx.dtype), ctx.needs_input_grad
        to_left = (flow @ right.to(ctx.dtype)).to(left.dtype) if wanted[0] else None
        to_right = (flow.T @ left.to(ctx.dtype)).to(right.dtype) if wanted[1] else None
        return to_left, to_right, None


def _over_temperature(cosines: Tensor, temperature: Tensor | float) -> Tensor:
    """Logits; half precision is enough for cosines, not for what the temperature makes of them."""
    return _at_least_float32(cosines) / temperature


def _summed_losses(
    logits: Tensor, *, first: int, label_smoothing: float, groups: Tensor | None
) -> Tensor:
    """Sum of the rows' cross entropies; logits (B, N), of which the first is row `first`."""
    candidates, right = logits, logits.diagonal(offset=first)
    same = None if groups is None else _repeats(groups, first, first + len(logits))
    if same is not None:
        candidates = logits.masked_fill(same, -torch.inf)
    losses = candidates.logsumexp(dim=1) - (1 - label_smoothing) * right  # (B,)
    if label_smoothing:
        losses = losses - label_smoothing * _mean_where_not(same, logits)
    return losses.sum()


def _over_blocks(
    function: Callable[[int, int], Tensor], num_rows: int, *, block_rows: int | None
) -> Tensor:
    """Sum of `function(first, last)` over blocks of rows, each recomputed in the backward pass."""
    if block_rows is not None and block_rows < 1:
        raise errors.ConfigError(
            f"block_rows is {block_rows}; it is at least 1", hint="None takes all rows at once"
        )
    if block_rows is None or block_rows >= num_rows:
        return function(0, num_rows)
    parts = [
        checkpoint(
            function,
            first,
            min(first + block_rows, num_rows),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for first in range(0, num_rows, block_rows)
    ]
    return torch.stack(parts).sum(dim=0)


def _repeats(groups: Tensor, first: int, last: int) -> Tensor:
    """(B, N): whether a column is another row of the same group."""
    same = groups[first:last, None] == groups[None, :]
    same.diagonal(offset=first).fill_(False)
    return same


def _mean_where_not(masked: Tensor | None, logits: Tensor) -> Tensor:
    """(B,): mean of each row (B, N) over the columns that are not masked.

    Masked ones are left out of the sum: times a weight of zero, their -inf would give NaN.
    """
    if masked is None:
        return logits.mean(dim=1)
    return logits.masked_fill(masked, 0.0).sum(dim=1) / (~masked).sum(dim=1)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _check_pairs(left: Tensor, right: Tensor, *, at_least: int) -> None:
    if left.ndim != 2 or left.shape != right.shape:
        raise errors.VectorError(
            f"the two sides of a contrast have shapes {tuple(left.shape)} and "
            f"{tuple(right.shape)}; both are (rows, width), and alike",
            hint="map both towers to one width with a head",
        )
    if len(left) < at_least:
        raise errors.TrainingError(
            f"a batch of {len(left)}; a contrast needs {at_least} rows or more to choose among",
            hint="take a larger batch, and leave an incomplete last one out (drop_last=True)",
        )


def _check_contrast(
    left: Tensor, right: Tensor, *, temperature: Tensor | float, label_smoothing: float
) -> None:
    _check_pairs(left, right, at_least=2)
    _check_positive("temperature", temperature)
    if not 0 <= label_smoothing < 1:
        raise errors.ConfigError(
            f"label_smoothing is {label_smoothing}; it lies in [0, 1)", hint="the papers use 0.1"
        )


def _check_positive(name: str, value: Tensor | float) -> None:
    """Refuse what is zero or below; a NaN passes: the loop keeps its last good state then."""
    number = float(value.detach()) if isinstance(value, Tensor) else value
    if number <= 0:
        raise errors.ConfigError(
            f"{name} is {number:g}; it is above zero",
            hint="where it learns, learn its logarithm and take the exponential",
        )
