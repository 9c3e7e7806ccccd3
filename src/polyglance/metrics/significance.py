"""z-scores, correlations, fitted lines, and multiple testing over many languages.

Legend: N points (a model in a language, say), G clusters, B draws.

Everything is a function of figures that were measured already. Intervals come from drawing whole
clusters of points with replacement, as in `bootstrap`: a language that is hard is hard for every
model, so its points rise and fall together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics import bootstrap, draws
from polyglance.metrics.bootstrap import DEFAULT_CONFIDENCE, DEFAULT_DRAWS, Interval

Doubles = NDArray[np.float64]
# Scores by model and language.
Scores = Mapping[str, Mapping[str, float]]

# Three points lie on a line too easily: fewer are left out, and named.
LEAST_POINTS = 4


@dataclass(frozen=True, kw_only=True)
class ZScores:
    """How far each language stands from its model's mean, in standard deviations.

    Attributes:
        by_model: By model and language.
        mean: By language, over the models: which languages are hard for all of them.
    """

    by_model: Scores
    mean: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """How two scores go together over some points.

    Attributes:
        pearson: Of the values; the interval over clusters.
        spearman: Of their ranks.
        num_points: N.
    """

    pearson: Interval
    spearman: Interval
    num_points: int


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """How two scores of the same models go together.

    Attributes:
        over_languages: All points; the interval is about other languages.
        over_models: All points; the interval is about other models.
        by_model: For each model, over its languages.
        by_language: For each language, over its models.
        left_out: Models and languages with fewer than `LEAST_POINTS` points, or one value only.
    """

    over_languages: Correlation
    over_models: Correlation
    by_model: Mapping[str, Correlation]
    by_language: Mapping[str, Correlation]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through points, by least squares.

    Attributes:
        slope: Change of y for 1 of x.
        intercept: y at x = 0.
        explained: Share of the variance of y that the line explains, in [0, 1].
        num_points: N.
    """

    slope: Interval
    intercept: Interval
    explained: float
    num_points: int


def z_scores(scores: Scores) -> ZScores:
    """Standardise each model over its languages, then average over the models.

    Args:
        scores: By model and language; every model in the same two languages or more.

    Raises:
        InputError: For models in different languages, or with the same score in all of them.

    Source: uCLIP, figure 2 (R@10 on XM3600 of four models). It does not say which standard
    deviation; here it is that of the languages themselves (divided by their number).

    >>> z_scores({"a": {"x": 0.1, "y": 0.3}, "b": {"x": 0.6, "y": 0.8}}).mean
    {'x': -1.0, 'y': 1.0}
    """
    shared = _same_languages(scores)
    by_model: dict[str, dict[str, float]] = {}
    for model, values in scores.items():
        row = np.array([values[language] for language in shared])
        spread = row.std()
        if not np.isfinite(row).all() or spread <= 1e-12:
            raise errors.InputError(
                f"{model} has {'one value' if np.isfinite(row).all() else 'NaN or infinity'} in "
                f"its {len(row)} languages; a z-score needs values that differ",
                hint="leave that model out",
            )
        z = np.round((row - row.mean()) / spread, 12)
        by_model[model] = dict(zip(shared, z.tolist(), strict=True))
    mean = {
        language: float(np.mean([by_model[model][language] for model in scores]))
        for language in shared
    }
    return ZScores(by_model=by_model, mean=mean)


