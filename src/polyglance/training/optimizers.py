"""Optimisers in one table, their groups of parameters, and learning rates."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.training.config import TrainConfig

Group = dict[str, Any]
Betas = tuple[float, float]


def build(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of a module's trainable parameters.

    Args:
        module: What learns; parameters that need no gradient are left out.
        config: Names the optimiser, its rates and decay.

    Raises:
        UnknownNameError: For an optimiser that the table does not hold.
        MissingExtraError: Where its package is not installed.
        TrainingError: Where nothing is to be trained, or in half precision.
    """
    if config.optimizer not in OPTIMIZERS:
        raise errors.unknown_name("optimizer", config.optimizer, allowed=OPTIMIZERS)
    row = OPTIMIZERS[config.optimizer]
    return row.build(_groups(module, config), config.betas or row.usual_betas)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to its peak times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_rate"] * factor


def rate_at(step: int, config: TrainConfig) -> float:
    """Factor on the peak rate after `step` steps: the warm-up, then the schedule.

    >>> config = TrainConfig(num_steps=10, learning_rate=1.0, num_warmup_steps=2)
    >>> [rate_at(step, config) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    num_warmup_steps = config.num_warmup_steps or round(config.warmup_share * config.num_steps)
    if step < num_warmup_steps:
        return (step + 1) / num_warmup_steps
    done = (step - num_warmup_steps) / max(1, config.num_steps - num_warmup_steps)
    if config.schedule == "linear":
        return max(0.0, 1 - done)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return 1.0


class Lamb(torch.optim.Optimizer):
    """Adam whose step in each matrix is as long as that matrix, times the rate.

    Vectors (biases, norms) take Adam's step as it is, as in the authors' code: one that starts at
    zero would have no length to go by.

    Args:
        groups: Parameters with `lr` and `weight_decay`.
        betas: Decays of the averages of gradients and of their squares.
        epsilon: Added to the root of the second.

    Source: You et al. 2020, Large Batch Optimization for Deep Learning, algorithm 2, with the
    identity for its phi. ETCL pre-trains with it.
    """

    def __init__(self, groups: list[Group], *, betas: Betas, epsilon: float = 1e-6) -> None:
        super().__init__(groups, {"betas": betas, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the weights by their gradients; torch requires `closure`."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = _adam_update(parameter.grad, self.state[parameter], group)
                    update.add_(parameter, alpha=group["weight_decay"])
                    if parameter.ndim > 1:
                        update.mul_(_trust_ratio(parameter, update))
                    parameter.sub_(update, alpha=group["lr"])


def _adam_update(gradient: Tensor, state: dict[str, Any], group: Group) -> Tensor:
    """Adam's direction, with both averages corrected for their start at zero."""
    if not state:
        state |= {"step": 0, "mean": torch.zeros_like(gradient)}
        state["square"] = torch.zeros_like(gradient)
    state["step"] += 1
    first, second = group["betas"]
    mean = state["mean"].lerp_(gradient, 1 - first)
    square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    root = (square / (1 - second ** state["step"])).sqrt_().add_(group["epsilon"])
    update: Tensor = mean / (1 - first ** state["step"]) / root
    return update


def _trust_ratio(parameter: Tensor, update: Tensor) -> Tensor:
    """Length of the weights over that of the update; 1 where either is zero."""
    length, step_length = parameter.norm(), update.norm()
    usable = (length > 0) & (step_length > 0)
    return torch.where(usable, length / step_length, torch.ones_like(length))


@dataclass(frozen=True)
class OptimizerRow:
    """How an optimiser is built from groups and betas, and with which betas it is usually run."""

    build: Callable[[list[Group], Betas], torch.optim.Optimizer]
    usual_betas: Betas


def _adamw(groups: list[Group], betas: Betas) -> torch.optim.Optimizer:
    # One fused kernel for all tensors: a third faster than the default on CPU for small heads.
    return torch.optim.AdamW(groups, betas=betas, fused=True)


def _lion(groups: list[Group], betas: Betas) -> torch.optim.Optimizer:
    lion: torch.optim.Optimizer = _bitsandbytes().optim.Lion(groups, betas=betas)
    return lion


def _lion8bit(groups: list[Group], betas: Betas) -> torch.optim.Optimizer:
    # Tensors of fewer than 4,096 numbers keep 32 bits: there is nothing to save.
    lion: torch.optim.Optimizer = _bitsandbytes().optim.Lion8bit(groups, betas=betas)
    return lion


def _bitsandbytes() -> Any:
    # On import it warns of 4-bit products that it cannot do without a package that is not needed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        import bitsandbytes
    except ImportError as error:
        raise errors.missing_extra("the optimizers lion and lion8bit", extra="lion8bit") from error
    return bitsandbytes


OPTIMIZERS: Mapping[str, OptimizerRow] = MappingProxyType(
    {
        "adamw": OptimizerRow(_adamw, (0.9, 0.999)),
        # Lion wants about a tenth of AdamW's rate and ten times its decay (Chen et al. 2023).
        "lion": OptimizerRow(_lion, (0.9, 0.99)),
        "lion8bit": OptimizerRow(_lion8bit, (0.9, 0.99)),
        "lamb": OptimizerRow(lambda groups, betas: Lamb(groups, betas=betas), (0.9, 0.999)),
    }
)


def _groups(module: nn.Module, config: TrainConfig) -> list[Group]:
    """Parameters of equal rate and decay together."""
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            if parameter.dtype in (torch.float16, torch.bfloat16):
                raise errors.TrainingError(
                    f"{name} is in {parameter.dtype}; weights that learn must be float32, since "
                    "small updates would be rounded away",
                    hint='call module.float() first, and set precision="bf16" for speed',
                )
            factor = next((f for p, f in config.rate_factors.items() if name.startswith(p)), 1.0)
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            members.setdefault((config.learning_rate * factor, decay), []).append(parameter)
    if not members:
        raise errors.TrainingError("no parameter to train", hint="unfreeze a head or a tower")
    return [
        {"params": parameters, "lr": rate, "peak_rate": rate, "weight_decay": decay}
        for (rate, decay), parameters in members.items()
    ]
