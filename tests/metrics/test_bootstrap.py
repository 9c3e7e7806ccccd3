"""Intervals over clusters against literal versions, and what they must and must not show."""

import itertools

import numpy as np
import pytest
from scipy import special

from polyglance.errors import ConfigError, InputError
from polyglance.metrics import draws
from polyglance.metrics.bootstrap import (
    bootstrap_means,
    clustered_bootstrap,
    interval_of,
    paired_difference,
    share_interval_of,
)
from polyglance.metrics.group_means import group_means
from polyglance.metrics.intervals import expanded_tail


def make_rows(*, num_clusters, seed, columns=1):
    """Clusters of one to five rows that share an effect."""
    random = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(num_clusters), random.integers(1, 6, num_clusters))
    effect = random.standard_normal((num_clusters, columns))
    return effect[clusters] + 0.1 * random.standard_normal((len(clusters), columns)), clusters


def test_a_draw_is_the_mean_of_all_rows_of_the_drawn_clusters(monkeypatch):
    values, clusters = make_rows(num_clusters=7, seed=0, columns=3)
    shuffled = np.random.default_rng(1).permutation(len(values))
    weights = []
    whole = draws._draw_weights

    def recorded(random, **sizes):
        weights.append(whole(random, **sizes))
        return weights[-1]

    monkeypatch.setattr(draws, "_draw_weights", recorded)
    found = bootstrap_means(values[shuffled], clusters=clusters[shuffled], seed=2, num_draws=5)
    for draw, times in zip(found.draws, weights[0], strict=True):
        assert times.sum() == 7
        rows = [v for v, c in zip(values, clusters, strict=True) for _ in range(int(times[c]))]
        assert draw == pytest.approx(np.mean(rows, axis=0))
    assert found.means == pytest.approx(values.mean(axis=0))


def test_the_interval_equals_a_literal_loop_in_distribution():
    values, clusters = make_rows(num_clusters=40, seed=3)
    found = clustered_bootstrap(values[:, 0], clusters, seed=4, num_draws=4000)
    random = np.random.default_rng(5)
    means = []
    for _ in range(4000):
        drawn = random.integers(0, 40, 40)
        means.append(np.concatenate([values[clusters == each, 0] for each in drawn]).mean())
    tail = expanded_tail(40, confidence=0.95)
    low, high = np.quantile(means, [tail, 1 - tail])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.06 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)


def test_ignoring_clusters_would_be_too_sure():
    values, clusters = make_rows(num_clusters=60, seed=6)
    wide = clustered_bootstrap(values[:, 0], clusters, seed=7)
    narrow = clustered_bootstrap(values[:, 0], np.arange(len(values)), seed=7)
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(8)
    covered = 0
    for trial in range(200):
        clusters = np.repeat(np.arange(50), 2)
        values = random.standard_normal(50)[clusters] + random.standard_normal(100)
        found = clustered_bootstrap(values, clusters, seed=trial, num_draws=200, confidence=0.9)
        covered += found.low <= 0 <= found.high
    assert 0.82 <= covered / 200 <= 0.96


def test_the_same_seed_gives_the_same_interval_and_names_do_as_numbers_do():
    values, clusters = make_rows(num_clusters=30, seed=9)
    names = [f"image-{each:03d}" for each in clusters]
    first = clustered_bootstrap(values[:, 0], clusters, seed=10)
    assert first == clustered_bootstrap(values[:, 0], names, seed=10)
    assert first != clustered_bootstrap(values[:, 0], clusters, seed=11)
    assert first.low < first.mean < first.high
    assert (first.confidence, first.num_draws, first.num_clusters) == (0.95, 1000, 30)


def test_drawing_in_parts_changes_nothing(monkeypatch):
    values, clusters = make_rows(num_clusters=12, seed=12, columns=2)
    whole = bootstrap_means(values, clusters=clusters, seed=13, num_draws=50)
    monkeypatch.setattr(draws, "WEIGHT_BUDGET", 12 * 7)
    parts = bootstrap_means(values, clusters=clusters, seed=13, num_draws=50)
    assert parts.draws == pytest.approx(whole.draws)


def test_a_draw_is_the_least_part(monkeypatch):
    monkeypatch.setattr(draws, "WEIGHT_BUDGET", 5)
    parts = list(draws.weight_parts(3, num_draws=4, num_clusters=12))
    assert [part.shape for part in parts] == [(1, 12)] * 4


def test_columns_that_lack_rows_share_the_draws():
    values, clusters = make_rows(num_clusters=20, seed=14, columns=2)
    present = np.ones(values.shape, dtype=bool)
    present[clusters >= 15, 1] = False
    values[~present] = np.nan
    found = bootstrap_means(values, clusters=clusters, seed=15, present=present)
    kept = clusters < 15
    assert found.means == pytest.approx([values[:, 0].mean(), values[kept, 1].mean()])
    assert found.num_clusters.tolist() == [20, 15]
    alone = bootstrap_means(values[:, :1], clusters=clusters, seed=15)
    assert found.draws[:, :1] == pytest.approx(alone.draws)


