"""Scores of text tasks: semantic similarity of scored pairs, and bitext retrieval.

Legend: N pairs, D width, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder, unit_vectors
from polyglance.metrics import bootstrap, retrieval
from polyglance.metrics.draws import weight_parts
from polyglance.metrics.relevance import Relevance
from polyglance.results.schema import Direction, Result
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.vectors import Vectors

Doubles = NDArray[np.float64]
# Of both ways of asking for translations, in the result of either, as LASER reports it.
MEAN_ACCURACY = "mean_accuracy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """One way of asking for translations.

    Attributes:
        direction: Which side asks.
        hits: Float64 (N,), the chance that the nearest is right, ties by expectation.
        clusters: Int64 (N,), the distinct text of the other side behind each pair.
        num_candidates: How many could be found.
    """

    direction: Direction
    hits: Doubles
    clusters: NDArray[np.int64]
    num_candidates: int


def score_similarity(
    encoder: Encoder,
    data: SimilarityData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Rank correlation of cosines with people's scores, a result for each other language.

    A model that gives all pairs the same cosine orders none: 0, what a random order has on
    average. Pairs that people scored all the same have no order, and so no result. See
    `evaluation.Scorer`.
    """
    del contents
    rows = []
    for other, pairs in data.pairs[language].items():
        if len({pair.score for pair in pairs}) < 2:
            continue
        first, second = _both_sides(
            encoder,
            [pair.text_a for pair in pairs],
            [pair.text_b for pair in pairs],
            languages=(pairs[0].language_a, pairs[0].language_b),
            cache=cache,
        )
        # By the distance, which is exactly 0 for the same vector twice: sums of products are not
        # exactly 1, and their last bits would order pairs that are level.
        cosines = 1 - np.square(first - second, dtype=np.float64).sum(axis=1) / 2  # (N,)
        scores = np.array([pair.score for pair in pairs])
        interval = bootstrap_spearman(cosines, scores, seed=0)
        rows.append(
            Result(
                task=data.task,
                split="test",
                language=language,
                other_language=other,
                direction="text_with_other",
                metric="spearman",
                caption_policy=data.policy,
                values={"spearman": interval.mean},
                intervals={"spearman": (interval.low, interval.high)},
                num_queries=len(pairs),
                num_candidates=len(pairs),
                num_dropped={"pairs_without_score": data.num_unscored[language, other]},
                model=name,
                model_id=model_id,
                data_id=data.data_id(language),
            )
        )
    return rows


