"""How is a pack trained? One file per recipe: a frozen config and the lines that wire parts."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from polyglance import errors

Needs = Literal["English text", "parallel text"]


@dataclass(frozen=True)
class Recipe:
    """A row of the table: where a recipe is, its config, what data it needs, what it does."""

    module: str
    config: str
    needs: Needs
    summary: str

    def load(self) -> ModuleType:
        """Import the recipe's file; its `train` makes the pack."""
        return importlib.import_module(self.module)


# Every recipe, in one place; `polyglance train --help` prints it and a test builds each config.
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "ridge": Recipe(
            "polyglance.recipes.ridge",
            "RidgeConfig",
            "English text",
            "closed-form linear map; seconds for a quarter of a million texts",
        ),
        "m2m": Recipe(
            "polyglance.recipes.m2m",
            "M2MConfig",
            "English text",
            "linear layers by gradient with structure preservation (M2M)",
        ),
        "distill": Recipe(
            "polyglance.recipes.distill",
            "DistillConfig",
            "parallel text",
            "a small multilingual text tower that imitates the teacher's vectors",
        ),
    }
)


def get_recipe(name: str) -> Recipe:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in RECIPES:
        raise errors.unknown_name("recipe", name, allowed=RECIPES)
    return RECIPES[name]


def build_config(recipe: Recipe, settings: Mapping[str, str]) -> Any:
    """A recipe's config from `name=value` settings as a user writes them.

    Args:
        recipe: Whose config.
        settings: Field names to values as text.

    Raises:
        UnknownNameError: For a field that the config does not have, naming the nearest.
        ConfigError: For a value that cannot be read as the field's type.
    """
    config_class = getattr(recipe.load(), recipe.config)
    hints = get_type_hints(config_class)
    fields = [field.name for field in dataclasses.fields(config_class)]
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in fields:
            raise errors.unknown_name(f"field of {recipe.config}", name, allowed=fields)
        values[name] = _read_value(name, text, kind=hints[name])
    return config_class(**values)


def _read_value(name: str, text: str, *, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float, str):
            return kind(text)
        if get_origin(kind) is Literal:
            if text not in get_args(kind):
                raise errors.unknown_name(f"value of {name}", text, allowed=get_args(kind))
            return text
        if get_origin(kind) is tuple:
            return tuple(get_args(kind)[0](part) for part in text.split(","))
    except (ValueError, KeyError) as error:
        raise errors.ConfigError(
            f"{name}={text} cannot be read as {getattr(kind, '__name__', kind)}",
            hint=f"give a value such as the default: polyglance train --help lists {name}",
        ) from error
    raise errors.ConfigError(
        f"{name} cannot be set from the command line", hint="set it from Python"
    )