def correlate(
    first: Sequence[float] | Doubles,
    second: Sequence[float] | Doubles,
    *,
    clusters: Sequence[str] | Sequence[int],
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Correlation:
    """Pearson's and Spearman's correlation of points, with intervals over clusters.

    Args:
        first: (N,), finite, not all the same.
        second: (N,), finite, not all the same.
        clusters: (N,) what is drawn whole: the language of each point, or its model.
        seed: Of the draws.
        num_draws: B. Draws in which one list has a single value count for nothing.
        confidence: In (0, 1).

    Raises:
        InputError: For fewer than `LEAST_POINTS` points, lists that do not fit, NaN, or one value.
        ConfigError: For a confidence outside (0, 1).

    >>> found = correlate([1, 2, 3, 4], [1, 4, 9, 16], clusters=range(4), seed=0)
    >>> round(found.pearson.mean, 3), found.spearman.mean
    (0.984, 1.0)
    """
    x, y = _points(first, second, clusters)
    _, groups = np.unique(np.asarray(clusters), return_inverse=True)
    num_clusters = int(groups.max()) + 1
    drawn = draws.weight_parts(seed, num_draws=num_draws, num_clusters=num_clusters)
    # (1 + B, N): the first row is no draw.
    weights = np.concatenate([np.ones((1, len(x))), *(part[:, groups] for part in drawn)])

    def interval(a: Doubles, b: Doubles) -> Interval:
        values = _weighted_pearson(a, b, weights)
        return bootstrap.interval_of(
            values[1:], mean=float(values[0]), num_clusters=num_clusters, confidence=confidence
        )

    return Correlation(
        pearson=interval(x[None], y[None]),
        spearman=interval(_weighted_ranks(x, weights), _weighted_ranks(y, weights)),
        num_points=len(x),
    )


def correlations(
    first: Scores, second: Scores, *, seed: int, num_draws: int = DEFAULT_DRAWS
) -> Correlations:
    """How two scores go together, over all points, within each model and within each language.

    Args:
        first: By model and language, zero-shot accuracy say; points that one side lacks drop out.
        second: The other score, text-to-image R@1 say.
        seed: Of the draws.
        num_draws: B.

    Raises:
        InputError: Where fewer than `LEAST_POINTS` points have both.

    Source: Babel-ImageNet, figure 3: each point a model in a language.
    """
    points = [
        (model, language, value, second[model][language])
        for model, row in first.items()
        for language, value in row.items()
        if language in second.get(model, {})
    ]
    models, languages = [point[0] for point in points], [point[1] for point in points]
    x, y = [point[2] for point in points], [point[3] for point in points]
    by_model, by_language = (
        _within(kind, others, x, y, seed=seed, num_draws=num_draws)
        for kind, others in ((models, languages), (languages, models))
    )
    return Correlations(
        over_languages=correlate(x, y, clusters=languages, seed=seed, num_draws=num_draws),
        over_models=correlate(x, y, clusters=models, seed=seed, num_draws=num_draws),
        by_model=by_model,
        by_language=by_language,
        left_out=tuple(sorted({*models, *languages} - {*by_model, *by_language})),
    )


def fit_line(
    x: Sequence[float] | Doubles,
    y: Sequence[float] | Doubles,
    *,
    clusters: Sequence[str] | Sequence[int],
    seed: int,
    num_draws: int = DEFAULT_DRAWS,
    confidence: float = DEFAULT_CONFIDENCE,
) -> Line:
    """The line through points, with intervals from drawing clusters of points.

    Args:
        x: (N,), finite, not all the same.
        y: (N,), finite.
        clusters: (N,) what is drawn whole.
        seed: Of the draws.
        num_draws: B.
        confidence: In (0, 1).

    Raises:
        InputError: As `correlate`.

    >>> found = fit_line([0, 1, 2, 3], [1, 3, 5, 7], clusters=range(4), seed=0)
    >>> found.slope.mean, found.intercept.mean, found.explained
    (2.0, 1.0, 1.0)
    """
    across, up = _points(x, y, clusters)
    moments = np.stack([across, up, across * across, across * up, up * up], axis=1)
    found = bootstrap.bootstrap_means(moments, clusters=clusters, seed=seed, num_draws=num_draws)
    mean_x, mean_y, mean_xx, mean_xy, mean_yy = np.concatenate([found.means[None], found.draws]).T
    variance = mean_xx - mean_x**2
    usable = variance > 1e-12 * mean_xx[0]
    slopes = np.full_like(mean_x, np.nan)
    np.divide(mean_xy - mean_x * mean_y, variance, out=slopes, where=usable)
    intercepts = mean_y - slopes * mean_x
    total = mean_yy[0] - mean_y[0] ** 2
    explained = 1.0 if total <= 0 else float(slopes[0] ** 2 * variance[0] / total)

    def interval(values: Doubles) -> Interval:
        return bootstrap.interval_of(
            values[1:],
            mean=float(values[0]),
            num_clusters=int(found.num_clusters[0]),
            confidence=confidence,
        )

    return Line(
        slope=interval(slopes),
        intercept=interval(intercepts),
        explained=min(1.0, explained),
        num_points=len(across),
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: one error among all the tests is as rare as each says.

    Args:
        p_values: By name, each in [0, 1].

    Raises:
        InputError: For a p-value outside [0, 1].

    By hand: scipy has no such correction.
    Source: Holm, "A simple sequentially rejective multiple test procedure" (1979).

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    order = _ascending(p_values)
    found: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[name]))
        found[name] = highest
    return {name: found[name] for name in p_values}


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values: the share of errors among those called real is as each says.

    Args:
        p_values: By name, each in [0, 1].

    Raises:
        InputError: For a p-value outside [0, 1].

    Source: Benjamini and Hochberg, "Controlling the false discovery rate" (1995). It holds for
    tests that are independent or go together, as those of languages with the same images do.

    >>> benjamini_hochberg({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.04, 'c': 0.04}
    """
    from scipy import stats  # its import takes long, and a few commands alone need it

    _ascending(p_values)
    found = stats.false_discovery_control(list(p_values.values()), method="bh")
    return dict(zip(p_values, found.tolist(), strict=True))


def _same_languages(scores: Scores) -> list[str]:
    """The languages that all models have, sorted; refuses models that differ in them."""
    listed = [set(values) for values in scores.values()]
    shared = set.intersection(*listed) if listed else set()
    for model, values in scores.items():
        if set(values) != shared:
            odd = ", ".join(sorted(set(values) - shared)[:5])
            raise errors.InputError(
                f"{model} was measured in languages that other models lack: {odd}",
                hint="z-scores compare the same languages: take those that all models have",
            )
    if len(shared) < 2:
        raise errors.InputError(
            f"{len(shared)} languages; a z-score needs 2 or more", hint="measure more languages"
        )
    return sorted(shared)


def _within(
    kind: Sequence[str],
    others: Sequence[str],
    x: Sequence[float],
    y: Sequence[float],
    *,
    seed: int,
    num_draws: int,
) -> dict[str, Correlation]:
    """The correlation of each member of a kind over the others, where there is one."""
    found = {}
    for name in dict.fromkeys(kind):
        rows = [i for i, member in enumerate(kind) if member == name]
        a, b = [x[i] for i in rows], [y[i] for i in rows]
        if len(rows) >= LEAST_POINTS and len(set(a)) > 1 and len(set(b)) > 1:
            clusters = [others[i] for i in rows]
            found[name] = correlate(a, b, clusters=clusters, seed=seed, num_draws=num_draws)
    return found


def _points(
    first: Sequence[float] | Doubles,
    second: Sequence[float] | Doubles,
    clusters: Collection[object],
) -> tuple[Doubles, Doubles]:
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(clusters) != len(x) or len(x) < LEAST_POINTS:
        raise errors.InputError(
            f"{x.shape} and {y.shape} numbers with {len(clusters)} clusters; there are "
            f"{LEAST_POINTS} or more of each, as many of one as of the other",
            hint="give one number of each kind and one cluster for each point",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise errors.InputError("numbers hold NaN or infinity", hint="drop those points")
    if x.min() == x.max() or y.min() == y.max():
        raise errors.InputError(
            "one list has a single value throughout; there is nothing to go together",
            hint="look at what makes that score constant",
        )
    if len(set(clusters)) < 2:
        raise errors.InputError(
            "all points are of one cluster; there are 2 or more to draw from",
            hint="cluster by what differs between the points",
        )
    return x, y


def _weighted_pearson(x: Doubles, y: Doubles, weights: Doubles) -> Doubles:
    """Weighted correlation of points: (B or 1, N) values and (B, N) weights to (B,).

    NaN where one list has a single value.
    """
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    squares = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
    scale = np.square(x).max() * np.square(y).max() * np.square(total[:, 0])
    found = np.full(len(weights), np.nan)
    np.divide(
        (weights * x * y).sum(axis=1), np.sqrt(squares), out=found, where=squares > 1e-20 * scale
    )
    return np.asarray(np.clip(found, -1.0, 1.0))


def _weighted_ranks(values: Doubles, weights: Doubles) -> Doubles:
    """Weighted mean ranks of values: (N,) and (B, N) weights to (B, N)."""
    distinct, inverse = np.unique(values, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(distinct)))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)  # (B, distinct)
    ranks = np.cumsum(counts, axis=1) - (counts - 1) / 2
    return np.asarray(ranks[:, inverse])


def _ascending(p_values: Mapping[str, float]) -> list[str]:
    wrong = [name for name, p in p_values.items() if math.isnan(p) or not 0 <= p <= 1]
    if wrong:
        raise errors.InputError(
            f"p-values of {', '.join(wrong[:5])} are not between 0 and 1",
            hint="give what paired_difference calls p_value",
        )
    return sorted(p_values, key=lambda name: p_values[name])
