"""What a recipe does when nobody sets anything: a default changes here on purpose."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from polyglance.recipes import RECIPES, build_config, tiny_image, translation_ranking
from polyglance.recipes.distill import recipe

CONFIGS = {
    **{name: build_config(row, {}) for name, row in RECIPES.items()},
    "tiny image": tiny_image.TinyImageConfig(),
    "ranking": translation_ranking.RankingConfig(),
    "distilled tower": recipe.DistillConfig(),
}
KNOWN = json.loads(Path(__file__).with_name("defaults.json").read_text(encoding="utf-8"))


def test_every_recipe_is_listed():
    assert sorted(KNOWN) == sorted(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_defaults(name):
    assert json.loads(json.dumps(asdict(CONFIGS[name]), default=str)) == KNOWN[name]
