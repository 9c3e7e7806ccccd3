"""Drift-Adapter's three adapters learn languages from English text, each setting with an effect."""

import dataclasses

import numpy as np
import pytest

import small_world
from polyglance import errors, recipes, training
from polyglance.compare import compare, entries
from polyglance.heads import closed_form
from polyglance.metrics import retrieval
from polyglance.model.side import Side
from polyglance.recipes import drift_adapter, ridge, run
from polyglance.recipes.data import english_text
from polyglance.vectors import unit

NAMES = ("procrustes", "low-rank", "residual-mlp")
QUERIES = small_world.PHRASES


def tower():
    return Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")


def config_of(name, **settings):
    given = {key: str(value) for key, value in settings.items()}
    return recipes.build_config(recipes.get_recipe(name), given)


@pytest.fixture(scope="module")
def pairs(teacher):
    return english_text.encode_pairs(
        QUERIES, teacher=teacher, tower=tower(), dev_fraction=0.2, seed=0
    )


def world(dim_in=8, dim_out=6, num_rows=400):
    """Pairs whose targets bend: a rotation is not all there is to find."""
    rng = np.random.default_rng(0)
    x = unit(rng.standard_normal((num_rows, dim_in)).astype(np.float32))
    turn = rng.standard_normal((dim_in, dim_out)).astype(np.float32)
    y = unit(np.abs(x @ turn) + 0.5 * x @ turn)
    cut = num_rows // 5
    return english_text.EncodedPairs(x[cut:], y[cut:], x[:cut], y[:cut], "unit", 0, "bent")


def fitted(found, config):
    _, fit = drift_adapter.FITS[type(config)]
    return fit(found, config)


def squared_error(fit, found):
    return float(np.mean((fit.map(found.x) - found.y) ** 2))


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_languages_from_english(name, teacher):
    def hits(model, language):
        texts = [small_world.translate(phrase, language) for phrase in QUERIES]
        found = model.encode_texts(texts, languages=[language] * len(texts))
        pictures = model.encode_items([small_world.draw(phrase, seed=99) for phrase in QUERIES])
        own = np.arange(len(QUERIES))
        return float(retrieval.hit_rates_at_k(found, pictures, relevance=own, ks=(5,))[5].mean())

    pack = run.train(
        name, {"english": QUERIES}, teacher=teacher, tower=tower(), config=config_of(name)
    )
    assert pack.manifest.recipe == name
    for language in small_world.LANGUAGES:
        assert hits(teacher.with_pack(pack), language) > hits(teacher, language) + 0.3


def test_low_rank_ends_near_reduced_rank_regression():
    """The least squared error of a map of rank r is known: least squares, cut behind the fit."""
    found = world()
    for rank in (1, 3):
        mean_x, mean_y = found.x.mean(0), found.y.mean(0)
        whole = np.linalg.lstsq(found.x - mean_x, found.y - mean_y, rcond=None)[0]
        _, _, right = np.linalg.svd((found.x - mean_x) @ whole, full_matrices=False)
        mapped = (found.x - mean_x) @ whole @ right[:rank].T @ right[:rank] + mean_y
        least = float(np.mean((mapped - found.y) ** 2))
        config = drift_adapter.LowRankConfig(
            rank=rank, start="random", num_epochs=200, learning_rate=2e-2, weight_decay=0.0
        )
        pairs = dataclasses.replace(found, dev_x=found.x, dev_y=found.y)
        reached = _last(pairs, config)
        assert least * (1 - 1e-4) <= reached <= least * 1.02


def _last(found, config):
    """The training error of the last weights, whatever dev says of them."""
    history = []

    class Last(training.TrainReport):
        pass

    real = training.fit

    def fit(head, step, **given):
        report = real(head, step, **{**given, "validate": None})
        history.append(head.fold())
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift_adapter.training, "fit", fit)
        patch.setattr(training.TrainReport, "best_score", 0.0, raising=False)
        fitted(found, config)
    return float(np.mean((history[0](found.x) - found.y) ** 2))


def test_residual_mlp_fits_what_no_linear_map_does():
    found = world()
    line = closed_form.ridge(found.x, found.y, penalty=1e-6)
    linear = float(np.mean((line(found.x) - found.y) ** 2))
    config = config_of("residual-mlp", num_epochs=200, learning_rate=5e-3)
    assert squared_error(fitted(found, config), found) < 0.5 * linear


