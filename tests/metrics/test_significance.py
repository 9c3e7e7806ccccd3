"""z-scores, correlations, lines and corrections against hand-worked and naive references."""

import json
import warnings

import numpy as np
import pytest

from polyglance import errors
from polyglance.languages import registry
from polyglance.metrics import retrieval
from polyglance.metrics.draws import weight_parts
from polyglance.metrics.intervals import expanded_tail
from polyglance.metrics.significance import (
    benjamini_hochberg,
    correlate,
    correlations,
    fit_line,
    holm,
    z_scores,
)
from shared_data import SHARED


def test_z_scores_by_hand():
    # Means 0.5 and 0.2; deviations sqrt(0.02/3 ...) worked out: 0.1 * sqrt(2/3), 0.2 * sqrt(2/3).
    found = z_scores({"a": {"x": 0.4, "y": 0.5, "z": 0.6}, "b": {"x": 0.4, "y": 0.2, "z": 0.0}})
    one = np.sqrt(1.5)
    assert found.by_model["a"] == pytest.approx({"x": -one, "y": 0, "z": one})
    assert found.by_model["b"] == pytest.approx({"x": one, "y": 0, "z": -one})
    assert found.mean == pytest.approx({"x": 0, "y": 0, "z": 0})


def test_z_scores_do_not_depend_on_how_good_a_model_is():
    weak = {"x": 0.01, "y": 0.02, "z": 0.05}
    strong = {name: 0.5 + 8 * value for name, value in weak.items()}
    found = z_scores({"weak": weak, "strong": strong})
    assert found.by_model["weak"] == pytest.approx(found.by_model["strong"])


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"a": {"x": 1.0, "y": 2.0}, "b": {"x": 1.0}}, "other models lack: y"),
        ({"a": {"x": 1.0}}, "needs 2 or more"),
        ({}, "needs 2 or more"),
        ({"a": {"x": 0.3, "y": 0.3}}, "one value"),
        ({"a": {"x": 0.3, "y": float("nan")}}, "NaN"),
    ],
)
def test_z_scores_refuse(scores, said):
    with pytest.raises(errors.InputError, match=said):
        z_scores(scores)


# Of 9 clusters, a little wider than 2.5 % on each side.
TAIL = expanded_tail(9, confidence=0.95)
ENDS = [TAIL, 1 - TAIL]


def random_points(seed=0, num_points=40, num_clusters=9):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 12, num_points) / 12  # with ties
    y = x + 0.5 * rng.standard_normal(num_points)
    return x, y, rng.permutation(num_points) % num_clusters


def test_correlations_are_those_of_numpy_and_of_the_metric():
    x, y, clusters = random_points()
    found = correlate(x, y, clusters=clusters, seed=0)
    assert found.pearson.mean == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.spearman.mean == pytest.approx(retrieval.spearman(x, y))
    assert found.num_points == 40
    assert found.pearson.num_clusters == 9


def test_intervals_are_those_of_rows_drawn_one_by_one():
    x, y, clusters = random_points()
    found = correlate(x, y, clusters=clusters, seed=3, num_draws=50)
    pearson, spearman = [], []
    for weights in next(weight_parts(3, num_draws=50, num_clusters=9)):
        rows = [i for i, c in enumerate(clusters) for _ in range(int(weights[c]))]
        pearson.append(np.corrcoef(x[rows], y[rows])[0, 1])
        spearman.append(retrieval.spearman(x[rows], y[rows]))
    for interval, drawn in ((found.pearson, pearson), (found.spearman, spearman)):
        assert (interval.low, interval.high) == pytest.approx(np.quantile(drawn, ENDS))


def test_draws_without_variation_do_not_count():
    # Two clusters of one value each: half of the draws hold one cluster only.
    found = correlate([0, 0, 1, 1], [0, 0, 2, 2], clusters=["a", "a", "b", "b"], seed=0)
    assert found.pearson.low == pytest.approx(1)
    assert found.spearman.high == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "clusters", "said"),
    [
        ([1, 2, 3], [1, 2, 3], range(3), "4 or more"),
        ([1, 2, 3, 4], [1, 2, 3], range(4), "as many of one"),
        ([1, 2, 3, float("nan")], [1, 2, 3, 4], range(4), "NaN"),
        ([1, 1, 1, 1], [1, 2, 3, 4], range(4), "single value"),
        ([1, 2, 3, 4], [1, 2, 3, 5], "aaaa", "one cluster"),
    ],
)
def test_correlations_refuse(x, y, clusters, said):
    for function in (correlate, fit_line):
        with pytest.raises(errors.InputError, match=said):
            function(x, y, clusters=list(clusters), seed=0)


def scores(seed, num_models=5, num_languages=8):
    rng = np.random.default_rng(seed)
    skill = np.linspace(0.2, 0.8, num_models)[:, None] * np.linspace(0.3, 1, num_languages)
    noisy = skill + 0.02 * rng.standard_normal(skill.shape)
    return {f"m{i}": {f"l{j}": row[j] for j in range(num_languages)} for i, row in enumerate(noisy)}


