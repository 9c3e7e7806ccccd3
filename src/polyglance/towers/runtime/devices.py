"""The device that a process computes on: the one an option names, else an accelerator of its own.

Processes that a launcher (`torchrun`, `accelerate launch`) starts on one machine each take another
accelerator. Nothing else in the package chooses a device.
"""

from __future__ import annotations

import torch

from polyglance import errors
from polyglance.storage import launched


def device_of(option: str | None) -> torch.device:
    """The device an option names; without one this process's accelerator, else the CPU.

    Args:
        option: As torch writes it, `cpu` or `cuda:1`; `cuda` is this process's own.

    Raises:
        ConfigError: For what is no device, or is not there.

    >>> device_of("cpu")
    device(type='cpu')
    """
    if option is None:
        return own_accelerator() or torch.device("cpu")
    try:
        device = torch.device(option)
    except RuntimeError as error:
        raise errors.ConfigError(
            f"device={option} is no device; cpu, cuda and cuda:1 are some",
            hint="leave the option out: an accelerator is taken where there is one",
        ) from error
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise errors.ConfigError(
            f"device={option}, and this process sees {count} such accelerators, counted from 0",
            hint="name one that is there, or leave the option out",
        )
    return device if device.index is not None else own_accelerator() or device


def own_accelerator() -> torch.device | None:
    """The accelerator of this process, one each; None where there is none.

    Raises:
        ConfigError: More processes were started on this machine than it has accelerators.
    """
    if not torch.cuda.is_available():
        return None
    count, rank = torch.cuda.device_count(), _local_rank()
    if rank is None:
        return torch.device("cuda")
    if count == 1:  # its launcher showed it one alone; nccl refuses one that two share
        return torch.device("cuda", 0)
    if rank >= count:
        raise errors.ConfigError(
            f"process {rank} of this machine, counted from 0, has no accelerator: there are "
            f"{count}, one a process",
            hint=f"start as many processes or fewer: torchrun --nproc-per-node {count}",
        )
    return torch.device("cuda", rank)


def _local_rank() -> int | None:
    """Which process of this machine this one is; None where it was started by itself."""
    if launched.local_rank() is None and launched.num_processes() > 1:
        # Started by hand: ranks are consecutive on a machine, and machines are alike.
        return launched.rank() % torch.cuda.device_count()
    return launched.local_rank()
