"""How sure is a figure? Bootstrap over clusters, paired comparison, means over groups.

Legend: N rows (queries), G clusters (images), K columns (metrics, languages), B draws.

Captions of one image rise and fall together, so rows are not drawn one by one: whole clusters
are, with replacement, and the mean of a draw is that of all rows it holds.
Source: Field and Welsh, "Bootstrapping clustered data" (2007), the cluster bootstrap; percentile
intervals after Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from polyglance import errors

Doubles = NDArray[np.float64]
Clusters = NDArray[Any] | Sequence[str] | Sequence[int]

DEFAULT_DRAWS = 1000
DEFAULT_CONFIDENCE = 0.95
# Weights are made for so many cells (draws x clusters) at a time: 32 MB.
WEIGHT_BUDGET = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: Over all rows.
        low: Lower end.
        high: Upper end.
        confidence: Share of draws inside, in (0, 1).
        num_draws: B.
        num_clusters: G, among rows that count.
    """

    mean: float
    low: float
    high: float
    confidence: float
    num_draws: int
    num_clusters: int


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """How much a is above b on the same rows.

    Attributes:
        difference: Mean of a - b with its interval.
        p_value: Two-sided, in (0, 1]: twice the share of draws on the far side of zero.
    """

    difference: Interval
    p_value: float


@dataclass(frozen=True, kw_only=True)
class GroupMean:
    """The mean over the members of a group that have a value.

    Attributes:
        mean: None where no member has one.
        num_members: How many have one.
        missing: Members without one, sorted.
    """

    mean: float | None
    num_members: int
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class BootstrapMeans:
    """Means and drawn means of K columns that share their draws.

    Columns share the drawn clusters, so any arithmetic between them (a mean over languages, a
    difference of two) is done on `draws`, draw by draw, and read with `interval_of`.

    Attributes:
        means: (K,) over all rows that count.
        draws: (B, K); NaN where a draw holds no row that counts for that column.
        num_clusters: (K,) clusters with a row that counts.
    """

    means: Doubles
    draws: Doubles
    num_clusters: NDArray[np.int64]

    def intervals(self, *, confidence: float = DEFAULT_CONFIDENCE) -> list[Interval]:
        """One interval a column."""
        low, high = _percentiles(self.draws, confidence=confidence)
        return [
            Interval(
                mean=float(self.means[column]),
                low=float(low[column]),
                high=float(high[column]),
                confidence=confidence,
                num_draws=len(self.draws),
                num_clusters=int(self.num_clusters[column]),
            )
            for column in range(len(self.means))
        ]


def bootstrap_means(
    values: NDArray[np.floating[Any]],
    *,
    clusters: Clusters,
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    present: NDArray[np.bool_] | None = None,
) -> BootstrapMeans:
    """Draw clusters once and take the means of many columns under those draws.

    Args:
        values: (N, K), finite where present.
        clusters: (N,) the cluster of each row: numbers or names.
        seed: Of the draws; the same seed gives the same draws for the same clusters.
        num_draws: B, 1 or more.
        present: (N, K) whether a value counts; None where all do. Languages that lack some
            images share the draws this way.

    Raises:
        InputError: For shapes that do not fit, a present value that is not finite, a column
            without a value, or fewer than two clusters.

    >>> found = bootstrap_means(np.array([[1.0], [0.0], [1.0]]), clusters=["a", "a", "b"], seed=0)
    >>> found.means.round(3).tolist(), found.draws.shape
    ([0.667], (1000, 1))
    """
    groups = _check(values, clusters=clusters, num_draws=num_draws, present=present)
    num_clusters = int(groups.max()) + 1
    counts_of_row = np.ones((len(values), 1)) if present is None else present.astype(np.float64)
    counted = values if present is None else np.where(present, values, 0.0)
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(num_clusters))
    sums = np.add.reduceat(np.asarray(counted, dtype=np.float64)[order], starts, axis=0)  # (G, K)
    counts = np.add.reduceat(counts_of_row[order], starts, axis=0)  # (G, K), or (G, 1)
    return bootstrap_totals(sums, counts, seed=seed, num_draws=num_draws)


