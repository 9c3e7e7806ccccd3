"""Drawn intervals of one column are those of `scipy.stats.bootstrap`, by percentiles.

SciPy draws rows, so every row is a cluster here. From the same seed both draw the same rows, and
so the same means. Ours is widened for few clusters, and holds its figure: SciPy is asked for that
wider confidence, and its ends are moved to the figure where all draws lie beside it.
"""

import numpy as np
from scipy import stats

from polyglance.metrics.bootstrap import bootstrap_means, clustered_bootstrap
from polyglance.metrics.intervals import expanded_tail

NUM_CASES, NUM_DRAWS = 1000, 200


def test_drawn_intervals_are_those_of_scipy():
    random = np.random.default_rng(0)
    for seed in range(NUM_CASES):
        size = int(random.integers(2, 40))
        # Not shares, which get score intervals; whole numbers are level in many draws.
        values = random.standard_normal(size) * 3
        if seed % 2:
            values = np.concatenate([np.round(values), [5.0]])
        confidence = float(random.choice([0.8, 0.95, 0.99]))
        tail = expanded_tail(len(values), confidence=confidence)
        theirs = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=NUM_DRAWS,
            batch=NUM_DRAWS,
            confidence_level=1 - 2 * tail,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        rows = np.arange(len(values))
        drawn = bootstrap_means(values[:, None], clusters=rows, seed=seed, num_draws=NUM_DRAWS)
        np.testing.assert_allclose(
            drawn.draws[:, 0], theirs.bootstrap_distribution, atol=1e-9, rtol=0
        )
        ours = clustered_bootstrap(
            values, rows, seed=seed, num_draws=NUM_DRAWS, confidence=confidence
        )
        ends = theirs.confidence_interval
        wanted = min(ends.low, ours.mean), max(ends.high, ours.mean)
        np.testing.assert_allclose((ours.low, ours.high), wanted, atol=1e-9, rtol=0)
        np.testing.assert_allclose(ours.mean, values.mean(), atol=1e-9, rtol=0)
        assert ours.num_draws == NUM_DRAWS
