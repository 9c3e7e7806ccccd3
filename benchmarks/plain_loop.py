"""The published M2M training loop, plainly: what `ridge` and `m2m` are measured against.

Two linear layers, AdamW 3e-4 with decay 0.01, 50 warm-up steps and linear decay, batches of 64 from
a shuffling DataLoader, 50 epochs, lambda 48 and beta 1 (M2M, section 4). Written from the paper.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from polyglance.vectors import Vectors, unit

EPOCHS, BATCH_SIZE, LEARNING_RATE, WARMUP_STEPS = 50, 64, 3e-4, 50
ALIGNMENT_WEIGHT, STRUCTURE_WEIGHT = 48.0, 1.0


def structured_pairs(num_rows: int, width: int, *, seed: int) -> tuple[Vectors, Vectors]:
    """Unit vectors of two made-up towers that see the same `width // 4` causes, with noise.

    Args:
        num_rows: N.
        width: D of both towers.
        seed: Fixes everything.
    """
    rng = np.random.default_rng(seed)
    causes = width // 4
    scale = (1 / np.sqrt(1 + np.arange(causes))).astype(np.float32)
    mixes = [rng.standard_normal((causes, width), dtype=np.float32) for _ in range(2)]
    sides = [np.empty((num_rows, width), np.float32) for _ in range(2)]
    for start in range(0, num_rows, 10_000):
        rows = slice(start, min(start + 10_000, num_rows))
        latent = rng.standard_normal((rows.stop - start, causes), dtype=np.float32) * scale
        for side, mix in zip(sides, mixes, strict=True):
            noise = rng.standard_normal((len(latent), width), dtype=np.float32)
            side[rows] = unit(latent @ mix + 0.3 * noise)
    return sides[0], sides[1]


class PlainLoop:
    """The loop, which can be run for some steps, or to its end.

    Args:
        x: Float32 (N, D_in), the multilingual tower's vectors.
        y: Float32 (N, D), unit, the teacher's.
        epochs: As published unless said otherwise.
    """

    def __init__(self, x: Vectors, y: Vectors, *, epochs: int = EPOCHS) -> None:
        torch.manual_seed(0)
        self.head = nn.Sequential(
            nn.Linear(x.shape[1], y.shape[1]), nn.Linear(y.shape[1], y.shape[1])
        )
        pairs = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        self.loader = DataLoader(pairs, batch_size=BATCH_SIZE, shuffle=True)
        self.num_steps = epochs * len(self.loader)
        self.epochs = epochs
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=LEARNING_RATE, weight_decay=0.01
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def _rate(self, step: int) -> float:
        if step < WARMUP_STEPS:
            return step / WARMUP_STEPS
        return max(0.0, (self.num_steps - step) / max(1, self.num_steps - WARMUP_STEPS))

    def run(
        self, *, num_steps: int | None = None, after_epoch: Callable[[int], None] | None = None
    ) -> float:
        """Train for some steps, or for all epochs.

        Args:
            num_steps: How many; None runs to the end.
            after_epoch: Called with the number of epochs done; its time is not counted.

        Returns:
            Seconds of training.
        """
        seconds, started = 0.0, time.perf_counter()
        steps = itertools.count(1)
        for epoch in range(self.epochs):
            for x, y in self.loader:
                self._step(x, y)
                if next(steps) == num_steps:
                    return seconds + time.perf_counter() - started
            if after_epoch is not None:
                seconds += time.perf_counter() - started
                after_epoch(epoch + 1)
                started = time.perf_counter()
        return seconds + time.perf_counter() - started

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        mapped = functional.normalize(self.head(x), dim=1)
        align = functional.mse_loss(mapped, y)
        upper = torch.triu_indices(len(x), len(x), offset=1)
        found = (mapped @ mapped.T)[upper[0], upper[1]]
        wanted = (y @ y.T)[upper[0], upper[1]]
        scale = ALIGNMENT_WEIGHT * y.shape[1] / 768
        loss = scale * align + STRUCTURE_WEIGHT * functional.mse_loss(found, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()

    @torch.no_grad()
    def apply(self, x: Vectors) -> Vectors:
        """Map rows with the present weights: unit (N, D)."""
        mapped: Vectors = functional.normalize(self.head(torch.from_numpy(x)), dim=1).numpy()
        return mapped