def test_identity_needs_equal_widths():
    config = config_of("residual-mlp", skip="identity", num_epochs=1)
    with pytest.raises(errors.ConfigError, match="from 8 to 6 dimensions; they must agree"):
        fitted(world(), config)
    found = world(dim_in=6)
    start = fitted(found, dataclasses.replace(config, learning_rate=1e-12))
    np.testing.assert_allclose(start.map(found.x), found.x, atol=1e-5)


def test_a_ridge_skip_starts_at_the_ridge_map():
    found = world()
    start = fitted(
        found, config_of("residual-mlp", skip="ridge", num_epochs=1, learning_rate=1e-12)
    )
    expected, _ = english_text.Judge(found).best_ridge(ridge.PENALTIES)
    np.testing.assert_allclose(start.map(found.x), expected(found.x), atol=1e-5)


def test_noise_keeps_a_map_from_directions_that_english_hardly_uses():
    found = world()
    narrow = dataclasses.replace(found, x=found.x.copy())
    narrow.x[:, 0] *= 1e-3  # a direction of other languages
    beside = narrow.x + np.eye(8, dtype=np.float32)[0]

    def moved(noise):
        config = config_of(
            "residual-mlp", skip="ridge", input_noise=noise, standardise=True, num_epochs=60
        )
        head = fitted(narrow, config).map
        return float(np.abs(head(beside) - head(narrow.x)).mean())

    assert moved(0.7) < 0.7 * moved(0.0)


SETTINGS = [
    ("procrustes", "centred", True),
    ("procrustes", "scaling", "diagonal"),
    ("procrustes", "dev_fraction", 0.3),
    ("procrustes", "head_input", "raw"),
    ("procrustes", "seed", 1),
    *(
        (name, field, value)
        for name in ("low-rank", "residual-mlp")
        for field, value in (
            ("num_epochs", 3),
            ("batch_size", 7),
            ("learning_rate", 2e-2),
            ("weight_decay", 0.9),
            ("dev_fraction", 0.3),
            ("head_input", "raw"),
            ("seed", 1),
        )
    ),
    ("low-rank", "rank", 2),
    ("low-rank", "start", "random"),
    ("residual-mlp", "hidden", 3),
    ("residual-mlp", "standardise", True),
    ("residual-mlp", "dropout", 0.5),
    ("residual-mlp", "input_noise", 1.0),
]


@pytest.mark.parametrize(("name", "field", "value"), SETTINGS)
def test_every_setting_has_an_effect(name, field, value, teacher):
    short = {} if name == "procrustes" else {"num_epochs": 2, "batch_size": 16}

    def head_of(**changed):
        pack = (
            recipes.get_recipe(name)
            .load()
            .train(
                QUERIES,
                teacher=teacher,
                tower=tower(),
                config=config_of(name, **{**short, **changed}),
            )
        )
        return pack.side.through_head(
            tower().tower.encode(QUERIES, languages=["eng_Latn"] * len(QUERIES))
        )

    assert not np.array_equal(head_of(), head_of(**{field: value}))


def test_every_setting_is_tried():
    tried = {(name, field) for name, field, _ in SETTINGS} | {("residual-mlp", "skip")}
    assert tried == {
        (name, field.name) for name in NAMES for field in dataclasses.fields(config_of(name))
    }


def test_all_three_are_entries_of_a_comparison(teacher, tmp_path):
    import compare_world

    comparison, _ = compare(compare_world.setup(teacher, tmp_path, seeds=(0,)), list(NAMES))
    assert [each.name for each in comparison.entries] == [entries.TEACHER, *NAMES]
    for each in comparison.entries[1:]:
        assert each.gain["test"].low > 0.1


def test_a_stopped_run_goes_on_with_the_same_settings_only(pairs, tmp_path):
    folder = training.RunFolder(tmp_path / "run")
    config = config_of("low-rank", num_epochs=2)
    _, fit = drift_adapter.FITS[type(config)]
    first, again = fit(pairs, config, run=folder), fit(pairs, config, run=folder)
    np.testing.assert_array_equal(first.map.weight, again.map.weight)
    with pytest.raises(errors.ConfigError):
        fit(pairs, config_of("low-rank", num_epochs=2, rank=3), run=folder)
