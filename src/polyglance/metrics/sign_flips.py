"""Sign-flip test of paired differences over clusters, exact where few clusters differ.

Legend: G clusters (images), K differences (languages), D clusters that differ, B draws.

If neither model is better, each cluster's difference could as well have had the other sign. The
p-value is the share of ways to flip signs that give a difference as large as the observed one:
exact whatever the differences are, so that four queries that differ can never prove anything.
Source: Fisher's randomisation test of paired differences, "The design of experiments" (1935).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

# With so many clusters that differ, 2^14 ways are tried in a millisecond; with more, some of them.
MOST_FLIPPED = 15
# Signs are made for so many cells (draws x clusters) at a time: 32 MB.
SIGN_BUDGET = 1 << 22
# Sums in another order differ by rounding: what is so near counts as level.
ROUNDING = 1e-10


def p_values(parts: Doubles, *, seed: int, num_draws: int) -> Doubles:
    """Two-sided p-values of K differences whose clusters are flipped together.

    Args:
        parts: (G, K), what each cluster gives to each difference.
        seed: Of the drawn signs.
        num_draws: B, where more than `MOST_FLIPPED` clusters differ; no p-value is below
            1 / (B + 1) there.

    Returns:
        (K,), in (0, 1].

    >>> p_values(np.array([[1.0], [1.0], [1.0], [1.0], [0.0]]), seed=0, num_draws=1000)
    array([0.125])
    """
    differing = (parts != 0).sum(axis=0)
    found = np.ones(parts.shape[1])
    for column in np.flatnonzero((differing > 0) & (differing <= MOST_FLIPPED)):
        found[column] = _exact(parts[parts[:, column] != 0, column])
    many = differing > MOST_FLIPPED
    if many.any():
        found[many] = _drawn(parts[:, many], seed=seed, num_draws=num_draws)
    return found


def _exact(values: Doubles) -> float:
    """Over all ways to flip D values but the first, whose sign does not matter for two sides."""
    sums = np.abs(values[:1])
    for value in values[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= _reached(values[:, None])[0]))


def _drawn(parts: Doubles, *, seed: int, num_draws: int) -> Doubles:
    """Over drawn signs, the observed ones counted as one draw."""
    random = np.random.default_rng(seed)
    rows = parts[(parts != 0).any(axis=1)]
    reached = _reached(rows)
    beyond = np.ones(parts.shape[1])
    step = max(1, SIGN_BUDGET // len(rows))
    for start in range(0, num_draws, step):
        size = min(step, num_draws - start)
        signs = 2.0 * random.integers(0, 2, size=(size, len(rows)), dtype=np.int8) - 1
        beyond += (np.abs(signs @ rows) >= reached).sum(axis=0)
    return np.asarray(beyond / (num_draws + 1))


def _reached(parts: Doubles) -> Doubles:
    """The observed differences, (K,), less what rounding may take from an equal one."""
    return np.asarray(np.abs(parts.sum(axis=0)) - ROUNDING * np.abs(parts).sum(axis=0))
