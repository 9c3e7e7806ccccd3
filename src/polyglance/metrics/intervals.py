"""Score intervals over clusters, for a share and for the difference of two shares.

Legend: G clusters (images), K figures (metrics, languages).

The bootstrap's percentiles promise too much where little varies: a rate of 95 % over 30 images was
covered 77 % of the time. A score interval asks which true values the observation does not refute,
and needs no variance at the edge: Wilson's for a share, Tango's for the difference of two shares of
the same queries. Captions of one image rise and fall together, so that N captions are worth fewer
independent ones: as many as would give the variance that the clusters show (the design effect).
That variance rests on the clusters that differ from the rest. Where those are few it is held
halfway to the worst case, all rows of a cluster alike, by `PRIOR_CLUSTERS`.

Source: Wilson, "Probable inference" (1927); Tango, "Equivalence test and confidence interval for
the difference in proportions for the paired-sample design" (1998); Korn and Graubard, "Confidence
intervals for proportions with small expected number of positive counts" (1998), for the design
effect with a t quantile. The prior is ours; `make bench NAME=interval-coverage` measures it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Doubles = NDArray[np.float64]

# Clusters' worth of the worst case. Of 0.1 to 1, this keeps rare rates in clusters of five between
# 93 and 97 % whatever their correlation; none at all lets them fall to 84 %.
PRIOR_CLUSTERS = 0.25
# So few rows refute nothing.
NEXT_TO_NONE = 1e-9
# Halvings of the range in which an end of Tango's interval lies: to 1e-12.
HALVINGS = 42


@dataclass(frozen=True, kw_only=True, eq=False)
class Contributions:
    """What each cluster gives to K figures.

    Attributes:
        parts: (G, K), which sum to the figures.
        weights: (G, K) or (G, 1), shares of the rows behind a figure, which sum to 1.
        deviations: (G, K), part - figure x weight; the sum of their squares is the variance.
    """

    parts: Doubles
    weights: Doubles
    deviations: Doubles


def share_ends(given: Contributions, *, confidence: float) -> tuple[Doubles, Doubles]:
    """Both ends for figures from 0 to 1, (K,) each: Wilson's, at the effective number of rows.

    Args:
        given: Each part from 0 to its weight.
        confidence: In (0, 1).

    >>> fair = np.full((4, 1), 0.25)
    >>> half = Contributions(
    ...     parts=np.array([[0.25], [0.25], [0.0], [0.0]]),
    ...     weights=fair,
    ...     deviations=np.array([[0.125], [0.125], [-0.125], [-0.125]]),
    ... )
    >>> low, high = share_ends(half, confidence=0.95)
    >>> bool(0.05 < low[0] < 0.5 < high[0] < 0.95)
    True
    """
    figures = np.clip(given.parts.sum(axis=0), 0.0, 1.0)
    spread = figures * (1 - figures)
    # What is rare decides how sure the variance is: the hits, or the misses.
    rare = np.where(figures <= 0.5, given.parts, given.weights - given.parts)
    rows = _effective_rows(given, spread=spread, carried=rare, confidence=confidence)
    return _wilson(figures, rows=rows, z=_normal(confidence))


def share_ends_of(
    figure: float, *, variance: float, num_clusters: int, confidence: float
) -> tuple[float, float]:
    """Both ends for one figure from 0 to 1 of which only the variance is known, as of macro-F1.

    Args:
        figure: The figure itself.
        variance: Of its drawn values.
        num_clusters: What was drawn from.
        confidence: In (0, 1).

    >>> low, high = share_ends_of(1.0, variance=0.0, num_clusters=30, confidence=0.95)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    spread = figure * (1 - figure)
    carried = num_clusters * min(figure, 1 - figure)
    effect = _design_effect(
        np.array([num_clusters * variance]),
        np.array([spread]),
        np.array([num_clusters]),
        confidence,
    )
    rows = num_clusters * (carried + PRIOR_CLUSTERS) / (carried * effect + PRIOR_CLUSTERS)
    low, high = _wilson(np.array([figure]), rows=rows, z=_normal(confidence))
    return float(low[0]), float(high[0])


