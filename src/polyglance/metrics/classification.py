"""Classification metrics: nearest class, accuracy, and macro-F1.

Legend: N content items, C classes, D width, G distinct class vectors, B draws, P first places.

Classes with the very same vector are level for every item: a model that says the same of all is
exactly at chance. They share one column, so that all of them in first place are one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.metrics import draws
from polyglance.metrics.bootstrap import DEFAULT_DRAWS, Doubles
from polyglance.metrics.ranking import rank_statistics
from polyglance.metrics.retrieval import hits_at_k
from polyglance.metrics.ties import first_places
from polyglance.vectors import Vectors

KS = (1, 5)
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
    """Compare content items with class vectors; ties as in `metrics.ties`.

    Args:
        contents: Float32 (M, D), unit.
        weights: Float32 (C, D), unit.
        rows: Int64 (N,), which of the M items are asked about.
        truth: Int64 (N,), the class of each of these, from 0 to C - 1.

    Returns:
        Hits and first places.
    """
    asked = contents[rows]
    ranks = rank_statistics(asked, weights, relevance=truth)
    by_k = hits_at_k(ranks, ks=KS)
    distinct, column_of, times = np.unique(weights, axis=0, return_inverse=True, return_counts=True)
    column_of = column_of.reshape(-1)
    # An item whose own class stands first alone is not compared a second time.
    alone = (ranks.above == 0) & (ranks.tied_negatives == 0)
    others = np.flatnonzero(~alone)
    found, columns = first_places(asked[others], distinct)
    items = np.concatenate([np.flatnonzero(alone), others[found]])
    columns = np.concatenate([column_of[truth[alone]], columns])
    order = np.argsort(items, kind="stable")
    items, columns = items[order], columns[order]
    classes = np.bincount(items, weights=times[columns], minlength=len(rows))  # (N,) level
    return Guesses(
        truth=truth,
        hits=np.stack([by_k[k] for k in KS], axis=1),
        items=items,
        columns=columns,
        shares=1.0 / classes[items],
        column_of=column_of,
    )


def macro_f1(guesses: Guesses) -> float:
    """Mean F1 over the classes that are labels or are guessed (uCLIP's measure).

    An item whose first place t classes share counts as 1/t of a guess of each, so that a tie
    favours none. Without ties this is the usual macro-F1.
    """
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
    parts = draws.weight_parts(seed, num_draws=num_draws, num_clusters=len(guesses.truth))
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