def bootstrap_totals(
    sums: Doubles, counts: Doubles, *, seed: int, num_draws: int = DEFAULT_DRAWS
) -> BootstrapMeans:
    """As `bootstrap_means`, from what is known of each cluster: many columns in one product.

    Args:
        sums: (G, K), values of a cluster added up.
        counts: (G, K) or (G, 1), how many values those are; no column without any.
        seed: Of the draws.
        num_draws: B, 1 or more.

    >>> bootstrap_totals(np.array([[2.0], [1.0]]), np.array([[2.0], [2.0]]), seed=0).means
    array([0.75])
    """
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
    return BootstrapMeans(
        means=sums.sum(axis=0) / counts.sum(axis=0),
        draws=draws,
        num_clusters=np.broadcast_to((counts > 0).sum(axis=0), (sums.shape[1],)).astype(np.int64),
    )


def clustered_bootstrap(
    values: NDArray[np.floating[Any]],
    clusters: Clusters,
    *,
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Interval:
    """The mean of per-row values with its interval, clusters drawn whole.

    Args:
        values: (N,), finite; hits of queries, say.
        clusters: (N,) the cluster of each row; the image of each caption, say.
        seed: Of the draws.
        num_draws: B, 1 or more.
        confidence: In (0, 1).

    Raises:
        InputError: For shapes that do not fit, values that are not finite, or one cluster only.
        ConfigError: For a confidence outside (0, 1).

    >>> found = clustered_bootstrap(np.ones(4), ["a", "a", "b", "b"], seed=0)
    >>> found.mean, found.low, found.high, found.num_clusters
    (1.0, 1.0, 1.0, 2)
    """
    columns = _as_column(values)
    found = bootstrap_means(columns, clusters=clusters, seed=seed, num_draws=num_draws)
    return found.intervals(confidence=confidence)[0]


def paired_difference(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    *,
    clusters: Clusters,
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    confidence: float = DEFAULT_CONFIDENCE,
) -> PairedDifference:
    """How much the first is above the second on the same rows, and whether that may be chance.

    Args:
        first: (N,), finite.
        second: (N,), finite, row by row beside the first.
        clusters: (N,) the cluster of each row.
        seed: Of the draws.
        num_draws: B, 1 or more; the least p-value there can be is 2 / (B + 1).
        confidence: In (0, 1).

    Raises:
        InputError: For shapes that do not fit, values that are not finite, or one cluster only.
        ConfigError: For a confidence outside (0, 1).

    >>> found = paired_difference(np.ones(9), np.zeros(9), clusters=range(9), seed=0)
    >>> found.difference.mean, found.p_value < 0.01
    (1.0, True)
    """
    if first.shape != second.shape:
        raise errors.InputError(
            f"values of shape {first.shape} and {second.shape} are no pairs",
            hint="compare two results on the same rows",
        )
    found = bootstrap_means(
        _as_column(first) - _as_column(second), clusters=clusters, seed=seed, num_draws=num_draws
    )
    return PairedDifference(
        difference=found.intervals(confidence=confidence)[0], p_value=p_value_of(found.draws[:, 0])
    )


def p_value_of(draws: Doubles) -> float:
    """How likely a difference of zero or beyond is, two-sided, by drawn differences.

    Args:
        draws: (B,); those without a value (NaN) count for nothing.

    Returns:
        In (0, 1]: twice the share of draws on the far side of zero, 2 / (B + 1) or more.

    >>> p_value_of(np.array([0.1, 0.2, -0.1])), p_value_of(np.ones(999))
    (1.0, 0.002)
    """
    known = draws[~np.isnan(draws)]
    # The observed sample counts as one draw, so that no p-value is ever 0.
    tail = min(int(np.count_nonzero(known <= 0)), int(np.count_nonzero(known >= 0))) + 1
    return min(1.0, 2 * tail / (len(known) + 1))


def interval_of(
    draws: Doubles,
    *,
    mean: float,
    num_clusters: int,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Interval:
    """The percentile interval of drawn values of one figure.

    Args:
        draws: (B,), for example `found.draws[:, columns].mean(axis=1)`.
        mean: The figure itself.
        num_clusters: What was drawn from.
        confidence: In (0, 1).
    """
    low, high = _percentiles(draws[:, None], confidence=confidence)
    return Interval(
        mean=mean,
        low=float(low[0]),
        high=float(high[0]),
        confidence=confidence,
        num_draws=len(draws),
        num_clusters=num_clusters,
    )


def group_means(
    values: Mapping[str, float], *, groups: Mapping[str, Collection[str]]
) -> dict[str, GroupMean]:
    """Unweighted mean of the members' values, for each group of languages.

    Args:
        values: A value for each language.
        groups: The languages of each group.

    Returns:
        In the order of the groups; members without a value are named, never counted as 0.

    >>> group_means({"a": 1.0, "b": 0.0}, groups={"both": ["a", "b", "c"]})["both"]
    GroupMean(mean=0.5, num_members=2, missing=('c',))
    """
    found = {}
    for name, members in groups.items():
        known = [values[member] for member in members if member in values]
        found[name] = GroupMean(
            mean=float(np.mean(known)) if known else None,
            num_members=len(known),
            missing=tuple(sorted(set(members) - set(values))),
        )
    return found


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
    """Whoever multiplies matrices here; to find them takes as long as a small product."""
    return ThreadpoolController()


# The languages of a task share their clusters and so their draws: made once, not 200 times.
@lru_cache(maxsize=4)
def _all_weights(seed: int, *, num_draws: int, num_clusters: int) -> Doubles:
    random = np.random.default_rng(seed)
    return _draw_weights(random, num_draws=num_draws, num_clusters=num_clusters)


def _draw_weights(random: np.random.Generator, *, num_draws: int, num_clusters: int) -> Doubles:
    """So many draws from where the generator stands."""
    drawn = random.integers(0, num_clusters, size=(num_draws, num_clusters))
    drawn += np.arange(num_draws)[:, None] * num_clusters
    counts = np.bincount(drawn.reshape(-1), minlength=num_draws * num_clusters)
    return counts.reshape(num_draws, num_clusters).astype(np.float64)


def _check(
    values: NDArray[np.floating[Any]],
    *,
    clusters: Clusters,
    num_draws: int,
    present: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """The cluster of each row as a number from 0; refuses what cannot be drawn from."""
    if values.ndim != 2 or len(clusters) != len(values):
        raise errors.InputError(
            f"values are {values.shape} with {len(clusters)} clusters; they are (N, K) with N",
            hint="give one row of values and one cluster for each query",
        )
    if present is not None and present.shape != values.shape:
        raise errors.InputError(
            f"present is {present.shape} beside values {values.shape}",
            hint="give one mark for each value",
        )
    counted = np.ones(values.shape, dtype=np.bool_) if present is None else present
    if not np.isfinite(values[counted]).all():
        raise errors.InputError(
            "values to draw from hold NaN or infinity",
            hint="mark rows that were not measured as not present",
        )
    if not counted.any(axis=0).all():
        empty = np.flatnonzero(~counted.any(axis=0))[:5].tolist()
        raise errors.InputError(
            f"columns {empty} have no value at all", hint="drop what was not measured"
        )
    if num_draws < 1:
        raise errors.ConfigError(
            f"num_draws is {num_draws}; it is 1 or more", hint=f"{DEFAULT_DRAWS} is usual"
        )
    names, groups = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        raise errors.InputError(
            f"{len(names)} cluster is too few to draw from; there are 2 or more",
            hint="give the mean without an interval",
        )
    return np.asarray(groups, dtype=np.int64)


def _as_column(values: NDArray[np.floating[Any]]) -> Doubles:
    """(N,) as (N, 1)."""
    if values.ndim != 1:
        raise errors.InputError(
            f"values are {values.shape}; they are (N,)", hint="use bootstrap_means for columns"
        )
    return values.astype(np.float64)[:, None]


def _percentiles(draws: Doubles, *, confidence: float) -> tuple[Doubles, Doubles]:
    """Both ends of the interval of each column, over the draws that have a value."""
    if not 0 < confidence < 1:
        raise errors.ConfigError(
            f"confidence is {confidence}; it is above 0 and below 1", hint="0.95 is usual"
        )
    outside = (1 - confidence) / 2
    # Ignoring NaN is slow, and needed only where few clusters have a value.
    quantile = np.nanquantile if np.isnan(draws).any() else np.quantile
    low, high = quantile(draws, [outside, 1 - outside], axis=0)
    return low, high
