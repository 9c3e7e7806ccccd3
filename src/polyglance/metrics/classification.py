"""Classification metrics: nearest class, accuracy, and macro-F1.

Legend: N content items, C classes, D width, G distinct class vectors, B draws, P first places.

Classes with the very same vector are level for every item. They are scored as one column that
counts as often as there are such classes, so that rounding cannot tell them apart, and a model that
says the same of all is exactly at chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.heads.affine import Vectors
from polyglance.metrics import bootstrap
from polyglance.metrics.bootstrap import DEFAULT_DRAWS, Doubles

KS = (1, 5)
BLOCK_ITEMS = 4096
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Guesses:
    """What N content items are taken for.

    Attributes:
        truth: Int64 (N,), the right class of each item.
        hits: Float64 (N, len(KS)), the probability that the right class is among the first k.
        items: Int64 (P,), items in ascending order, one entry for each column in first place.
        columns: Int64 (P,), the column there.
        shares: Float64 (P,), the probability of each class of that column.
        column_of: Int64 (C,), the column of each class.
    """

    truth: Integers
    hits: Doubles
    items: Integers
    columns: Integers
    shares: Doubles
    column_of: Integers

    @property
    def accuracy(self) -> float:
        """Share of items whose nearest class is the right one, ties by expectation."""
        return float(self.hits[:, 0].mean())


def guess(contents: Vectors, weights: Vectors, *, rows: Integers, truth: Integers) -> Guesses:
    """Compare content items with class vectors, block by block.

    Args:
        contents: Float32 (M, D), unit.
        weights: Float32 (C, D), unit.
        rows: Int64 (N,), which of the M items are asked about.
        truth: Int64 (N,), the class of each of these, from 0 to C - 1.

    Returns:
        Hits and first places.
    """
    distinct, column_of, times = np.unique(weights, axis=0, return_inverse=True, return_counts=True)
    column_of = column_of.reshape(-1)
    hits = np.empty((len(rows), len(KS)))
    firsts: list[tuple[Integers, Integers, Doubles]] = []
    for start in range(0, len(rows), BLOCK_ITEMS):
        block = slice(start, start + BLOCK_ITEMS)
        scores = contents[rows[block]] @ distinct.T  # (block, G)
        own = scores[np.arange(len(scores)), column_of[truth[block]]][:, None]
        above = (scores > own) @ times  # (block,) classes
        level = (scores == own) @ times
        for column, k in enumerate(KS):
            hits[block, column] = np.clip(k - above, 0, level) / level
        first = scores == scores.max(axis=1, keepdims=True)
        share = 1.0 / (first @ times)
        items, columns = np.nonzero(first)
        firsts.append((items + start, columns, share[items]))
    items, columns, shares = (np.concatenate(part) for part in zip(*firsts, strict=True))
    return Guesses(
        truth=truth, hits=hits, items=items, columns=columns, shares=shares, column_of=column_of
    )


def macro_f1(guesses: Guesses) -> float:
    """Mean F1 over the classes that are labels or are guessed; as `retrieval.macro_f1`."""
    return float(_macro_f1(guesses, np.ones((1, len(guesses.truth))))[0])


def drawn_macro_f1(guesses: Guesses, *, seed: int, num_draws: int = DEFAULT_DRAWS) -> Doubles:
    """Macro-F1 of B draws of the content items, with replacement, float64 (B,).

    A draw lacks some items, so that drawn macro-F1 lies a little low: how much it varies is what
    it tells (`bootstrap.share_interval_of`).

    Args:
        guesses: Of N items, 2 or more.
        seed: Of the draws.
        num_draws: B.
    """
    parts = bootstrap.weight_parts(seed, num_draws=num_draws, num_clusters=len(guesses.truth))
    return np.concatenate([_macro_f1(guesses, weights) for weights in parts])


def _macro_f1(guesses: Guesses, weights: Doubles) -> Doubles:
    """Macro-F1 where each item counts as often as its weight says, (B, N) to (B,)."""
    num_classes = len(guesses.column_of)
    labelled = _sums(weights, guesses.truth, num_groups=num_classes)  # (B, C)
    right = _sums(weights * guesses.hits[:, 0], guesses.truth, num_groups=num_classes)
    placed = weights[:, guesses.items] * guesses.shares  # (B, P)
    num_columns = int(guesses.column_of.max()) + 1
    guessed = _sums(placed, guesses.columns, num_groups=num_columns)[:, guesses.column_of]
    either = labelled + guessed
    seen = either > 0
    scores = np.divide(2 * right, either, out=np.zeros_like(either), where=seen)
    return np.asarray(scores.sum(axis=1) / seen.sum(axis=1), np.float64)


def _sums(values: Doubles, groups: Integers, *, num_groups: int) -> Doubles:
    """Sums of the columns of each group, (B, N) to (B, number of groups)."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    found = np.zeros((len(values), num_groups))
    found[:, present] = np.add.reduceat(values[:, order], starts, axis=1)
    return found
