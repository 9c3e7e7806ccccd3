"""Bootstrap intervals over clusters, and paired comparison.

Legend: N rows (queries), G clusters (images), K columns (metrics, languages), B draws.

Captions of one image rise and fall together, so it is clusters that count, not rows. Shares (hits,
reciprocal ranks: all from 0 to 1) and differences of shares get the score intervals of `intervals`;
whether a difference may be chance, `sign_flips` tells. Any other figure is drawn: whole clusters
with replacement, the mean of a draw being that of all rows it holds, and the interval that of the
draws' percentiles, widened for few clusters. Every interval holds its figure. By hand:
`scipy.stats.bootstrap` draws rows, and not clusters of several rows, the same ones for all columns.
Source: Field and Welsh, "Bootstrapping clustered data" (2007), the cluster bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics import sign_flips
from polyglance.metrics.draws import draw_totals
from polyglance.metrics.intervals import (
    Contributions,
    difference_ends,
    expanded_tail,
    share_ends,
    share_ends_of,
)

Doubles = NDArray[np.float64]
Clusters = NDArray[Any] | Sequence[str] | Sequence[int]

DEFAULT_DRAWS = 1000
DEFAULT_CONFIDENCE = 0.95
# A part may be beyond its weight by what rounding adds.
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: Over all rows.
        low: Lower end, `mean` or below.
        high: Upper end, `mean` or above.
        confidence: How often such intervals hold the truth, in (0, 1).
        num_draws: B; 0 where nothing was drawn.
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
        difference: Mean of a - b with its interval, which holds 0 wherever the p-value says that
            it may be chance.
        p_value: Two-sided, in (0, 1], by flipping signs of clusters.
    """

    difference: Interval
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BootstrapMeans:
    """Means of K columns over the same clusters, what each cluster gives to them, and their draws.

    Columns share the clusters, so means over some of them (`over`, of languages) and differences
    from other columns (`less`) are sums of what the clusters give, and have intervals of their own.
    Other arithmetic is done on `draws`, draw by draw, and read with `interval_of`.

    Attributes:
        means: (K,) over all rows that count.
        num_clusters: (K,) clusters with a row that counts.
        given: What each of the G clusters gives to each column.
        seed: Of the draws.
        num_draws: B.
        make_draws: Makes `draws`, for whoever asks.
    """

    means: Doubles
    num_clusters: NDArray[np.int64]
    given: Contributions
    seed: int
    num_draws: int
    make_draws: Callable[[], Doubles]

    @cached_property
    def draws(self) -> Doubles:
        """(B, K); NaN where a draw holds no row that counts for that column."""
        return self.make_draws()

    def intervals(self, *, confidence: float = DEFAULT_CONFIDENCE) -> list[Interval]:
        """One interval a column, by what its values are: shares from 0 to 1, or any others."""
        _check_confidence(confidence)
        parts, weights = self.given.parts, self.given.weights
        shares = np.all((parts >= -ROUNDING) & (parts <= weights + ROUNDING), axis=0)
        low, high = share_ends(self.given, confidence=confidence)
        return [
            self._interval(column, (low[column], high[column]), confidence=confidence)
            if shares[column]
            else self._drawn(column, confidence=confidence)
            for column in range(len(self.means))
        ]

    def differences(self, *, confidence: float = DEFAULT_CONFIDENCE) -> list[PairedDifference]:
        """The columns as differences of two figures of the same rows."""
        _check_confidence(confidence)
        parts, weights = self.given.parts, self.given.weights
        of_shares = np.all(np.abs(parts) <= weights + ROUNDING, axis=0)
        low, high = difference_ends(self.given, confidence=confidence)
        p_values = sign_flips.p_values(parts, seed=self.seed, num_draws=self.num_draws)
        found = []
        for column, p_value in enumerate(p_values.tolist()):
            interval = (
                self._interval(column, (low[column], high[column]), confidence=confidence)
                if of_shares[column]
                else self._drawn(column, confidence=confidence)
            )
            if p_value > 1 - confidence:
                interval = replace(
                    interval, low=min(interval.low, 0.0), high=max(interval.high, 0.0)
                )
            found.append(PairedDifference(difference=interval, p_value=p_value))
        return found

    def over(self, columns: Sequence[int] | NDArray[np.int64]) -> BootstrapMeans:
        """The mean over some columns, each counted once, as a single column."""
        chosen = np.asarray(columns)

        def mean(values: Doubles) -> Doubles:
            if values.shape[1] == 1:
                return values
            return np.asarray(values[:, chosen].mean(axis=1, keepdims=True))

        return BootstrapMeans(
            means=self.means[chosen].mean(keepdims=True),
            num_clusters=self.num_clusters[chosen].max(keepdims=True),
            given=Contributions(
                parts=self.given.parts[:, chosen].mean(axis=1, keepdims=True),
                weights=mean(self.given.weights),
                deviations=self.given.deviations[:, chosen].mean(axis=1, keepdims=True),
            ),
            seed=self.seed,
            num_draws=self.num_draws,
            make_draws=lambda: np.nanmean(self.draws[:, chosen], axis=1, keepdims=True),
        )

    def less(self, other: BootstrapMeans) -> BootstrapMeans:
        """How much these columns are above those of another table of the same clusters."""
        mine, theirs = self.given, other.given
        return BootstrapMeans(
            means=self.means - other.means,
            num_clusters=np.minimum(self.num_clusters, other.num_clusters),
            given=Contributions(
                parts=mine.parts - theirs.parts,
                weights=(mine.weights + theirs.weights) / 2,
                deviations=mine.deviations - theirs.deviations,
            ),
            seed=self.seed,
            num_draws=self.num_draws,
            make_draws=lambda: self.draws - other.draws,
        )

    def _drawn(self, column: int, *, confidence: float) -> Interval:
        return interval_of(
            self.draws[:, column],
            mean=float(self.means[column]),
            num_clusters=int(self.num_clusters[column]),
            confidence=confidence,
        )

    def _interval(self, column: int, ends: tuple[float, float], *, confidence: float) -> Interval:
        mean = float(self.means[column])
        return Interval(
            mean=mean,
            low=min(mean, float(ends[0])),
            high=max(mean, float(ends[1])),
            confidence=confidence,
            num_draws=0,
            num_clusters=int(self.num_clusters[column]),
        )


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
    totals = counts.sum(axis=0)
    means = sums.sum(axis=0) / totals
    parts, weights = sums / totals, counts / totals
    return BootstrapMeans(
        means=means,
        num_clusters=np.broadcast_to((counts > 0).sum(axis=0), means.shape).astype(np.int64),
        given=Contributions(parts=parts, weights=weights, deviations=parts - means * weights),
        seed=seed,
        num_draws=num_draws,
        make_draws=lambda: draw_totals(sums, counts, seed=seed, num_draws=num_draws),
    )


