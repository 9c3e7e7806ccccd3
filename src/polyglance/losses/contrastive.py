"""Contrasts of each row against its batch, of which the losses of the papers are made.

They can go through the logits a block of rows at a time, so that a large batch costs no (N, N)
matrix.

Legend: N rows of a batch, B rows of a block, D width. "Unit" says that rows must have length one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from polyglance import errors


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
    """Cross entropy of finding each row's own partner among the whole batch, in both directions.

    With c_ij the cosine of query i and key j, m the margin and s the temperature:
    l(q, k) = -(1/N) sum_i log softmax_j((c_ij - m [i = j]) / s).

    Args:
        left: (N, D), unit; two rows or more.
        right: (N, D), unit; row i belongs to row i of `left`.
        temperature: s, above zero; may be a tensor that learns.
        margin: m, taken off the cosine of the right pair: it has to win by that much.
        label_smoothing: Share of the target, in [0, 1), that is spread evenly over all candidates
            of a row which are not masked, the right one among them.
        groups: (N,) integers; rows of one group are the same thing said twice, so they are taken
            out of each other's candidates. None where all rows differ.
        block_rows: Rows of logits held at a time, recomputed in the backward pass, so that no
            (N, N) matrix ever is; same value, same gradient. None takes all rows at once: one
            matrix serves both ways, which for heads on cached vectors halves the loss's time.
        gradient_dtype: In which the backward products are computed, where all rows go at once;
            None keeps that of the vectors. Cosines are never rounded, only their gradients.

    Returns:
        Two scalars: l(left, right) and l(right, left).

    Raises:
        TrainingError: For fewer than two rows, among which there is nothing to choose.
        VectorError: Where the two sides differ in shape.
        ConfigError: For a temperature, smoothing or block out of its range.

    Source: InfoNCE; ETCL, equation 1, with the logarithm and the temperature that it lacks; margin
    of Yang et al. 2019.

    >>> both_ways(torch.eye(2), torch.eye(2), temperature=0.5)
    (tensor(0.1269), tensor(0.1269))
    """
    check_pairs(left, right, at_least=2)
    check_positive("temperature", temperature)
    if not 0 <= label_smoothing < 1:
        raise errors.ConfigError(
            f"label_smoothing is {label_smoothing}; it lies in [0, 1)", hint="the papers use 0.1"
        )
    losses = functools.partial(_summed_losses, label_smoothing=label_smoothing, groups=groups)

    def logits_of(cosines: Tensor, *, first: int) -> Tensor:
        if margin:
            cosines.diagonal(offset=first).sub_(margin)
        # Half precision is enough for cosines, not for what the temperature makes of them.
        return at_least_float32(cosines) / temperature

    def way(queries: Tensor, keys: Tensor) -> Tensor:
        def summed(first: int, last: int) -> Tensor:
            logits = logits_of(queries[first:last] @ keys.T, first=first)  # (B, N)
            return losses(logits, first=first)

        return over_blocks(summed, len(queries), block_rows=block_rows) / len(queries)

    if block_rows is not None and block_rows < len(left):
        return way(left, right), way(right, left)
    cosines: Tensor = _Cosines.apply(left, right, gradient_dtype)  # type: ignore[no-untyped-call]
    logits = logits_of(cosines, first=0)
    return losses(logits, first=0) / len(left), losses(logits.T, first=0) / len(left)


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


def over_blocks(
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


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision widened; the rest as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def check_pairs(left: Tensor, right: Tensor, *, at_least: int) -> None:
    """Refuse two sides of other shapes than (N, D), and too few rows."""
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


def check_positive(name: str, value: Tensor | float) -> None:
    """Refuse what is zero or below; a NaN passes: the loop keeps its last good state then."""
    number = float(value.detach()) if isinstance(value, Tensor) else value
    if number <= 0:
        raise errors.ConfigError(
            f"{name} is {number:g}; it is above zero",
            hint="where it learns, learn its logarithm and take the exponential",
        )
