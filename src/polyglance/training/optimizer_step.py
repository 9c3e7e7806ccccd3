"""One optimiser step: precision, and the share of one process among several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.training import distributed, optimizers
from polyglance.training.collectives import any_of
from polyglance.training.config import Precision, TrainConfig

# Below this scale of the loss, gradients that still overflow in half precision do not overflow
# for being scaled.
LEAST_SCALE = 1.0


class Descent:
    """Takes the optimiser's steps.

    With one process in full precision accelerate is not even imported; it brings the casts, the
    scaling of float16 losses, and the launcher (`accelerate launch`) for the rest.

    Args:
        module: What learns; it stays on its device.
        config: Names optimiser, rates, precision and clipping.

    Attributes:
        rate: Learning rate of the last step, rate factors aside.
    """

    def __init__(self, module: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self._optimizer = optimizers.build(module, config)
        self._module = module
        self.rate = 0.0
        self._accelerator = _accelerator(config.precision, device=_device(module))
        self._stepper = self._optimizer
        if self._accelerator is not None:
            self._stepper = self._accelerator.prepare_optimizer(
                self._optimizer, device_placement=False
            )

    def casts(self) -> AbstractContextManager[None]:
        """Within this context products are computed in the precision asked for."""
        if self._accelerator is None:
            return nullcontext()
        casting: AbstractContextManager[None] = self._accelerator.autocast()
        return casting

    def forget(self) -> None:
        """Drop the last step's gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def take(self, total: Tensor, *, step: int) -> bool:
        """Go down the gradient of a loss, averaged over the processes.

        Args:
            total: The loss, a scalar.
            step: Its number, from 1.

        Returns:
            Whether loss and gradient are finite; the weights are left alone where they are not.

        Raises:
            TrainingError: For a loss that no parameter has a part in.
        """
        if not total.requires_grad:
            raise errors.TrainingError(
                "the loss depends on no parameter that learns",
                hint='compute terms["total"] from the module, with gradient on',
            )
        if self._accelerator is None:
            total.backward()  # type: ignore[no-untyped-call]
        else:
            self._accelerator.backward(total)
        if distributed.world_size() > 1:
            distributed.average_gradients(self._module)
        if self._scaler is not None:
            self._accelerator.unscale_gradients()
        # Both at once, and looked at in Python: a GPU is waited for once, and on a CPU it takes
        # 0.2 us where torch.isfinite takes 16.
        (is_bad,) = any_of(not isfinite(float(self._clip() + total.detach())))
        if is_bad and not self._will_rescale(total):
            return False
        factor = optimizers.rate_at(step - 1, self._config)
        optimizers.set_rates(self._optimizer, factor)
        self.rate = factor * self._config.learning_rate
        self._stepper.step()
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        scaler = self._scaler.state_dict() if self._scaler is not None else None
        return {"optimizer": self._optimizer.state_dict(), "scaler": scaler}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])

    @property
    def _scaler(self) -> Any:
        return self._accelerator.scaler if self._accelerator is not None else None

    def _clip(self) -> Tensor:
        """Clip the gradients where that is asked for; their norm before it."""
        if self._config.clip_norm is not None:
            return nn.utils.clip_grad_norm_(self._module.parameters(), self._config.clip_norm)
        return nn.utils.get_total_norm(list(_gradients(self._module)))

    def _will_rescale(self, total: Tensor) -> bool:
        """Whether the scaler skips this step, and tries the next with a smaller scale."""
        if self._scaler is None or self._scaler.get_scale() < LEAST_SCALE:
            return False
        (is_bad,) = any_of(not isfinite(float(total.detach())))
        return not is_bad


def _gradients(module: nn.Module) -> Iterator[Tensor]:
    return (each.grad for each in module.parameters() if each.grad is not None)


def _device(module: nn.Module) -> torch.device:
    return next(each.device for each in module.parameters() if each.requires_grad)


def _accelerator(precision: Precision, *, device: torch.device) -> Any:
    """An `Accelerator` of accelerate for this precision on this device; None for full precision."""
    if precision == "no":
        return None
    if precision == "fp16" and device.type == "cpu":
        raise errors.ConfigError(
            "precision fp16 on the CPU; fp16 needs a GPU",
            hint='set precision="bf16", which works on both',
        )
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # accelerate keeps one precision and one device for the whole life of a program. Here several
    # trainings follow each other, so an earlier one's is forgotten; there is no public way.
    known = AcceleratorState._shared_state
    if known and (known["_mixed_precision"], known["device"].type) != (precision, device.type):
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=precision, cpu=device.type == "cpu")
