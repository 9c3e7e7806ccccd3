"""Every number of every config has a range, and nonsense is refused with what is allowed."""

import dataclasses
import math
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest

from polyglance import errors
from polyglance.recipes import RECIPES, bounds, build_config, settings_of

FREE = {"seed", "optimizer"}  # checked by `seeds.require`, and against the table of optimisers


def fields_of(row):
    config_class = getattr(row.load(), row.config)
    hints = get_type_hints(config_class, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_class)}


def has_range(kind):
    return get_origin(kind) is Annotated or any(map(has_range, get_args(kind)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_is_bounded(name):
    for field, kind in fields_of(RECIPES[name]).items():
        if field not in FREE and kind is not bool and get_origin(kind) is not Literal:
            assert has_range(kind), field


NUMBERS = [
    (name, preset, field)
    for name, row in RECIPES.items()
    for preset in (None, *row.presets)
    for field, kind in fields_of(row).items()
    if has_range(kind)
]


@pytest.mark.parametrize(("name", "preset", "field"), NUMBERS)
def test_nonsense_on_top_of_a_preset_is_refused(name, preset, field):
    for text in ("-1", "nan"):
        with pytest.raises(errors.ConfigError) as refused:
            build_config(RECIPES[name], {field: text}, preset=preset)
        assert field in refused.value.message
        if "cannot be read" not in refused.value.message:
            assert "it must be" in refused.value.message
            assert "the default" in refused.value.hint


@pytest.mark.parametrize("name", RECIPES)
def test_choices_are_named_from_python_as_well(name):
    row = RECIPES[name]
    for field, kind in fields_of(row).items():
        if get_origin(kind) is Literal:
            with pytest.raises(errors.UnknownNameError, match=f"value of {field} 'nothing'"):
                getattr(row.load(), row.config)(**{field: "nothing"})


def test_ends_of_the_ranges():
    allowed = {
        bounds.Count: ([1, 9], [0, -1]),
        bounds.CountOrZero: ([0, 1], [-1]),
        bounds.Positive: ([1e-9, 5.0], [0.0, -1.0, math.inf, math.nan]),
        bounds.NotNegative: ([0.0, 5.0], [-1e-9, math.inf, math.nan]),
        bounds.Share: ([0.0, 0.99], [1.0, -0.1, math.nan]),
        bounds.DevShare: ([0.0, 0.5], [0.51, -0.1, math.nan]),
        bounds.DevShareAboveZero: ([1e-9, 0.5], [0.0, 0.51, math.nan]),
    }
    for kind, (right, wrong) in allowed.items():
        (said,) = kind.__metadata__
        assert all(said.is_allowed(value) for value in right)
        assert not any(said.is_allowed(value) for value in wrong)


def test_defaults_of_a_config_can_be_typed_again():
    for row in RECIPES.values():
        for preset in (None, *row.presets):
            config = build_config(row, {}, preset=preset)
            typed = {one.name: one.default for one in settings_of(row, config)}
            assert build_config(row, typed) == config
