"""Draws of clusters with replacement, shared by all that is compared: weights in parts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Doubles = NDArray[np.float64]

# Weights are made for so many cells (draws x clusters) at a time: 32 MB.
WEIGHT_BUDGET = 1 << 22


def weight_parts(seed: int, *, num_draws: int, num_clusters: int) -> Iterator[Doubles]:
    """How often each cluster is in each draw, (B, G), some draws at a time.

    For figures that are no means, such as macro-F1: weigh their sums by each row.
    """
    step = max(1, WEIGHT_BUDGET // num_clusters)
    if step >= num_draws:
        yield _all_weights(seed, num_draws=num_draws, num_clusters=num_clusters)
        return
    random = np.random.default_rng(seed)
    for start in range(0, num_draws, step):
        size = min(step, num_draws - start)
        yield _draw_weights(random, num_draws=size, num_clusters=num_clusters)


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """The BLAS libraries loaded here; finding them takes as long as a small product."""
    return ThreadpoolController()


# The languages of a task share their clusters and so their draws: made once, not 200 times.
@lru_cache(maxsize=4)
def _all_weights(seed: int, *, num_draws: int, num_clusters: int) -> Doubles:
    random = np.random.default_rng(seed)
    return _draw_weights(random, num_draws=num_draws, num_clusters=num_clusters)


def _draw_weights(random: np.random.Generator, *, num_draws: int, num_clusters: int) -> Doubles:
    """The next `num_draws` draws of the generator."""
    drawn = random.integers(0, num_clusters, size=(num_draws, num_clusters))
    drawn += np.arange(num_draws)[:, None] * num_clusters
    counts = np.bincount(drawn.reshape(-1), minlength=num_draws * num_clusters)
    return counts.reshape(num_draws, num_clusters).astype(np.float64)


def draw_totals(sums: Doubles, counts: Doubles, *, seed: int, num_draws: int) -> Doubles:
    """Means of drawn clusters, (B, K); NaN where a draw has no row of a column."""
    draws = np.empty((num_draws, sums.shape[1]))
    start = 0
    # So narrow a product gains nothing from more threads; beside other work they wait for each
    # other (1,000 x 1,000 by 4: 0.8 ms with one, 15 ms with two).
    with _threads().limit(limits=1, user_api="blas"):
        for weights in weight_parts(seed, num_draws=num_draws, num_clusters=len(sums)):
            part = draws[start : start + len(weights)]
            start += len(weights)
            rows = weights @ counts
            np.divide(weights @ sums, rows, out=part, where=rows > 0)
            part[np.broadcast_to(rows == 0, part.shape)] = np.nan
    return draws
