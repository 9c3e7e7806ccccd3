"""Collective decisions of several processes: all act upon what one of them sees."""

from __future__ import annotations

import itertools
import json
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor

from polyglance.training import distributed as processes
from polyglance.training.state_files import Apart, put_together, take_apart


def any_of(*flags: bool) -> tuple[bool, ...]:
    """Of each flag, whether it is set in any process: the same answer in all."""
    if processes.world_size() == 1:
        return flags
    everywhere = processes.gather_rows(_tensor([flags], torch.uint8))  # (W, flags)
    return tuple(everywhere.any(dim=0).tolist())


def first_of(value: float) -> float:
    """The first process's number, in all."""
    if processes.world_size() == 1:
        return value
    return float(processes.gather_rows(_tensor([value], torch.float64))[0])


def states_of_all(state: Any) -> list[Any]:
    """Every process's nested state, in order of ranks.

    Args:
        state: Small; see `state_files.take_apart` for what it may hold.
    """
    if processes.world_size() == 1:
        return [state]
    from safetensors.torch import load, save

    apart = take_apart(state)
    skeletons = _gather_bytes(json.dumps(apart.skeleton).encode())
    tensors = _gather_bytes(save(apart.tensors))
    both = zip(skeletons, tensors, strict=True)
    return [put_together(Apart(json.loads(text), load(data))) for text, data in both]


def _gather_bytes(data: bytes) -> list[bytes]:
    lengths = processes.gather_rows(_tensor([len(data)], torch.int64)).tolist()
    joined = bytes(processes.gather_rows(_tensor(list(data), torch.uint8)).tolist())
    ends = list(itertools.accumulate(lengths))
    return [joined[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _tensor(values: Any, dtype: torch.dtype) -> Tensor:
    """On the CPU, but where someone else connected the processes by nccl alone."""
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    return torch.tensor(values, dtype=dtype, device=device)
