"""Every recipe's pack is assembled in one place, and its manifest says what it always said."""

import ast
import dataclasses
from pathlib import Path

import pytest

import compare_world
import polyglance
import small_bert
from polyglance import recipes
from polyglance.model.side import Side
from polyglance.recipes import run
from small_world import load_reference

OF_ENGLISH = {"kind", "num_texts", "num_dev_texts", "num_repeated_texts_left_out"}
OF_PARALLEL = {
    *("kind", "num_english_texts", "num_texts", "num_languages", "last_loss"),
    "languages_with_too_little_text",
}
OF_IMAGES = {
    *("kind", "num_contents", "num_captions", "num_languages", "captions_by_language", "left_out"),
    *("languages_with_too_little_text", "num_steps", "last_loss", "best_step"),
    "dev_hit_rate_at_10",
}
SMALL = {"batch_size": "12", "num_buckets": "500", "width": "16"}
# By recipe: settings that train in a second, what the index goes through, the facts of its data.
EXPECTED = {
    "ridge": ({}, "unchanged", OF_ENGLISH | {"penalty", "dev_hit_rate_at_1"}),
    "m2m": (
        {"num_epochs": "2"},
        "unchanged",
        OF_ENGLISH | {"num_steps", "best_step", "dev_hit_rate_at_1"},
    ),
    "procrustes": ({}, "unchanged", OF_ENGLISH | {"dev_hit_rate_at_1"}),
    "low-rank": (
        {"num_epochs": "2"},
        "unchanged",
        OF_ENGLISH | {"num_steps", "best_step", "dev_hit_rate_at_1"},
    ),
    "residual-mlp": (
        {"num_epochs": "2"},
        "unchanged",
        OF_ENGLISH | {"num_steps", "best_step", "dev_hit_rate_at_1"},
    ),
    "uclip": (
        {"dim": "8", "least_steps": "3", "num_epochs": "1", "batch_size": "16"},
        "head",
        {
            *("kind", "num_english_texts", "num_images", "num_texts", "num_languages"),
            *("num_dev_texts", "num_steps", "precision", "last_loss", "dev_hit_rate_at_1"),
        },
    ),
    "distill": (
        {"num_buckets": "500", "dim": "8", "num_steps": "3", "batch_size": "16"},
        "unchanged",
        OF_PARALLEL,
    ),
    "babel-adapter": (
        {"num_epochs": "1"},
        "unchanged",
        OF_PARALLEL | {"texts_by_language", "english_agreement_with_teacher", "num_steps"},
    ),
    "nllb-clip": ({**SMALL, "num_steps": "3"}, "unchanged", OF_IMAGES),
    "etcl": (
        {**SMALL, "num_mural_steps": "2", "num_etcl_steps": "2", "num_fine_tuning_steps": "2"},
        "unchanged",
        OF_IMAGES | {"num_parallel_pairs", "stages"},
    ),
}


@pytest.fixture(scope="module")
def bert_teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert") / "tower"
    return small_bert.teacher(small_bert.save(folder, width=24, layers=1))


def test_the_table_has_every_recipe():
    assert set(EXPECTED) == set(recipes.RECIPES)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_recipe_says_what_it_always_said(name, teacher, bert_teacher):
    settings, content, facts = EXPECTED[name]
    recipe = recipes.get_recipe(name)
    model = bert_teacher if recipe.tower == "own" else teacher
    tower = None
    if recipe.tower == "needed":
        tower = Side(load_reference("fake:multilingual"), "fake:multilingual")
    config = recipes.build_config(recipe, settings)
    pack = run.train(
        recipe, compare_world.training_data(teacher), teacher=model, config=config, tower=tower
    )
    said = pack.manifest
    assert set(said.data) == facts | {"held_out", "dev"}
    assert said.config == dataclasses.asdict(config)
    assert (said.recipe, said.content) == (name, content)
    assert (said.teacher, said.space_id) == (model.reference, model.space_id)
    assert (said.tower, said.head_input) == (pack.side.reference, pack.side.head_input)
    assert said.tower_fingerprint == pack.side.tower.fingerprint
    assert said.num_trainable_parameters > 0
    assert said.training_seconds > 0


@pytest.mark.parametrize("called", ["PackManifest", "LanguagePack"])
def test_one_place_assembles_a_pack(called):
    source = Path(polyglance.__file__).parent
    places = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == called
    }
    assert places == {"model/new_pack.py"}
