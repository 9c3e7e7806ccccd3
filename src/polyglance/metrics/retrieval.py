"""Retrieval, classification and similarity metrics, as pure functions of arrays.

Legend: N queries, M candidates, D width, C classes, Q queries asked, K cut-offs.

Retrieval metrics take vectors and use dot products as scores: give unit-norm rows (`vectors.unit`,
or what the dual encoder returns) for cosines; raw rows are scored raw. They never hold the score
matrix (`polyglance.metrics.ranking`).

Ties count as their expectation under random order: where a positive is level with others, a hit
counts with the probability that one of the positives comes among the first k. A scorer that says
the same of all M candidates has exactly k/M with one positive. Everything is a fraction. What the
CLIP literature calls recall@k is a hit rate, and is called so here; reports write R@k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics.ranking import (
    BLOCK_ROWS,
    Doubles,
    RankStatistics,
    WithoutPositive,
    rank_statistics,
    rank_statistics_both_ways,
)
from polyglance.metrics.relevance import (
    CAPTION_POLICIES,
    CaptionQueries,
    Integers,
    Relevance,
    apply_caption_policy,
)
from polyglance.results.schema import CaptionPolicy
from polyglance.vectors import AnyVectors

__all__ = [
    "CAPTION_POLICIES",
    "DEFAULT_KS",
    "CaptionPolicy",
    "CaptionQueries",
    "Direction",
    "RankStatistics",
    "Relevance",
    "Retrieval",
    "apply_caption_policy",
    "bitext_accuracy",
    "hit_rates_at_k",
    "hits_at_k",
    "mean_reciprocal_rank",
    "rank_statistics",
    "rank_statistics_both_ways",
    "reciprocal_ranks",
    "retrieval_both_ways",
    "spearman",
]

DEFAULT_KS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """One direction of retrieval.

    Attributes:
        ranks: The counts that every rank metric follows from.
        hits: For each k, (Q,) the expected hit of each query, in [0, 1].
    """

    ranks: RankStatistics
    hits: dict[int, Doubles]

    @property
    def hit_rates(self) -> dict[int, float]:
        """Mean over the queries, for each k."""
        return {k: float(values.mean()) for k, values in self.hits.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Retrieval:
    """Both directions of retrieval."""

    text_to_content: Direction
    content_to_text: Direction

    @property
    def average_recall(self) -> float:
        """Mean of all hit rates of both directions (ETCL, table 3; R@1, 5, 10 there)."""
        both = (self.text_to_content.hit_rates, self.content_to_text.hit_rates)
        return float(np.mean([rate for rates in both for rate in rates.values()]))


def retrieval_both_ways(
    texts: AnyVectors,
    contents: AnyVectors,
    *,
    relevance: Integers | Relevance,
    ks: Sequence[int] = DEFAULT_KS,
    without_positive: WithoutPositive = "refuse",
    block_rows: int = BLOCK_ROWS,
) -> Retrieval:
    """Text-to-content and content-to-text hits in one pass over the scores.

    Args:
        texts: (N, D), finite; unit-norm for cosines, else raw dot products.
        contents: (M, D), finite.
        relevance: From texts to contents: the one content of each text, (N,), or a map.
        ks: Cut-offs, 1 or more each.
        without_positive: What to do with a text or content that has no positive: `refuse`, or
            `leave out` (it stays a candidate of the other direction).
        block_rows: Rows of a tile of scores.

    Raises:
        VectorError: For vectors that are not finite or do not fit each other.
        InputError: For relevance that does not fit, or a query without a positive.

    >>> both = retrieval_both_ways(np.eye(4), np.ones((4, 4)), relevance=np.arange(4), ks=(1,))
    >>> both.text_to_content.hit_rates, both.content_to_text.hit_rates
    ({1: 0.25}, {1: 0.25})
    """
    _check_ks(ks)
    forward, backward = rank_statistics_both_ways(
        texts,
        contents,
        relevance=relevance,
        without_positive=without_positive,
        block_rows=block_rows,
    )
    return Retrieval(
        text_to_content=Direction(ranks=forward, hits=hits_at_k(forward, ks=ks)),
        content_to_text=Direction(ranks=backward, hits=hits_at_k(backward, ks=ks)),
    )


def hit_rates_at_k(
    queries: AnyVectors,
    candidates: AnyVectors,
    *,
    relevance: Integers | Relevance,
    ks: Sequence[int] = DEFAULT_KS,
    block_rows: int = BLOCK_ROWS,
) -> dict[int, Doubles]:
    """Whether a positive is among the first k, for each query; its mean is the hit rate at k.

    Args:
        queries: (N, D), finite; unit-norm for cosines, else raw dot products.
        candidates: (M, D), finite.
        relevance: The one positive of each query, (N,), or a map.
        ks: Cut-offs, 1 or more each.
        block_rows: Rows of a tile of scores.

    Returns:
        For each k, (N,) expected hits in [0, 1], one a query, as the bootstrap takes them.

    Raises:
        VectorError: For vectors that are not finite or do not fit each other.
        InputError: For relevance that does not fit, or a query without a positive.

    >>> candidates = np.array([[0.5], [0.5], [-1.0]])
    >>> hit_rates_at_k(np.array([[1.0]]), candidates, relevance=np.array([0]), ks=(1, 2))
    {1: array([0.5]), 2: array([1.])}
    """
    _check_ks(ks)
    ranks = rank_statistics(queries, candidates, relevance=relevance, block_rows=block_rows)
    return hits_at_k(ranks, ks=ks)


def hits_at_k(ranks: RankStatistics, *, ks: Sequence[int] = DEFAULT_KS) -> dict[int, Doubles]:
    """Expected hits from counted ranks.

    With T candidates level, p of them positives, and r of the first k places left for them, no
    positive is among those r with probability C(T - p, r) / C(T, r) = C(T - r, p) / C(T, p).

    Args:
        ranks: Of Q queries.
        ks: Cut-offs, 1 or more each.

    Returns:
        For each k, (Q,) in [0, 1].
    """
    _check_ks(ks)
    positives = ranks.tied_positives
    level = ranks.tied_negatives + positives  # (Q,)
    hits = {}
    for k in ks:
        places = np.clip(k - ranks.above, 0, level)  # (Q,)
        missed = np.ones(len(places))
        # One factor for each level positive: hardly ever more than a few.
        for taken in range(int(positives.max(initial=0))):
            factor = (level - places - taken) / np.maximum(level - taken, 1)
            missed = np.where(taken < positives, missed * np.maximum(factor, 0.0), missed)
        # With one positive, places / level is exact where 1 - missed rounds twice.
        hits[k] = np.where(positives == 1, places / level, 1.0 - missed)
    return hits


def reciprocal_ranks(ranks: RankStatistics, *, k: int | None = None) -> Doubles:
    """Expected reciprocal rank of the first positive under random order of ties, (Q,).

    Args:
        ranks: Of Q queries.
        k: What comes after the first k counts 0 (MRR@k); None counts every rank.
    """
    values = np.asarray(1.0 / (ranks.above + 1.0), dtype=np.float64)
    if k is not None:
        _check_ks((k,))
        values[ranks.above >= k] = 0.0
    tied = np.flatnonzero(ranks.tied_negatives)
    if not len(tied):
        return values
    triples = np.stack([ranks.above, ranks.tied_negatives, ranks.tied_positives], axis=1)[tied]
    distinct, inverse = np.unique(triples, axis=0, return_inverse=True)
    expected = np.array([_tied_reciprocal(*map(int, triple), k=k) for triple in distinct])
    values[tied] = expected[inverse.reshape(-1)]
    return values


def mean_reciprocal_rank(ranks: RankStatistics) -> float:
    """Mean of the reciprocal ranks of the first positives (MSCOCO-IT reports it).

    >>> found = rank_statistics(np.eye(2), np.eye(2), relevance=np.array([0, 0]))
    >>> mean_reciprocal_rank(found)
    0.75
    """
    return float(reciprocal_ranks(ranks).mean())


def bitext_accuracy(sources: AnyVectors, targets: AnyVectors) -> float:
    """Share of sources whose nearest target is their own translation (Tatoeba).

    Args:
        sources: (N, D), unit-norm for cosines.
        targets: (N, D), row i the translation of source i.

    Raises:
        VectorError: For vectors that are not finite or not in pairs.

    >>> bitext_accuracy(np.eye(2), np.eye(2)[::-1])
    0.0
    """
    if len(sources) != len(targets):
        raise errors.VectorError(
            f"{len(sources)} sources and {len(targets)} targets; they come in pairs",
            hint="keep only sentences that have both sides",
        )
    hits = hit_rates_at_k(sources, targets, relevance=np.arange(len(sources)), ks=(1,))
    return float(hits[1].mean())


def spearman(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> float:
    """Rank correlation of two lists of numbers; equal numbers share their mean rank.

    Args:
        first: (N,), finite.
        second: (N,), finite.

    Returns:
        In [-1, 1].

    Raises:
        InputError: For lists of different or no length, NaN, or a list of one value only.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise errors.InputError(
            f"numbers of shape {first.shape} and {second.shape}; both are (N,), 2 or more",
            hint="give one number of each kind for each row",
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise errors.InputError(
            "numbers to correlate hold NaN or infinity", hint="drop those rows from both lists"
        )
    centred = [_average_ranks(values) - (len(values) + 1) / 2 for values in (first, second)]
    spread = np.sqrt(np.dot(centred[0], centred[0]) * np.dot(centred[1], centred[1]))
    if spread == 0:
        raise errors.InputError(
            "one list has a single value throughout; its rank correlation is undefined",
            hint="look at what makes that score constant",
        )
    return float(np.clip(np.dot(*centred) / spread, -1.0, 1.0))


def _check_ks(ks: Sequence[int]) -> None:
    """Refuse cut-offs that mean nothing."""
    if not ks or min(ks) < 1:
        raise errors.ConfigError(
            f"ks is {tuple(ks)}; it holds one cut-off or more, each 1 or more",
            hint=f"for example {DEFAULT_KS}",
        )


# The same few cases come back in every language: one or two level with the positive.
@lru_cache(maxsize=1 << 14)
def _tied_reciprocal(above: int, negatives: int, positives: int, *, k: int | None) -> float:
    """Expected 1 / rank of the first of the level positives.

    It stands at place j of T = negatives + positives with probability
    C(T - j, p - 1) / C(T, p); each such probability follows from the one before.
    """
    places = np.arange(1, negatives + 2)
    level = negatives + positives
    before = places[:-1]
    steps = (level - before - positives + 1) / (level - before)
    chances = positives / level * np.cumprod(np.concatenate([[1.0], steps]))
    ranks = above + places
    return float(np.sum(chances[ranks <= (k or np.inf)] / ranks[ranks <= (k or np.inf)]))


def _average_ranks(values: NDArray[np.floating[Any]]) -> Doubles:
    """Ranks from 1, equal values sharing their mean rank, (N,)."""
    # By hand: `scipy.stats` takes a second to import.
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
