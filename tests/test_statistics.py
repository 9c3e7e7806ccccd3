"""Bootstrap by clusters against literal versions, and what it must and must not show."""

import numpy as np
import pytest

from polyglance import statistics
from polyglance.errors import ConfigError, InputError
from polyglance.statistics import (
    bootstrap_means,
    clustered_bootstrap,
    group_means,
    interval_of,
    paired_difference,
)


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
    whole = statistics._draw_weights

    def recorded(random, **sizes):
        weights.append(whole(random, **sizes))
        return weights[-1]

    monkeypatch.setattr(statistics, "_draw_weights", recorded)
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
    low, high = np.quantile(means, [0.025, 0.975])
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
    monkeypatch.setattr(statistics, "WEIGHT_BUDGET", 12 * 7)
    parts = bootstrap_means(values, clusters=clusters, seed=13, num_draws=50)
    assert parts.draws == pytest.approx(whole.draws)


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
    assert [each.low for each in found.intervals()] == [1.0, 1.0]


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


def test_pairs_show_a_difference_that_apart_would_drown():
    values, clusters = make_rows(num_clusters=80, seed=19)
    better = values[:, 0] + 0.05
    found = paired_difference(better, values[:, 0], clusters=clusters, seed=20)
    assert found.difference.low == pytest.approx(0.05)
    assert found.p_value == pytest.approx(2 / 1001)
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