def score_bitext(
    encoder: Encoder,
    data: BitextData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Share of sentences whose nearest neighbour is their translation, both ways.

    Every pair asks. What is found are the distinct sentences of the other side: a repeated one is
    one candidate, and right for whatever it translates anywhere, since no model can tell its rows
    apart. See `evaluation.Scorer`.
    """
    del contents
    pairs = data.pairs[language]
    ways = bitext_hits(encoder, data, language=language, cache=cache)
    both = replace(ways[0], hits=np.mean([way.hits for way in ways], axis=0))
    rows = []
    for way in ways:
        values, intervals = _figures({"accuracy": way, MEAN_ACCURACY: both})
        rows.append(
            Result(
                task=data.task,
                split="test",
                language=language,
                other_language=data.other_language,
                direction=way.direction,
                metric="accuracy",
                caption_policy=data.policy,
                values=values,
                intervals=intervals,
                num_queries=len(pairs),
                num_candidates=way.num_candidates,
                num_dropped={
                    "pairs_with_an_empty_side": data.num_empty[language],
                    "repeated_candidates": len(pairs) - way.num_candidates,
                },
                model=name,
                model_id=model_id,
                data_id=data.data_id(language),
            )
        )
    return rows


def bitext_hits(
    encoder: Encoder, data: BitextData, *, language: str, cache: VectorCache | None
) -> list[Hits]:
    """Which sentences of one language find their translation, and which are found; both ways."""
    pairs = data.pairs[language]
    texts = [pair.text_a for pair in pairs]
    others = [pair.text_b for pair in pairs]
    first, second = _both_sides(
        encoder, texts, others, languages=(language, data.other_language), cache=cache
    )
    text_ids, text_rows = _distinct(texts)  # (N,), (distinct texts,)
    other_ids, other_rows = _distinct(others)
    positives: list[set[int]] = [set() for _ in text_rows]
    for text_id, other_id in zip(text_ids.tolist(), other_ids.tolist(), strict=True):
        positives[text_id].add(other_id)
    found = retrieval.retrieval_both_ways(
        first[text_rows],
        second[other_rows],
        relevance=Relevance.of([sorted(right) for right in positives]),
        ks=(1,),
    )
    return [
        Hits(
            direction="text_to_other",
            hits=found.text_to_content.hits[1][text_ids],
            clusters=other_ids,
            num_candidates=len(other_rows),
        ),
        Hits(
            direction="other_to_text",
            hits=found.content_to_text.hits[1][other_ids],
            clusters=other_ids,
            num_candidates=len(text_rows),
        ),
    ]


def bootstrap_spearman(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    *,
    seed: int,
    num_draws: int = bootstrap.DEFAULT_DRAWS,
) -> bootstrap.Interval:
    """Rank correlation with its interval over drawn pairs; 0 where one list is constant.

    Args:
        first: (N,), finite.
        second: (N,), finite.
        seed: Of the draws.
        num_draws: B.

    >>> found = bootstrap_spearman(np.arange(9.0), np.arange(9.0) ** 2, seed=0)
    >>> found.mean, round(found.low, 9)
    (1.0, 1.0)
    """
    parts = weight_parts(seed, num_draws=num_draws, num_clusters=len(first))
    draws = np.concatenate([_weighted_spearman(part, first, second) for part in parts])
    whole = _weighted_spearman(np.ones((1, len(first))), first, second)
    return bootstrap.interval_of(draws, mean=float(whole[0]), num_clusters=len(first))


def _weighted_spearman(
    weights: Doubles, first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]
) -> Doubles:
    """Rank correlation of lists in which pair i stands `weights[b, i]` times, (B,)."""
    middle = (weights.sum(axis=1, keepdims=True) + 1) / 2
    ranks = [_weighted_ranks(weights, values) - middle for values in (first, second)]
    products = [np.vecdot(weights * ranks[a], ranks[b]) for a, b in ((0, 1), (0, 0), (1, 1))]
    spread = np.sqrt(products[1] * products[2])
    values = np.zeros(len(weights))
    np.divide(products[0], spread, out=values, where=spread > 0)
    return values


def _weighted_ranks(weights: Doubles, values: NDArray[np.floating[Any]]) -> Doubles:
    """Mean rank, from 1, of each value in lists with repeats, (B, N)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    level = np.add.reduceat(weights[:, order], starts, axis=1)  # (B, distinct values)
    ranks = np.cumsum(level, axis=1) - (level - 1) / 2
    _, which = np.unique(values, return_inverse=True)
    return np.asarray(ranks[:, which], dtype=np.float64)


def _both_sides(
    encoder: Encoder,
    texts: Sequence[str],
    others: Sequence[str],
    *,
    languages: tuple[str, str],
    cache: VectorCache | None,
) -> tuple[Vectors, Vectors]:
    """Vectors of both sides, (N, D) each, asked for at once so that they lie in one space.

    A text is asked for once in its language: repeated rows of a product differ in their last bits.
    """
    both = [(text, languages[0]) for text in texts] + [(text, languages[1]) for text in others]
    row_of = {one: row for row, one in enumerate(dict.fromkeys(both))}
    vectors = unit_vectors(
        encoder,
        [text for text, _ in row_of],
        languages=[language for _, language in row_of],
        cache=cache,
    )[[row_of[one] for one in both]]
    return vectors[: len(texts)], vectors[len(texts) :]


def _distinct(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each text among the distinct ones, and the row where each first stands."""
    numbers: dict[str, int] = {}
    rows: list[int] = []
    for row, text in enumerate(texts):
        if text not in numbers:
            numbers[text] = len(rows)
            rows.append(row)
    return np.array([numbers[text] for text in texts], np.int64), np.array(rows, np.int64)


def _figures(
    named: Mapping[str, Hits],
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means and their 95 % intervals over sentences of the other side; none where all share one."""
    values, intervals = {}, {}
    for name, way in named.items():
        if way.clusters.max() == 0:
            values[name] = float(way.hits.mean())
            continue
        found = bootstrap.clustered_bootstrap(way.hits, way.clusters, seed=0)
        values[name], intervals[name] = found.mean, (found.low, found.high)
    return values, intervals