def test_a_draw_without_any_row_of_a_column_has_no_value_there():
    present = np.array([[True, True], [True, False], [True, False]])
    found = bootstrap_means(
        np.ones((3, 2)), clusters=[0, 1, 2], seed=16, num_draws=200, present=present
    )
    lacking = np.isnan(found.draws[:, 1])
    assert 0 < lacking.sum() < 200
    assert not np.isnan(found.draws[:, 0]).any()
    shares = found.intervals()
    assert [each.high for each in shares] == [1.0, 1.0]
    # Of one cluster alone nothing is known of others.
    assert shares[1].low == pytest.approx(0.0, abs=1e-6)
    assert shares[0].low > 0.4


def test_a_figure_made_of_columns_is_read_from_the_shared_draws():
    values, clusters = make_rows(num_clusters=25, seed=17, columns=4)
    found = bootstrap_means(values, clusters=clusters, seed=18)
    mean = interval_of(
        found.draws.mean(axis=1), mean=float(found.means.mean()), num_clusters=25, confidence=0.8
    )
    alone = clustered_bootstrap(values.mean(axis=1), clusters, seed=18, confidence=0.8)
    assert mean.low == pytest.approx(alone.low)
    assert mean.high == pytest.approx(alone.high)
    assert mean.mean == pytest.approx(alone.mean)
    over = found.over(range(4)).intervals(confidence=0.8)[0]
    assert (over.mean, over.low, over.high) == pytest.approx((mean.mean, mean.low, mean.high))


def test_pairs_show_a_difference_that_apart_would_drown():
    values, clusters = make_rows(num_clusters=80, seed=19)
    better = values[:, 0] + 0.05
    found = paired_difference(better, values[:, 0], clusters=clusters, seed=20)
    assert 0.04 < found.difference.low <= found.difference.high < 0.06
    assert found.p_value == pytest.approx(1 / 1001)
    back = paired_difference(values[:, 0], better, clusters=clusters, seed=20)
    assert back.difference.mean == pytest.approx(-0.05)
    assert back.p_value == found.p_value


def test_no_difference_has_no_small_p_value():
    values, clusters = make_rows(num_clusters=80, seed=21)
    assert paired_difference(values[:, 0], values[:, 0], clusters=clusters, seed=22).p_value == 1.0
    random = np.random.default_rng(23)
    small = 0
    for trial in range(100):
        noise = random.standard_normal((2, 60))
        found = paired_difference(*noise, clusters=np.arange(60), seed=trial, num_draws=200)
        assert 0 < found.p_value <= 1
        small += found.p_value < 0.05
    assert small <= 14


def hits_of_clusters(random, *, rate, num_clusters, size, columns, models=1):
    """Hits at a known rate, half of the latent variance the cluster's, (N, columns) a model."""
    shared = np.repeat(random.standard_normal((num_clusters, columns)), size, axis=0)
    limit = np.sqrt(2) * special.ndtri(rate)
    return [
        (shared + random.standard_normal(shared.shape) < limit).astype(float) for _ in range(models)
    ]


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize(("num_clusters", "rate"), [(30, 0.95), (100, 0.02), (30, 0.5), (8, 0.2)])
def test_score_intervals_hold_the_rate(num_clusters, rate, size):
    """Percentiles of draws held 77 % at 30 clusters and 0.95, 86 % at 100 and 0.02."""
    random = np.random.default_rng(24)
    clusters = np.repeat(np.arange(num_clusters), size)
    shape = {"num_clusters": num_clusters, "size": size, "columns": 2000}
    (hits,) = hits_of_clusters(random, rate=rate, **shape)
    spans = bootstrap_means(hits, clusters=clusters, seed=0).intervals()
    assert np.mean([span.low <= rate <= span.high for span in spans]) >= 0.93
    assert all(span.low <= span.mean <= span.high for span in spans)
    assert all(span.low >= 0 and span.high <= 1 for span in spans)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize(("num_clusters", "rates"), [(30, (0.9, 0.8)), (100, (0.02, 0.06))])
def test_score_intervals_hold_the_difference(num_clusters, rates, size):
    random = np.random.default_rng(25)
    clusters = np.repeat(np.arange(num_clusters), size)
    shared = np.repeat(random.standard_normal((num_clusters, 2000)), size, axis=0)
    first, second = (
        (shared + random.standard_normal(shared.shape) < np.sqrt(2) * special.ndtri(rate))
        for rate in rates
    )
    gains = first.astype(float) - second
    pairs = bootstrap_means(gains, clusters=clusters, seed=0, num_draws=200).differences()
    truth = rates[0] - rates[1]
    spans = [pair.difference for pair in pairs]
    assert np.mean([span.low <= truth <= span.high for span in spans]) >= 0.93
    assert all(span.low <= span.mean <= span.high for span in spans)