def test_correlations_over_all_points_and_within():
    first, second = scores(0), scores(1)
    found = correlations(first, second, seed=0, num_draws=200)
    x = [value for row in first.values() for value in row.values()]
    y = [value for row in second.values() for value in row.values()]
    assert found.over_languages.pearson.mean == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.over_models.pearson.mean == pytest.approx(found.over_languages.pearson.mean)
    assert found.over_models.pearson.num_clusters == 5
    assert found.over_languages.pearson.num_clusters == 8
    inside = np.corrcoef(list(first["m2"].values()), list(second["m2"].values()))[0, 1]
    assert found.by_model["m2"].pearson.mean == pytest.approx(inside)
    assert found.by_language["l3"].num_points == 5
    assert found.left_out == ()


def test_points_that_one_side_lacks_drop_out_and_small_groups_are_named():
    first, second = scores(0), scores(1)
    del second["m4"]
    first["m0"] = {"l0": 0.1, "l1": 0.2}
    found = correlations(first, second, seed=0, num_draws=50)
    assert found.over_languages.num_points == 3 * 8 + 2
    assert set(found.by_model) == {"m1", "m2", "m3"}
    assert set(found.by_language) == {"l0", "l1"}
    assert found.left_out == ("l2", "l3", "l4", "l5", "l6", "l7", "m0")


def test_nothing_in_common():
    with pytest.raises(errors.InputError, match="4 or more"):
        correlations(scores(0), {}, seed=0)


def test_a_line_is_that_of_least_squares():
    x, y, clusters = random_points(1)
    found = fit_line(x, y, clusters=clusters, seed=3, num_draws=50)
    slope, intercept = np.polyfit(x, y, 1)
    assert found.slope.mean == pytest.approx(slope)
    assert found.intercept.mean == pytest.approx(intercept)
    assert found.explained == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    drawn = []
    for weights in next(weight_parts(3, num_draws=50, num_clusters=9)):
        rows = [i for i, c in enumerate(clusters) for _ in range(int(weights[c]))]
        drawn.append(np.polyfit(x[rows], y[rows], 1)[0])
    expected = np.quantile(drawn, ENDS)
    assert (found.slope.low, found.slope.high) == pytest.approx(expected)


def test_holm_by_hand():
    # Ascending 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; never falling.
    p = {"d": 0.01, "a": 0.04, "b": 0.03, "c": 0.005}
    assert holm(p) == pytest.approx({"d": 0.03, "a": 0.06, "b": 0.06, "c": 0.02})
    assert list(holm(p)) == list(p)


def test_benjamini_hochberg_by_hand():
    # Ascending 0.005, 0.01, 0.03, 0.04 times 4/1, 4/2, 4/3, 4/4; never falling from the end.
    p = {"d": 0.01, "a": 0.04, "b": 0.03, "c": 0.005}
    expected = {"d": 0.02, "a": 0.04, "b": 0.04, "c": 0.02}
    assert benjamini_hochberg(p) == pytest.approx(expected)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_corrections_never_pass_one_and_never_help(correct):
    p = {str(i): value for i, value in enumerate([0.9, 0.5, 1.0, 0.2, 0.2])}
    found = correct(p)
    assert all(p[name] <= found[name] <= 1 for name in p)
    assert correct({}) == {}
    with pytest.raises(errors.InputError, match="not between 0 and 1"):
        correct({"a": 1.2})


def test_holm_is_never_below_benjamini_hochberg():
    rng = np.random.default_rng(0)
    p = {str(i): float(v) for i, v in enumerate(rng.uniform(0, 0.1, 30))}
    strict, loose = holm(p), benjamini_hochberg(p)
    assert all(strict[name] >= loose[name] for name in p)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real data at {SHARED}")
def test_published_models_in_babel_imagenet_go_together():
    """Two releases of one model family: languages hard for one are hard for the other."""
    found = {}
    for name in ("nllb-siglip-base", "nllb-siglip-large"):
        path = SHARED / f"babel_imagenet/results/{name}.json"
        rows = json.loads(path.read_text("utf-8"))["results"]
        found[name] = {
            registry.normalise_language(row["lang"], dataset="babel-imagenet"): row["accuracy"]
            for row in rows
            if row["prompt"] == "label"
        }
    base, large = found.values()
    shared = sorted(set(base) & set(large))
    both = correlate([base[k] for k in shared], [large[k] for k in shared], clusters=shared, seed=0)
    assert both.num_points > 90
    assert both.pearson.low > 0.9


def test_draws_of_one_point_alone_have_no_slope_and_do_not_count():
    """Of two clusters of equal points every other draw takes one: no line goes through it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_line(
            [0.1, 0.1, 0.3, 0.3], [1, 1, 2, 2], clusters=[0, 0, 1, 1], seed=0, num_draws=200
        )
    assert found.slope.mean == pytest.approx(5)
    assert (found.slope.low, found.slope.high) == pytest.approx((5, 5))


def test_no_corrected_p_value_is_above_one():
    assert benjamini_hochberg({"a": 1.0, "b": 0.9, "c": 0.99}) == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert holm({"a": 1.0, "b": 0.9}) == {"a": 1.0, "b": 1.0}
