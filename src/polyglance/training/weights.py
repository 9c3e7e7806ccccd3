"""The tensors of a module that training changes: all but frozen parameters.

Only these are averaged, kept and saved: a large tower with a small adapter has small checkpoints.
The frozen rest is there again when a run is resumed, and is checked to be the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polyglance import errors

Weights = dict[str, Tensor]


class ChangingWeights:
    """A module's parameters that learn, and its buffers, by name.

    Args:
        module: What is trained; which parameters are frozen is looked up once, here.
    """

    def __init__(self, module: nn.Module) -> None:
        named = module.named_parameters(remove_duplicate=False)
        frozen = {name for name, each in named if not each.requires_grad}
        self._tensors = {
            name: value
            for name, value in module.state_dict().items()
            if name not in frozen and isinstance(value, Tensor)
        }

    def state_dict(self) -> Weights:
        """The tensors themselves, not copies: they change as the module learns."""
        return self._tensors

    @torch.no_grad()
    def load_state_dict(self, weights: Weights) -> None:
        """Copy values into the module.

        Raises:
            TrainingError: For weights of other names or shapes.
        """
        for name in [*self._tensors, *weights]:
            mine, given = self._tensors.get(name), weights.get(name)
            if mine is None or given is None or mine.shape != given.shape:
                raise errors.TrainingError(
                    f"the weights {name} are {_shape(given)} there and {_shape(mine)} here",
                    hint="go on with the module that the run was begun with",
                )
            mine.copy_(given)


def _shape(weights: Tensor | None) -> str:
    return "absent" if weights is None else str(tuple(weights.shape))
