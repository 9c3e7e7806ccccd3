"""Every setting of every recipe is listed: its name, its default and what it means."""

import dataclasses

import pytest

from polyglance import errors
from polyglance.recipes import RECIPES, build_config, get_recipe, settings_of


@pytest.mark.parametrize("name", RECIPES)
def test_the_help_of_a_recipe_lists_every_setting(run, name):
    code, out, err = run("train", name, "--help")
    assert (code, err) == (0, "")
    row = get_recipe(name)
    fields = dataclasses.fields(getattr(row.load(), row.config))
    listed = out.partition(f"Settings of {name} (--set NAME=VALUE)")[2]
    assert listed
    for field in fields:
        assert f"\n  {field.name}=" in listed


@pytest.mark.parametrize("name", RECIPES)
def test_defaults_are_listed_as_they_are_typed_and_all_have_a_meaning(name):
    row = get_recipe(name)
    found = settings_of(row)
    assert build_config(row, {one.name: one.default for one in found}) == build_config(row, {})
    for one in found:
        assert one.meaning.rstrip().endswith((".", ")")), one


def test_help_without_a_recipe_says_where_settings_are(run):
    _, out, _ = run("train", "--help")
    assert "polyglance train RECIPE --help" in " ".join(out.split())
    assert "Settings of" not in out


def test_a_value_that_cannot_be_read_names_the_help_of_its_recipe():
    with pytest.raises(errors.ConfigError) as caught:
        build_config(get_recipe("nllb-clip"), {"seed": "x"})
    assert caught.value.hint.endswith("polyglance train nllb-clip --help")


def test_only_what_has_a_closed_form_does_not_resume():
    assert {name for name, row in RECIPES.items() if not row.resumes} == {"ridge", "procrustes"}
