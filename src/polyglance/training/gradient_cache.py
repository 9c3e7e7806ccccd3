"""Gradient caching: a large batch in the memory of a small one, each chunk encoded twice.

A contrast needs all vectors of a batch at once, but the activations behind them only one chunk at
a time: encode without gradient, chunk by chunk; take the loss and its gradient at the vectors;
encode each chunk again, now with gradient, and push its vectors' gradient through. The result is
the gradient of the whole batch, exactly, for one more forward pass. A step of `loop.fit` asks for
its vectors here and changes nothing else: the second pass runs inside the loop's own `backward`::

    def step(rows):
        images = encode_in_chunks(
            lambda at: head(features[rows[at]]), num_rows=len(rows), chunk_rows=256
        )
        texts = encode_in_chunks(
            lambda at: tower.forward(prepared, rows[at]), num_rows=len(rows), chunk_rows=256
        )
        return clip.contrastive(images, texts, temperature=..., block_rows=256)

Legend: N rows of a batch, C rows of a chunk, D width.

Source: Gao, Zhang, Han and Callan 2021, "Scaling deep contrastive learning batch size under
memory limited setup".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyglance import errors

Forward = Callable[[Tensor], Tensor]

# How far the second pass may be from the first, in units of the type's precision at the largest
# number: equal on a CPU, while sums of some GPU kernels come in any order.
ROUNDING_UNITS = 16


def encode_in_chunks(forward: Forward, *, num_rows: int, chunk_rows: int | None) -> Tensor:
    """Vectors of a batch that keep no activations, only how to compute them again.

    Several views of a batch (images, texts in two languages) are several calls, and may share a
    module. Gradients go where they always do: `backward()` on what is computed from the vectors
    adds them to the parameters' `grad`. (`torch.autograd.grad` cannot see through to parameters.)

    Args:
        forward: Positions (C,) in the batch to vectors (C, D), with gradient. It must depend on
            them and on torch's random state alone, and each row on itself alone: dropout is
            replayed, but batch normalisation in training mode sees a chunk, not the batch.
        num_rows: N.
        chunk_rows: C, rows whose activations are held at a time; None, or N and more, encodes all
            at once, in one pass with an ordinary graph.

    Returns:
        (N, D).

    Raises:
        ConfigError: For a chunk of no rows.
        TrainingError: For a batch of none, or where the second pass gives other vectors.
    """
    if num_rows < 1:
        raise errors.TrainingError("a batch of no rows", hint="leave empty batches out")
    if chunk_rows is not None and chunk_rows < 1:
        raise errors.ConfigError(
            f"chunk_rows is {chunk_rows}; it is at least 1", hint="None encodes all rows at once"
        )
    if chunk_rows is None or chunk_rows >= num_rows:
        return _encode(forward, torch.arange(num_rows))
    # Autograd calls the backward pass of a function only where an input wants a gradient.
    anchor = torch.zeros((), requires_grad=True)
    vectors: Tensor = _InChunks.apply(  # type: ignore[no-untyped-call]
        anchor, forward, torch.split(torch.arange(num_rows), chunk_rows)
    )
    return vectors


class _InChunks(torch.autograd.Function):
    """Chunks encoded without gradient; backwards, each encoded again with it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, forward: Forward, chunks: tuple[Tensor, ...]) -> Tensor:
        del anchor
        ctx.encode, ctx.chunks, ctx.surroundings = forward, chunks, []
        parts = []
        for positions in chunks:
            ctx.surroundings.append(_Surroundings.now())
            with ctx.surroundings[-1].autocast_again():
                parts.append(_encode(forward, positions))
        vectors = torch.cat(parts)
        ctx.save_for_backward(vectors)
        return vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        (vectors,) = ctx.saved_tensors
        afterwards = _Surroundings.now()
        try:
            for positions, before in zip(ctx.chunks, ctx.surroundings, strict=True):
                before.random_again()
                with before.autocast_again(), torch.enable_grad():
                    again = _encode(ctx.encode, positions)
                _refuse_other(again.detach(), vectors[positions])
                if not again.requires_grad:
                    break  # nothing behind these vectors learns
                torch.autograd.backward(again, gradients[0][positions])
        finally:
            afterwards.random_again()
        return None, None, None


@dataclass(frozen=True, kw_only=True)
class _Surroundings:
    """What a forward pass depends on beside its input: random states, and autocast by device."""

    random: Tensor
    device_random: Tensor | None
    autocast: tuple[tuple[str, torch.dtype, bool], ...]

    @classmethod
    def now(cls) -> _Surroundings:
        device = _accelerator()
        types = ["cpu"] if device is None else ["cpu", device]
        return cls(
            random=torch.get_rng_state(),
            device_random=None
            if device is None
            else torch.get_device_module(device).get_rng_state(),
            autocast=tuple(
                (each, torch.get_autocast_dtype(each), torch.is_autocast_enabled(each))
                for each in types
            ),
        )

    def random_again(self) -> None:
        """Put the random states back."""
        torch.set_rng_state(self.random)
        if self.device_random is not None:
            torch.get_device_module(_accelerator()).set_rng_state(self.device_random)

    @contextlib.contextmanager
    def autocast_again(self) -> Iterator[None]:
        """Autocast as it was, for the backward pass stands outside of the step's.

        Its cache of converted weights stays out: filled in the pass without gradient, it would
        cut the gradient of whatever uses the same weights later in the step.
        """
        with contextlib.ExitStack() as stack:
            for device, dtype, enabled in self.autocast:
                stack.enter_context(
                    torch.autocast(device, dtype=dtype, enabled=enabled, cache_enabled=False)
                )
            yield


def _accelerator() -> str | None:
    """Type of the device beside the CPU, where there is one."""
    if not torch.accelerator.is_available():
        return None
    device = torch.accelerator.current_accelerator()
    return None if device is None else device.type


def _encode(forward: Forward, positions: Tensor) -> Tensor:
    """Vectors of these positions, one each."""
    vectors = forward(positions)
    if len(vectors) != len(positions):
        raise errors.TrainingError(
            f"a forward pass gave {len(vectors)} vectors for {len(positions)} rows",
            hint="it has to give one vector for each position that it is called with",
        )
    return vectors


def _refuse_other(again: Tensor, before: Tensor) -> None:
    """The gradient is that of the second pass: it must repeat the first one."""
    furthest = float((again - before).abs().max())
    allowed = ROUNDING_UNITS * torch.finfo(before.dtype).eps * float(before.abs().max())
    if furthest > allowed:
        raise errors.TrainingError(
            f"the second pass over a chunk gave other vectors than the first, by {furthest:.3g}",
            hint="the forward pass may depend on its rows and on torch's random state alone: no "
            "other randomness, nothing that it changes itself",
        )
