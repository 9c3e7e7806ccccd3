"""Weights that a training ends with: their average, and the best seen on a dev split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from polyglance.training.collectives import first_of
from polyglance.training.weights import ChangingWeights, Weights


class WeightAverage:
    """Exponential average of the weights; does nothing where no decay is asked for.

    By hand: `torch.optim.swa_utils.AveragedModel` copies frozen towers as well, its decay does not
    begin low, and for a head of four tensors its average takes four times this loop.

    Args:
        own: The module's own weights.
        decay: Share of the average that a step keeps, in (0, 1).
    """

    def __init__(self, own: ChangingWeights, decay: float | None) -> None:
        self._own, self._decay, self._num_updates = own, decay, 0
        self._shadow: Weights = copy.deepcopy(own.state_dict()) if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        """Take a step's weights in."""
        if not self._decay:
            return
        self._num_updates += 1
        # Early steps weigh more, or the random start would linger in short runs.
        decay = min(self._decay, (1 + self._num_updates) / (10 + self._num_updates))
        for name, value in self._own.state_dict().items():
            if value.is_floating_point():
                self._shadow[name].lerp_(value, 1 - decay)
            else:
                self._shadow[name].copy_(value)

    def weights(self) -> Weights:
        """The averaged weights, or the module's own: not copies."""
        return self._shadow if self._decay else self._own.state_dict()

    def settle(self) -> None:
        """Put the averaged weights into the module for good."""
        if self._decay:
            self._own.load_state_dict(self._shadow)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block, the module holds the averaged weights."""
        if not self._decay:
            yield
            return
        own = copy.deepcopy(self._own.state_dict())
        self._own.load_state_dict(self._shadow)
        try:
            yield
        finally:
            self._own.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"shadow": self._shadow, "num_updates": self._num_updates}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._num_updates = state["num_updates"]
        for name, value in state["shadow"].items():
            self._shadow[name].copy_(value)


class BestKeeper:
    """Remembers the best weights by dev score; where nothing scores, the last ones are kept.

    Args:
        module: What is trained.
        own: Its weights.
        average: What is validated and kept of them.
        validate: Scores the module, higher is better.
        patience: After so many looks without a better score the training has ended.
    """

    def __init__(
        self,
        module: nn.Module,
        own: ChangingWeights,
        *,
        average: WeightAverage,
        validate: Callable[[], float] | None,
        patience: int | None = None,
    ) -> None:
        self._module, self._own = module, own
        self._average, self._validate = average, validate
        self._patience = patience
        self._best: Weights | None = None
        self._num_looks_since_best = 0
        self.best_step: int | None = None
        self.best_score: float | None = None

    @property
    def out_of_patience(self) -> bool:
        """Whether the dev score has not risen for too long."""
        return self._patience is not None and self._num_looks_since_best >= self._patience

    def look(self, step: int) -> float | None:
        """Validate; keep the weights if they are the best so far.

        A score that is not finite is no score: such weights are not kept.

        Returns:
            The dev score; None where nothing scores.
        """
        if self._validate is None:
            return None
        score = self._score(self._validate)
        is_best = math.isfinite(score) and (self.best_score is None or score > self.best_score)
        self._num_looks_since_best = 0 if is_best else self._num_looks_since_best + 1
        if is_best:
            self.best_step, self.best_score = step, score
            self._best = copy.deepcopy(self._average.weights())
        return score

    def settle(self, step: int) -> None:
        """Put the kept weights into the module, in evaluation mode.

        Args:
            step: The last step whose weights can be kept.
        """
        if self._best is not None:
            self._own.load_state_dict(self._best)
        else:
            self.best_step = step
            self._average.settle()
        self._best = None
        self._module.eval()

    def _score(self, validate: Callable[[], float]) -> float:
        with self._average.in_place(), torch.no_grad():
            self._module.eval()
            score = first_of(float(validate()))
        self._module.train()
        return score

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "best": self._best,
            "best_step": self.best_step,
            "best_score": self.best_score,
            "num_looks_since_best": self._num_looks_since_best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._best = state["best"]
        self.best_step, self.best_score = state["best_step"], state["best_score"]
        self._num_looks_since_best = state["num_looks_since_best"]
