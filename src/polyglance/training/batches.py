"""Batches of an epoch: in order, dealt out to processes, found again after a stop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from polyglance import errors
from polyglance.training import distributed
from polyglance.training.random_states import RandomStates

Batches = Callable[[int], Iterable[Any]]


def shuffled_batches(
    num_rows: int, *, batch_size: int, seed: int, drop_last: bool = False
) -> Callable[[int], Iterable[Tensor]]:
    """Batches of row numbers, in another order each epoch, the same for the same seed.

    Args:
        num_rows: Rows of the data.
        batch_size: Rows of a batch.
        seed: Fixes every epoch's order.
        drop_last: Leaves out a last batch that is not full.
    """

    def epoch_batches(epoch: int) -> Iterable[Tensor]:
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        order = torch.randperm(num_rows, generator=generator)
        end = num_rows - num_rows % batch_size if drop_last and num_rows >= batch_size else num_rows
        for start in range(0, end, batch_size):
            yield order[start : min(start + batch_size, end)]

    return epoch_batches


def dealt_batches(batches: Batches) -> Batches:
    """Batches dealt out to the processes in turn: each takes every W-th of W processes.

    So W processes with batches of B rows do, in the loss's mean, what one does with batches of
    W B. The last round of an epoch is left out where it does not serve them all. Not for a step
    that shares its batch out by `distributed.own_rows`: there everyone needs the same batch.

    Args:
        batches: Epoch number to its batches, the same in every process.
    """

    def epoch_batches(epoch: int) -> Iterable[Any]:
        iterator = iter(batches(epoch))
        while len(dealt := list(itertools.islice(iterator, distributed.world_size()))) == (
            distributed.world_size()
        ):
            yield dealt[distributed.rank()]

    return epoch_batches


class BatchWalk:
    """Walks through batches, epoch after epoch; its position can be saved and restored.

    To restore its position, a walk asks for the epoch's batches again and throws away those that
    were used. Batches may draw from torch's global generator: its state at each draw is
    remembered, since the training steps between them draw from it, too.

    Args:
        batches: Epoch number to its batches.
        remembers: Whether the walk is to be saved.
    """

    def __init__(self, batches: Batches, *, remembers: bool) -> None:
        self._batches, self._remembers = batches, remembers
        self._random = RandomStates()
        self._epoch, self._num_given = -1, 0
        self._iterator: Iterator[Any] = iter(())
        self._random_at_start: dict[str, Any] | None = None
        self._random_at: dict[int, Tensor] = {}

    def next(self) -> Any:
        """The next batch, of the next epoch where this one is used up.

        Raises:
            TrainingError: For an epoch without batches.
        """
        if self._epoch < 0:
            self._begin_epoch(0)
        while True:
            before = torch.get_rng_state() if self._remembers else None
            for batch in self._iterator:
                if before is not None and not torch.equal(before, torch.get_rng_state()):
                    self._random_at[self._num_given] = before
                self._num_given += 1
                return batch
            if not self._num_given:
                raise errors.TrainingError(
                    f"epoch {self._epoch} had no batch; training needs at least one an epoch",
                    hint="give more rows, or a smaller batch size",
                )
            self._begin_epoch(self._epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """The position of the walk."""
        return {
            "epoch": self._epoch,
            "num_given": self._num_given,
            "random_at_start": self._random_at_start,
            "random_at": dict(self._random_at),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this position; leaves the global generators in any state."""
        self._random.load_state_dict(state["random_at_start"])
        self._begin_epoch(state["epoch"])
        self._random_at = state["random_at"]
        for number in range(state["num_given"]):
            if number in self._random_at:
                torch.set_rng_state(self._random_at[number])
            if next(self._iterator, self._iterator) is self._iterator:
                raise errors.TrainingError(
                    f"epoch {self._epoch} has {number} batches; when this run was stopped it had "
                    f"given {state['num_given']}",
                    hint="go on with the data it was begun with, or begin another run",
                )
        self._num_given = state["num_given"]

    def _begin_epoch(self, epoch: int) -> None:
        self._epoch, self._num_given = epoch, 0
        self._random_at = {}
        self._random_at_start = self._random.state_dict() if self._remembers else None
        self._iterator = iter(self._batches(epoch))