def test_few_queries_that_differ_prove_nothing():
    """Four that differ were below 0.05 in 16 of 100 comparisons of equal models."""
    for lost in range(3):
        first, second = np.ones(40), np.ones(40)
        second[:4] = 0
        first[:lost], second[:lost] = 0, 1
        found = paired_difference(first, second, clusters=range(40), seed=0)
        ways = [sum(signs) for signs in itertools.product((1, -1), repeat=4)]
        beyond = np.mean([abs(way) >= 4 - 2 * lost for way in ways])
        assert found.p_value == beyond >= 0.125
        assert found.difference.low <= 0 <= found.difference.high
    six = np.zeros(40)
    six[:6] = 1
    found = paired_difference(six, np.zeros(40), clusters=range(40), seed=0)
    assert found.p_value == 2 / 2**6
    assert found.difference.low > 0


def test_captions_of_one_image_differ_as_one():
    first, second = np.ones(60), np.ones(60)
    second[:12] = 0  # all captions of four images
    found = paired_difference(first, second, clusters=np.arange(60) // 3, seed=0)
    assert found.p_value == 0.125


def test_equal_models_differ_as_often_as_the_p_value_says():
    random = np.random.default_rng(26)
    first, second = hits_of_clusters(
        random, rate=0.5, num_clusters=60, size=2, columns=1000, models=2
    )
    pairs = bootstrap_means(
        first - second, clusters=np.arange(120) // 2, seed=0, num_draws=400
    ).differences()
    assert 0.02 < np.mean([pair.p_value <= 0.05 for pair in pairs]) < 0.07
    for pair in pairs:
        assert pair.p_value <= 0.05 or pair.difference.low <= 0 <= pair.difference.high


def test_a_table_less_another_is_the_difference_of_both():
    random = np.random.default_rng(27)
    first, second = hits_of_clusters(random, rate=0.4, num_clusters=20, size=3, columns=4, models=2)
    clusters = np.arange(60) // 3
    both = [bootstrap_means(hits, clusters=clusters, seed=1) for hits in (first, second)]
    apart = both[0].less(both[1]).over([1, 3]).differences()[0]
    gain = (first - second)[:, [1, 3]].mean(axis=1)
    alone = bootstrap_means(gain[:, None], clusters=clusters, seed=1).differences()[0]
    assert apart.p_value == alone.p_value
    assert apart.difference.low == pytest.approx(alone.difference.low)
    assert apart.difference.high == pytest.approx(alone.difference.high)
    mean = both[0].less(both[1]).draws[:, [1, 3]].mean(axis=1)
    assert both[0].less(both[1]).over([1, 3]).draws[:, 0] == pytest.approx(mean)


def test_every_interval_holds_its_value():
    beside = np.full(100, 0.5)
    assert interval_of(beside, mean=0.4, num_clusters=9).low == 0.4
    assert interval_of(beside, mean=0.6, num_clusters=9).high == 0.6
    held = share_interval_of(beside, mean=0.4, num_clusters=9)
    assert 0 < held.low < 0.4 < held.high < 1


def test_groups_name_their_missing_members():
    found = group_means(
        {"deu": 0.5, "fra": 1.0, "hin": 0.25},
        groups={"high": ["fra", "deu"], "low": ["hin", "quz", "bho"], "none": ["xyz"]},
    )
    assert list(found) == ["high", "low", "none"]
    assert (found["high"].mean, found["high"].num_members) == (0.75, 2)
    assert (found["low"].mean, found["low"].missing) == (0.25, ("bho", "quz"))
    assert (found["none"].mean, found["none"].num_members) == (None, 0)


ROWS = np.ones((4, 2))


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (np.ones(4), {"clusters": [0, 1, 2, 3]}, r"they are \(N, K\)"),
        (ROWS, {"clusters": [0, 1]}, "with 2 clusters"),
        (ROWS, {"clusters": [0, 0, 0, 0]}, "1 cluster is too few"),
        (np.full((4, 2), np.nan), {"clusters": [0, 1, 2, 3]}, "NaN"),
        (ROWS, {"clusters": [0, 1, 2, 3], "present": np.ones((4, 1), dtype=bool)}, "present is"),
        (
            ROWS,
            {"clusters": [0, 1, 2, 3], "present": np.array([[True, False]] * 4)},
            r"columns \[1\]",
        ),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(values, settings, message):
    with pytest.raises(InputError, match=message):
        bootstrap_means(values, seed=0, **settings)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="num_draws is 0"):
        bootstrap_means(ROWS, clusters=[0, 1, 2, 3], seed=0, num_draws=0)
    for confidence in (0.0, 1.0, 95.0):
        with pytest.raises(ConfigError, match="confidence"):
            clustered_bootstrap(np.ones(3), [0, 1, 2], seed=0, confidence=confidence)
    with pytest.raises(InputError, match="they are"):
        clustered_bootstrap(ROWS, [0, 1, 2, 3], seed=0)
    with pytest.raises(InputError, match="no pairs"):
        paired_difference(np.ones(3), np.ones(4), clusters=[0, 1, 2], seed=0)
