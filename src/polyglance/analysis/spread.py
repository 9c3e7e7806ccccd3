"""Spread of paraphrases: cosine distances within clusters of texts that say the same.

Legend: N texts, D width, G clusters (the images that texts were written for).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics import bootstrap
from polyglance.metrics.bootstrap import DEFAULT_DRAWS, Interval
from polyglance.vectors import Vectors, unit


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Cosine distances (1 - cosine) between texts.

    Attributes:
        inside: Mean over the clusters of the mean distance of two texts of one cluster.
        quantiles: Of the pairs inside: least, quarter, middle, three quarters, most.
        outside: Mean distance of two texts of different clusters: a space in which everything is
            near has a small spread without being any better.
        num_clusters: G, those with two texts or more.
        num_texts: Texts in those.
    """

    inside: Interval
    quantiles: tuple[float, float, float, float, float]
    outside: float
    num_clusters: int
    num_texts: int

    @property
    def relative(self) -> float:
        """Distance inside over distance outside: 0 where paraphrases fall together."""
        return self.inside.mean / self.outside


def cluster_spread(
    vectors: Vectors,
    clusters: Sequence[str] | Sequence[int],
    *,
    seed: int = 0,
    num_draws: int = DEFAULT_DRAWS,
) -> Spread:
    """Distances inside clusters and between them.

    Args:
        vectors: (N, D), no row zero.
        clusters: (N,) the cluster of each; those with a single text count for nothing.
        seed: Of the draws of clusters.
        num_draws: B.

    Raises:
        InputError: For lists that do not fit, or fewer than two clusters with two texts.
        VectorError: For vectors without a direction.

    Source: M2M, appendix E: unit vectors, each pair once.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], np.float32)
    >>> found = cluster_spread(rows, ["a", "a", "b", "b"])
    >>> found.inside.mean, found.outside
    (0.0, 1.0)
    """
    if len(vectors) != len(clusters):
        raise errors.InputError(
            f"{len(vectors)} vectors and {len(clusters)} clusters",
            hint="give the cluster of each text",
        )
    _, groups, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    if (sizes > 1).sum() < 2:
        raise errors.InputError(
            f"{(sizes > 1).sum()} of {len(sizes)} clusters hold two texts or more; two are needed",
            hint="take a task with several captions an image, such as flickr8k in English",
        )
    kept = sizes[groups] > 1
    rows = unit(vectors[kept]).astype(np.float64)
    _, groups = np.unique(groups[kept], return_inverse=True)
    inside = [_distances(rows[groups == group]) for group in range(int(groups.max()) + 1)]
    pairs = np.concatenate(inside)
    means = np.array([each.mean() for each in inside])  # (G,)
    # All pairs from the length of the sum, without the N x N of them.
    total = np.square(rows.sum(axis=0)).sum() - len(rows)  # both orders
    num_outside = len(rows) * (len(rows) - 1) - 2 * len(pairs)
    outside = 1 - (total - 2 * (1 - pairs).sum()) / num_outside
    low, quarter, middle, upper, high = np.quantile(pairs, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Spread(
        inside=bootstrap.clustered_bootstrap(
            means, range(len(means)), seed=seed, num_draws=num_draws
        ),
        quantiles=(low, quarter, middle, upper, high),
        outside=float(outside),
        num_clusters=len(means),
        num_texts=len(rows),
    )


def _distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - cosine of each pair of unit rows, once; rounding never makes one negative."""
    first, second = np.triu_indices(len(rows), k=1)
    return np.maximum(0.0, 1 - (rows @ rows.T)[first, second])
