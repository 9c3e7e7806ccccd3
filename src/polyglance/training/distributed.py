"""Data-parallel training: rows gathered with gradient, gradients averaged.

Every process holds the same weights and sees the same batches; each encodes its own share of a
batch (`own_rows`), all get all vectors (`gather_rows`), and all compute the same full loss.
After the backward pass `average_gradients` leaves the same gradients everywhere: those that one
process would have found on the whole batch. With one process every function here does nothing.

Why that is exact. Let W processes compute the loss L from all gathered rows E. The gradient of
`gather_rows` sums what all processes send to a row: that is W dL/dE, as all sent the same. A
process pushes its own rows' share through its tower; the mean over processes of those shares is
(1/W) sum_r (W dL/dE_r) dE_r/dw = dL/dw. A parameter that the loss uses by itself (a temperature)
has dL/dw in every process, and the mean leaves it so. The sum in the backward pass, where W times
the own share would do for equal losses, also makes a loss right that processes split by rows, if
the mean over them is what is meant.

Legend: W processes, N rows of one process, D width.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from polyglance import errors
from polyglance.storage import launched
from polyglance.towers.runtime import devices

# Gradients travel together in pieces of this many numbers: few messages, little extra memory.
BUCKET_ENTRIES = 2**24


def world_size() -> int:
    """W, how many processes train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if _together() else 0


@contextlib.contextmanager
def connected(*, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Join the processes that `torchrun` or `accelerate launch` started, until the block ends.

    Does nothing where this is the only one, or where they are connected already. Each takes an
    accelerator of its own; what lies on the CPU (small heads, flags) is exchanged there.

    Args:
        timeout_seconds: How long one waits for the others in any exchange before it gives up.

    Raises:
        TrainingError: Where the others do not come.
        ConfigError: There are fewer accelerators than processes on this machine.
    """
    if _together() or launched.num_processes() == 1:
        yield
        return
    accelerator = devices.own_accelerator()
    if accelerator is not None:
        torch.cuda.set_device(accelerator)
    with _others_answer():
        distributed.init_process_group(
            "gloo" if accelerator is None else "cpu:gloo,cuda:nccl",
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def own_rows(batch: Tensor) -> Tensor:
    """This process's consecutive share of the rows of a batch that all processes hold.

    The shares differ by one row at most, and `gather_rows` puts them together in this order.

    Args:
        batch: (M, ...), the same everywhere.
    """
    return torch.tensor_split(batch, world_size())[rank()]


def gather_rows(tensor: Tensor) -> Tensor:
    """The rows of all processes, in order of their ranks, with gradient to those of this one.

    Args:
        tensor: (N, ...); N may differ between processes, the other sizes and the type may not.

    Returns:
        (sum of all N, ...); `tensor` itself where there is one process.

    Raises:
        TrainingError: Where another process is gone, here or in the backward pass.
    """
    if world_size() == 1:
        return tensor
    gathered: Tensor = _GatherRows.apply(tensor)  # type: ignore[no-untyped-call]
    return gathered


def share_weights(module: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if world_size() == 1:
        return
    with _others_answer(), torch.no_grad():
        for value in module.state_dict().values():
            distributed.broadcast(value, src=0)


def average_gradients(module: nn.Module) -> None:
    """Replace each gradient by its mean over all processes; call it after the backward pass.

    A parameter without gradient in one process counts as zero there; one that has none in any
    keeps none, so that an optimiser leaves it alone, as it would with one process.

    Args:
        module: The same everywhere, with gradients left by the backward pass.

    Raises:
        TrainingError: Where another process is gone.
    """
    learning = [each for each in module.parameters() if each.requires_grad]
    if world_size() == 1 or not learning:
        return
    with _others_answer():
        used = torch.tensor([each.grad is not None for each in learning], dtype=torch.int32)
        used = used.to(learning[0].device)
        distributed.all_reduce(used, op=distributed.ReduceOp.MAX)
        chosen = [each for each, is_used in zip(learning, used.tolist(), strict=True) if is_used]
        for bucket in _buckets(chosen):
            _average_bucket(bucket)


class _GatherRows(torch.autograd.Function):
    """All processes' rows; backwards, the sum over processes of what reached this one's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        with _others_answer():
            counts = torch.zeros(world_size(), dtype=torch.int64, device=tensor.device)
            counts[rank()] = len(tensor)
            distributed.all_reduce(counts)
            num_rows: list[int] = counts.tolist()
            # Every process sends as many rows as the largest has; what is beyond is cut off.
            padded = tensor.new_zeros((max(num_rows), *tensor.shape[1:]))
            padded[: len(tensor)] = tensor
            received = [torch.empty_like(padded) for _ in num_rows]
            distributed.all_gather(received, padded)
        first = sum(num_rows[: rank()])
        ctx.own = slice(first, first + len(tensor))
        return torch.cat([rows[:n] for rows, n in zip(received, num_rows, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        with _others_answer():
            distributed.all_reduce(total)
        return total[ctx.own]


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Neighbours of one type and device, together up to `BUCKET_ENTRIES` numbers."""
    bucket: list[nn.Parameter] = []
    for each in parameters:
        alike = bucket and (each.dtype, each.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and not (alike and sum(p.numel() for p in bucket) < BUCKET_ENTRIES):
            yield bucket
            bucket = []
        bucket.append(each)
    if bucket:
        yield bucket


def _average_bucket(bucket: Sequence[nn.Parameter]) -> None:
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
    flat = torch.cat([each.reshape(-1) for each in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    means = torch.split(flat, [each.numel() for each in bucket])
    for each, mean in zip(bucket, means, strict=True):
        each.grad = mean.view_as(each)


@contextlib.contextmanager
def _others_answer() -> Iterator[None]:
    """Say what it means where an exchange breaks off or runs out of time."""
    try:
        yield
    except RuntimeError as error:
        reason = errors.first_line(error)
        raise errors.TrainingError(
            f"process {launched.rank()} of {launched.num_processes()}: "
            f"another process is gone or did not answer in time ({reason})",
            hint="see why in its output, then start all of them again: a run with checkpoints "
            "goes on from the last one",
        ) from error


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
