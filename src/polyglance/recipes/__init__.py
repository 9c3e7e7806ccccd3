"""The table of recipes, and the settings of each: one file per recipe."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from polyglance import errors
from polyglance.training import seeds

# What there may be to learn from: the fields of `TrainingData`, and their names in plain words.
DATA: Mapping[str, str] = MappingProxyType(
    {
        "english": "English text",
        "parallel": "parallel text",
        "related": "related text",
        "image_text": "captioned images",
        "banks": "unpaired images and texts",
    }
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A row of the table.

    Attributes:
        name: What it is called, on the command line and in errors.
        module: Where it is; its `train` makes the pack.
        config: Name of its config class.
        needs: Fields of `TrainingData` that it takes, in order.
        may_take: Fields that it takes as well, by keyword.
        tower: Whether a multilingual text tower must be given, may be (to be trained on), or only
            where it shares the teacher's space: its own is taken else.
        resumes: Whether it descends, so that its run can be stopped and resumed.
        summary: One line.
    """

    name: str
    module: str
    config: str
    needs: tuple[str, ...]
    may_take: tuple[str, ...] = ()
    tower: Literal["needed", "optional", "own"]
    resumes: bool = True
    summary: str

    @property
    def data(self) -> str:
        """What it needs, in plain words."""
        return " and ".join(DATA[name] for name in self.needs)

    def load(self) -> ModuleType:
        """Import the recipe's file; its `train` makes the pack."""
        return importlib.import_module(self.module)


# Every recipe, in one place; `polyglance train --help` prints it and a test builds each config.
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        row.name: row
        for row in (
            Recipe(
                name="ridge",
                module="polyglance.recipes.ridge",
                config="RidgeConfig",
                needs=("english",),
                tower="needed",
                resumes=False,
                summary="closed-form linear map; seconds for a quarter of a million texts",
            ),
            Recipe(
                name="m2m",
                module="polyglance.recipes.m2m",
                config="M2MConfig",
                needs=("english",),
                tower="needed",
                summary="linear layers by gradient with structure preservation (M2M)",
            ),
            Recipe(
                name="procrustes",
                module="polyglance.recipes.drift_adapter",
                config="ProcrustesConfig",
                needs=("english",),
                tower="needed",
                resumes=False,
                summary="closed-form rotation, one factor (Drift-Adapter)",
            ),
            Recipe(
                name="low-rank",
                module="polyglance.recipes.drift_adapter",
                config="LowRankConfig",
                needs=("english",),
                tower="needed",
                summary="affine map of low rank by gradient (Drift-Adapter)",
            ),
            Recipe(
                name="residual-mlp",
                module="polyglance.recipes.drift_adapter",
                config="ResidualMlpConfig",
                needs=("english",),
                tower="needed",
                summary="two layers added to the rotated vectors (Drift-Adapter)",
            ),
            Recipe(
                name="uclip",
                module="polyglance.recipes.uclip",
                config="UclipConfig",
                needs=("english", "banks"),
                tower="needed",
                summary="two heads into a shared space; the index is re-projected (uCLIP)",
            ),
            Recipe(
                name="distill",
                module="polyglance.recipes.distill.recipe",
                config="DistillConfig",
                needs=("parallel",),
                may_take=("related",),
                tower="optional",
                summary="a text tower that imitates the teacher: a small new one, or a transformer",
            ),
            Recipe(
                name="babel-adapter",
                module="polyglance.recipes.babel_adapter",
                config="BabelAdapterConfig",
                needs=("parallel",),
                may_take=("image_text",),
                tower="own",
                summary="a bottleneck adapter a language in the teacher's tower (Babel-ImageNet)",
            ),
            Recipe(
                name="nllb-clip",
                module="polyglance.recipes.contrastive.nllb_clip",
                config="NllbClipConfig",
                needs=("image_text",),
                tower="optional",
                summary="contrast of images and captions, languages in equal shares (NLLB-CLIP)",
            ),
            Recipe(
                name="etcl",
                module="polyglance.recipes.contrastive.etcl",
                config="EtclConfig",
                needs=("image_text",),
                may_take=("parallel",),
                tower="optional",
                summary="triples of an image and two languages, after MURAL's two pairs (ETCL)",
            ),
        )
    }
)


def name_of(recipe: Recipe) -> str:
    """The name of a row, as it is typed."""
    return next(name for name, row in RECIPES.items() if row is recipe)


def get_recipe(name: str) -> Recipe:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in RECIPES:
        raise errors.unknown_name("recipe", name, allowed=RECIPES)
    return RECIPES[name]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A field of a recipe's config, as `train RECIPE --help` lists it.

    Attributes:
        name: Of the field.
        default: Written as the command line takes it.
        meaning: What the config's docstring says of it.
    """

    name: str
    default: str
    meaning: str


def settings_of(recipe: Recipe) -> list[Setting]:
    """Every field of a recipe's config, with its default and its meaning."""
    config_class = getattr(recipe.load(), recipe.config)
    meanings: dict[str, str] = {}
    for each in reversed(config_class.__mro__):
        meanings |= _attributes(inspect.cleandoc(each.__doc__ or ""))
    return [
        Setting(
            name=field.name, default=_written(field.default), meaning=meanings.get(field.name, "")
        )
        for field in dataclasses.fields(config_class)
    ]


def _attributes(docstring: str) -> dict[str, str]:
    r"""What a docstring says of each attribute.

    >>> _attributes("Settings.\n\nAttributes:\n    seed: Fixes the\n        order.")
    {'seed': 'Fixes the order.'}
    """
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Attributes:\n")[2].partition("\n\n")[0].splitlines():
        begun = re.match(r" {4}(\w+): (.*)", line)
        if begun:
            name = begun[1]
            found[name] = begun[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return str(value).lower() if isinstance(value, bool | NoneType) else f"{value}"


def build_config(recipe: Recipe, settings: Mapping[str, str]) -> Any:
    """A recipe's config from `name=value` settings as a user writes them.

    Args:
        recipe: Whose config.
        settings: Field names to values as text.

    Raises:
        UnknownNameError: For a field that the config does not have, naming the nearest.
        ConfigError: For a value that cannot be read as the field's type, or no seed.
    """
    config_class = getattr(recipe.load(), recipe.config)
    hints = get_type_hints(config_class)
    fields = [field.name for field in dataclasses.fields(config_class)]
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in fields:
            raise errors.unknown_name(f"field of {recipe.config}", name, allowed=fields)
        values[name] = _read_value(name, text, kind=hints[name], recipe=recipe)
    if "seed" in values:
        seeds.require(values["seed"], name="seed")
    return config_class(**values)


def _read_value(name: str, text: str, *, kind: Any, recipe: Recipe) -> Any:
    if get_origin(kind) is UnionType and NoneType in get_args(kind):
        if text.lower() == "none":
            return None
        kind = next(part for part in get_args(kind) if part is not NoneType)
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
            hint="give a value such as the default, which this lists: "
            f"polyglance train {name_of(recipe)} --help",
        ) from error
    raise errors.ConfigError(
        f"{name} cannot be set from the command line", hint="set it from Python"
    )