def clustered_bootstrap(
    values: NDArray[np.floating[Any]],
    clusters: Clusters,
    *,
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Interval:
    """The mean of per-row values with its interval over clusters.

    Args:
        values: (N,), finite; hits of queries, say. Where all lie between 0 and 1 nothing is drawn.
        clusters: (N,) the cluster of each row; the image of each caption, say.
        seed: Of the draws.
        num_draws: B, 1 or more.
        confidence: In (0, 1).

    Raises:
        InputError: For shapes that do not fit, values that are not finite, or one cluster only.
        ConfigError: For a confidence outside (0, 1).

    >>> found = clustered_bootstrap(np.ones(4), ["a", "a", "b", "b"], seed=0)
    >>> found.mean, round(found.low, 2), found.high, found.num_clusters
    (1.0, 0.34, 1.0, 2)
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
        num_draws: B, 1 or more; the least p-value there can be is 1 / (B + 1).
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
    return found.differences(confidence=confidence)[0]


def interval_of(
    draws: Doubles,
    *,
    mean: float,
    num_clusters: int,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Interval:
    """The percentile interval of drawn values of one figure, widened for few clusters.

    Args:
        draws: (B,), for example `found.draws[:, columns].mean(axis=1)`; NaN counts for nothing.
        mean: The figure itself, which the interval holds even where all draws lie beside it.
        num_clusters: What was drawn from.
        confidence: In (0, 1).
    """
    _check_confidence(confidence)
    tail = expanded_tail(num_clusters, confidence=confidence)
    # Ignoring NaN is slow, and needed only where few clusters have a value.
    quantile = np.nanquantile if np.isnan(draws).any() else np.quantile
    low, high = quantile(draws, [tail, 1 - tail])
    return Interval(
        mean=mean,
        low=min(mean, float(low)),
        high=max(mean, float(high)),
        confidence=confidence,
        num_draws=len(draws),
        num_clusters=num_clusters,
    )


def share_interval_of(
    draws: Doubles, *, mean: float, num_clusters: int, confidence: float = DEFAULT_CONFIDENCE
) -> Interval:
    """The score interval of a figure from 0 to 1 that is no mean, from how much its draws vary.

    Args:
        draws: (B,), macro-F1 of drawn clusters, say.
        mean: The figure itself.
        num_clusters: What was drawn from.
        confidence: In (0, 1).
    """
    _check_confidence(confidence)
    low, high = share_ends_of(
        mean,
        variance=float(np.nanvar(draws)),
        num_clusters=num_clusters,
        confidence=confidence,
    )
    return Interval(
        mean=mean,
        low=low,
        high=high,
        confidence=confidence,
        num_draws=len(draws),
        num_clusters=num_clusters,
    )


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
            hint="ask about two images or more; one gives a value without an interval",
        )
    return np.asarray(groups, dtype=np.int64)


def _as_column(values: NDArray[np.floating[Any]]) -> Doubles:
    """(N,) as (N, 1)."""
    if values.ndim != 1:
        raise errors.InputError(
            f"values are {values.shape}; they are (N,)", hint="use bootstrap_means for columns"
        )
    return values.astype(np.float64)[:, None]


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise errors.ConfigError(
            f"confidence is {confidence}; it is above 0 and below 1", hint="0.95 is usual"
        )
