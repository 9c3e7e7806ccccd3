"""The table of recipes, and the settings of each: one file per recipe."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

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
        "unpaired": "unpaired texts",
        "files": "the image files",
    }
)
# The name of the papers' own settings, on the command line.
PUBLISHED = "published"
NOT_OF_THE_FIVE = "Drift-Adapter is measured beside the five papers, with settings chosen here"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A value of a config's field with which a recipe needs other data.

    Attributes:
        field: Of the config.
        value: With which it is so.
        needs: Fields of `TrainingData`.
    """

    field: str
    value: str
    needs: tuple[str, ...]


# The image tower, or its projection, learns from the images themselves.
_FROM_FILES = (
    Mode(field="regime", value="full", needs=("image_text", "files")),
    Mode(field="image_projection", value="trained", needs=("image_text", "files")),
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
        modes: Settings with which it needs others; the first that is set counts.
        presets: By name the method of its config that makes it.
        no_preset: Why it has none.
        asks: Fields whose English texts the teacher has to encode; of one that exists only as
            vectors, these must be on its list.
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
    modes: tuple[Mode, ...] = ()
    presets: Mapping[str, str] = field(default_factory=lambda: {PUBLISHED: "as_published"})
    no_preset: str = ""
    asks: tuple[str, ...] = ()
    tower: Literal["needed", "optional", "own"]
    resumes: bool = True
    summary: str

    @property
    def data(self) -> str:
        """What it needs by itself, in plain words."""
        return " and ".join(DATA[name] for name in self.needs)

    def required(self, config: Any) -> tuple[str, ...]:
        """Fields of `TrainingData` that it cannot do without, as it is set."""
        set_so = (mode.needs for mode in self.modes if getattr(config, mode.field) == mode.value)
        return next(set_so, self.needs)

    def learns_from(self, config: Any) -> frozenset[str]:
        """Fields of `TrainingData` that it learns from, as it is set; of others it takes none."""
        required = self.required(config)
        by_mode = {name for mode in self.modes for name in mode.needs} - {*self.needs, *required}
        return frozenset(required) | (set(self.may_take) - by_mode)

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
                may_take=("unpaired",),
                presets=MappingProxyType({}),
                no_preset="the closed form of M2M's map is this project's own, and no paper's",
                asks=("english",),
                tower="needed",
                resumes=False,
                summary="closed-form linear map; seconds for a quarter of a million texts",
            ),
            Recipe(
                name="m2m",
                module="polyglance.recipes.m2m",
                config="M2MConfig",
                needs=("english",),
                may_take=("unpaired",),
                asks=("english",),
                tower="needed",
                summary="linear layers by gradient with structure preservation (M2M)",
            ),
            Recipe(
                name="procrustes",
                module="polyglance.recipes.drift_adapter",
                config="ProcrustesConfig",
                needs=("english",),
                may_take=("unpaired",),
                asks=("english",),
                presets=MappingProxyType({}),
                no_preset=NOT_OF_THE_FIVE,
                tower="needed",
                resumes=False,
                summary="closed-form rotation, one factor (Drift-Adapter)",
            ),
            Recipe(
                name="low-rank",
                module="polyglance.recipes.drift_adapter",
                config="LowRankConfig",
                needs=("english",),
                may_take=("unpaired",),
                asks=("english",),
                presets=MappingProxyType({}),
                no_preset=NOT_OF_THE_FIVE,
                tower="needed",
                summary="affine map of low rank by gradient (Drift-Adapter)",
            ),
            Recipe(
                name="residual-mlp",
                module="polyglance.recipes.drift_adapter",
                config="ResidualMlpConfig",
                needs=("english",),
                may_take=("unpaired",),
                asks=("english",),
                presets=MappingProxyType({}),
                no_preset=NOT_OF_THE_FIVE,
                tower="needed",
                summary="two layers added to the rotated vectors (Drift-Adapter)",
            ),
            Recipe(
                name="uclip",
                module="polyglance.recipes.uclip",
                config="UclipConfig",
                needs=("english", "banks"),
                asks=("english",),
                tower="needed",
                summary="two heads into a shared space; the index is re-projected (uCLIP)",
            ),
            Recipe(
                name="distill",
                module="polyglance.recipes.distill.recipe",
                config="DistillConfig",
                needs=("parallel",),
                may_take=("related",),
                presets=MappingProxyType({}),
                no_preset="its small towers are this project's own, and none of the five papers' "
                "recipes",
                asks=("parallel",),
                tower="optional",
                summary="a text tower that imitates the teacher: a small new one, or a transformer",
            ),
            Recipe(
                name="babel-adapter",
                module="polyglance.recipes.babel_adapter",
                config="BabelAdapterConfig",
                needs=("parallel",),
                may_take=("image_text",),
                modes=tuple(
                    Mode(field="objective", value=value, needs=("image_text",))
                    for value in ("lit", "lit+mse")
                ),
                presets=MappingProxyType(
                    {
                        PUBLISHED: "as_published",
                        "published-distilled": "as_published_for_distilled",
                    }
                ),
                tower="own",
                summary="a bottleneck adapter a language in the teacher's tower (Babel-ImageNet)",
            ),
            Recipe(
                name="nllb-clip",
                module="polyglance.recipes.contrastive.nllb_clip",
                config="NllbClipConfig",
                needs=("image_text",),
                may_take=("files",),
                modes=_FROM_FILES,
                tower="optional",
                summary="contrast of images and captions, languages in equal shares (NLLB-CLIP)",
            ),
            Recipe(
                name="etcl",
                module="polyglance.recipes.contrastive.etcl",
                config="EtclConfig",
                needs=("image_text",),
                may_take=("parallel", "translations", "files"),
                modes=_FROM_FILES,
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


def settings_of(recipe: Recipe, config: Any = None) -> list[Setting]:
    """Every field of a recipe's config, with its default and its meaning.

    Args:
        recipe: Whose.
        config: A config whose values stand in the place of the defaults.
    """
    config_class = getattr(recipe.load(), recipe.config)
    meanings: dict[str, str] = {}
    for each in reversed(config_class.__mro__):
        meanings |= _attributes(inspect.cleandoc(each.__doc__ or ""))
    return [
        Setting(
            name=field.name,
            default=_written(field.default if config is None else getattr(config, field.name)),
            meaning=meanings.get(field.name, ""),
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


def build_config(recipe: Recipe, settings: Mapping[str, str], *, preset: str | None = None) -> Any:
    """A recipe's config from `name=value` settings as a user writes them.

    Args:
        recipe: Whose config.
        settings: Field names to values as text.
        preset: The name of a preset that they override; None for the defaults.

    Raises:
        UnknownNameError: For a field that the config does not have, naming the nearest, or a
            preset that the recipe does not have.
        ConfigError: For a value that cannot be read as the field's type or is out of its range,
            no seed, or a recipe without presets.
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
    return dataclasses.replace(_start(recipe, config_class, preset), **values)


def _start(recipe: Recipe, config_class: Any, preset: str | None) -> Any:
    """The config that settings override."""
    if preset is None:
        return config_class()
    if not recipe.presets:
        raise errors.ConfigError(
            f"{name_of(recipe)} has no preset {preset}: {recipe.no_preset}",
            hint="leave --preset out; the defaults are what was found to work here",
        )
    if preset not in recipe.presets:
        raise errors.unknown_name("preset", preset, allowed=recipe.presets)
    return getattr(config_class, recipe.presets[preset])()


def _read_value(name: str, text: str, *, kind: Any, recipe: Recipe) -> Any:
    if get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
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
