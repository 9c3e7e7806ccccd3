"""Nearest-neighbour accuracy: how often an image's nearest one is of its own class.

Legend: M content items, Q of which ask, T of which are found, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.embed import VectorCache
from polyglance.evaluation.encoders import Encoder
from polyglance.heads.affine import Vectors
from polyglance.metrics import bootstrap
from polyglance.results.schema import Result
from polyglance.tasks.neighbours import NeighbourData

BLOCK_QUERIES = 128
BLOCK_FOUND = 16_384
# Float64 scores are looked at for so many pairs at a time.
BLOCK_PAIRS = 65_536
Integers = NDArray[np.int64]


def score(
    encoder: Encoder,
    data: NeighbourData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """R@1 of images among images; see `evaluation.Scorer`."""
    del encoder, cache
    assert contents is not None
    asking, found = np.flatnonzero(data.asking), np.flatnonzero(~data.asking)
    hits = nearest_hits(contents, data.classes, asking=asking, found=found)
    value, spans = float(hits.mean()), {}
    if len(hits) > 1:
        span = bootstrap.clustered_bootstrap(hits, asking, seed=0)
        value, spans = span.mean, {"hit_rate_at_1": (span.low, span.high)}
    return [
        Result(
            task=data.task,
            split="test",
            language=language,
            direction="content_to_content",
            metric="knn_accuracy",
            caption_policy=data.policy,
            values={"hit_rate_at_1": value},
            intervals=spans,
            num_queries=len(asking),
            num_candidates=len(found),
            num_dropped=data.num_dropped,
            model=name,
            model_id=model_id,
            data_id=data.data_id(language),
        )
    ]


def nearest_hits(
    contents: Vectors, classes: Integers, *, asking: Integers, found: Integers
) -> NDArray[np.float64]:
    """The probability that the nearest neighbour is of the same class, ties drawn at random.

    Exact, in one pass: what comes within float32's rounding of the best is compared again in
    float64, and is level where that cannot tell it apart either.

    Args:
        contents: Float32 (M, D), unit.
        classes: Int64 (M,).
        asking: Int64 (Q,), rows that ask.
        found: Int64 (T,), rows among which the neighbour is.

    Returns:
        Float64 (Q,), in [0, 1].

    >>> points = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], np.float32)
    >>> rows = np.array([0, 1, 3])
    >>> nearest_hits(points, np.array([5, 7, 7, 6]), asking=np.array([2]), found=rows).tolist()
    [1.0]
    """
    hits = np.empty(len(asking))
    for start in range(0, len(asking), BLOCK_QUERIES):
        rows = asking[start : start + BLOCK_QUERIES]
        queries, others = _near_pairs(contents, rows, found)
        level = _level(contents, rows, queries=queries, others=others)
        queries, others = queries[level], others[level]
        same = classes[others] == classes[rows[queries]]
        times = np.bincount(queries, minlength=len(rows))
        hits[start : start + len(rows)] = np.bincount(queries[same], minlength=len(rows)) / times
    return hits


def _near_pairs(contents: Vectors, rows: Integers, found: Integers) -> tuple[Integers, Integers]:
    """Which of the rows, and which found rows, are near enough to be the best: (P,) each."""
    slack = 4 * (contents.shape[1] + 8) * 2.0**-24  # of two float32 products of unit rows
    asked = contents[rows]  # (B, D)
    best = np.full(len(rows), -np.inf, np.float32)
    parts = []
    for start in range(0, len(found), BLOCK_FOUND):
        block = found[start : start + BLOCK_FOUND]
        scores = asked @ contents[block].T  # (B, block)
        best = np.maximum(best, scores.max(axis=1))
        queries, columns = np.nonzero(scores >= (best - slack)[:, None])
        parts.append((queries, block[columns], scores[queries, columns]))
    queries, others, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    near = scores >= (best - slack)[queries]
    return queries[near], others[near]


def _level(
    contents: Vectors, rows: Integers, *, queries: Integers, others: Integers
) -> NDArray[np.bool_]:
    """Which pairs have the best score of their query, in float64, (P,)."""
    exact = np.empty(len(queries))
    for start in range(0, len(queries), BLOCK_PAIRS):
        part = slice(start, start + BLOCK_PAIRS)
        exact[part] = np.vecdot(
            contents[rows[queries[part]]].astype(np.float64),
            contents[others[part]].astype(np.float64),
        )
    best = np.full(len(rows), -np.inf)
    np.maximum.at(best, queries, exact)
    tie = 2 * (contents.shape[1] + 2) * 2.0**-53
    return np.asarray(exact >= best[queries] - tie, bool)
