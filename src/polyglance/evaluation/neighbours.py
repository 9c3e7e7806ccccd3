"""Nearest-neighbour accuracy: how often an image's nearest one is of its own class.

Legend: M content items, Q of which ask, T of which are found, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder
from polyglance.metrics import bootstrap
from polyglance.metrics.ties import first_places
from polyglance.results.schema import Result
from polyglance.tasks.neighbours import NeighbourData
from polyglance.vectors import Vectors

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
    queries, others = first_places(contents[asking], contents[found])
    same = classes[found[others]] == classes[asking[queries]]
    times = np.bincount(queries, minlength=len(asking))
    return np.bincount(queries[same], minlength=len(asking)) / times