def difference_ends(given: Contributions, *, confidence: float) -> tuple[Doubles, Doubles]:
    """Both ends for figures from -1 to 1, differences of shares, (K,) each: Tango's.

    Args:
        given: Each part from minus its weight to its weight.
        confidence: In (0, 1).

    >>> same = np.full((30, 1), 1 / 30)
    >>> none = Contributions(parts=0 * same, weights=same, deviations=0 * same)
    >>> [round(float(end[0]), 3) for end in difference_ends(none, confidence=0.95)]
    [-0.114, 0.114]
    """
    up = np.maximum(given.parts, 0).sum(axis=0)
    down = np.maximum(-given.parts, 0).sum(axis=0)
    figures = up - down
    spread = np.maximum(0.0, up + down - figures**2)
    rows = _effective_rows(given, spread=spread, carried=np.abs(given.parts), confidence=confidence)
    limit = _normal(confidence) ** 2

    def refuted(true: Doubles) -> NDArray[np.bool_]:
        # The chance of a loss is the likeliest one where up - down is truly `true`.
        b = -(up + down) + (2 - figures) * true
        root = np.sqrt(np.maximum(0.0, b**2 + 8 * down * true * (1 - true)))
        loss = (root - b) / 4
        variance = np.maximum(0.0, 2 * loss + true - true**2) / rows
        return np.asarray((figures - true) ** 2 > limit * variance)

    ends = []
    for edge in (-1.0, 1.0):
        inside, outside = figures, np.full_like(figures, edge)
        open_ended = ~refuted(outside)
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            out = refuted(middle)
            inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
        ends.append(np.where(open_ended, edge, inside))
    return np.minimum(ends[0], figures), np.maximum(ends[1], figures)


def expanded_tail(num_clusters: int, *, confidence: float) -> float:
    """Which share of draws lies outside on each side, for few clusters: less than of many.

    Draws of G clusters vary by (G - 1) / G of what they should, and G are few for a normal
    quantile.

    Source: Hesterberg, "What teachers should know about the bootstrap" (2015), section 5.3.

    >>> round(expanded_tail(10**6, confidence=0.95), 4), expanded_tail(10, confidence=0.95) < 0.01
    (0.025, True)
    """
    if num_clusters < 2:
        return 0.0
    wide = math.sqrt(num_clusters / (num_clusters - 1))
    return float(special.ndtr(-wide * special.stdtrit(num_clusters - 1, (1 + confidence) / 2)))


def _normal(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))


def _wilson(figures: Doubles, *, rows: Doubles, z: float) -> tuple[Doubles, Doubles]:
    """Values that so many rows do not refute, which hold the figure itself."""
    with np.errstate(divide="ignore"):
        excess = z**2 / rows
    middle = (figures + excess / 2) / (1 + excess)
    half = np.sqrt(excess * figures * (1 - figures) + excess**2 / 4) / (1 + excess)
    return np.clip(middle - half, 0.0, figures), np.clip(middle + half, figures, 1.0)


def _effective_rows(
    given: Contributions, *, spread: Doubles, carried: Doubles, confidence: float
) -> Doubles:
    """How many independent rows the clusters are worth, (K,).

    Args:
        given: Of K figures.
        spread: (K,), the variance of one independent row.
        carried: (G, K), not negative: what the variance rests on.
        confidence: Of the interval.
    """
    present = np.broadcast_to(given.weights, given.parts.shape) > 0
    num_clusters = present.sum(axis=0)
    # Clusters of unequal sizes are worth fewer equal ones.
    alike = _kish(np.broadcast_to(given.weights, given.parts.shape))
    variances = np.square(given.deviations).sum(axis=0)
    effect = _design_effect(alike * variances, spread, num_clusters, confidence)
    informing = _kish(carried)
    rows = alike * (informing + PRIOR_CLUSTERS) / (informing * effect + PRIOR_CLUSTERS)
    # One cluster says nothing of others: nothing is refuted.
    return np.where(num_clusters > 1, rows, NEXT_TO_NONE)


def _design_effect(
    of_clusters: Doubles, spread: Doubles, num_clusters: NDArray[np.integer], confidence: float
) -> Doubles:
    """Variance of a cluster over that of a row, widened as an estimate of so many clusters is."""
    freedom = np.maximum(num_clusters - 1, 1)
    quantiles = special.stdtrit(freedom, (1 + confidence) / 2)
    wider = num_clusters / freedom * (quantiles / _normal(confidence)) ** 2
    found = np.ones_like(spread)
    np.divide(of_clusters, spread, out=found, where=spread > 0)
    return np.asarray(found * wider)


def _kish(values: Doubles) -> Doubles:
    """Kish's effective number of values of each column, (G, K) to (K,); 0 for none."""
    squares = np.square(values).sum(axis=0)
    found = np.zeros(values.shape[1])
    np.divide(np.square(values.sum(axis=0)), squares, out=found, where=squares > 0)
    return found
