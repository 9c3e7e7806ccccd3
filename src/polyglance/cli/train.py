"""`polyglance train`: a recipe, a model, a text tower and texts make a language pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.packs import LanguagePack
    from polyglance.sides import Side

# Printed by `train --help`, so that choosing a recipe needs no other page. Kept beside the table
# in polyglance.recipes by a test; importing that here would cost the help its speed.
HELP = """Train a language pack for a model.

\b
Recipes:
  ridge    English text: closed-form linear map, seconds for 250,000 texts
  m2m      English text: linear layers by gradient, structure kept (M2M)
  distill  parallel text: a small text tower that imitates the teacher

The first two put a map behind a multilingual text tower that exists (--tower).
"""


def command(
    recipe: Annotated[str, typer.Argument(help="ridge, m2m or distill.")],
    model: options.Model,
    text: Annotated[
        Path,
        typer.Option(
            "--text",
            help="English text, one a line; for distill a table with the columns "
            "english, language and text.",
        ),
    ],
    out: options.Out,
    tower: Annotated[
        str | None,
        typer.Option("--tower", "-t", help="Multilingual text tower, as sentence:NAME or hf:NAME."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the recipe's config, as num_epochs=5."),
    ] = None,
) -> None:
    """Load what the recipe needs, train, save the pack."""
    from polyglance import embed, files
    from polyglance.model import DualEncoder
    from polyglance.recipes import build_config, get_recipe
    from polyglance.sources import captions

    row = get_recipe(recipe)
    config = build_config(row, _read_settings(settings or []))
    teacher = DualEncoder.load(model)
    cache = embed.VectorCache(files.cache_folder() / "texts")
    if row.needs == "English text":
        texts = captions.read_lines(text)
        side = _text_side(recipe, tower)
        pack = row.load().train(texts, teacher=teacher, tower=side, config=config, cache=cache)
    else:
        pairs = captions.read_parallel_table(text)
        pack = row.load().train(pairs, teacher=teacher, config=config, cache=cache)
    pack.save(out)
    _print_pack(pack, out)


def _text_side(recipe: str, tower: str | None) -> Side:
    from polyglance import errors
    from polyglance.sides import Side
    from polyglance.towers import load_tower

    if tower is None:
        raise errors.ConfigError(
            f"{recipe} needs a multilingual text tower",
            hint="name one: --tower sentence:paraphrase-multilingual-mpnet-base-v2",
        )
    return Side(load_tower(tower, modality="text"), tower)


def _read_settings(given: list[str]) -> dict[str, str]:
    from polyglance import errors

    settings = {}
    for part in given:
        name, equals, value = part.partition("=")
        if not equals:
            raise errors.ConfigError(
                f"--set {part}; the form is name=value", hint="for example --set seed=1"
            )
        settings[name] = value
    return settings


def _print_pack(pack: LanguagePack, out: Path) -> None:
    manifest = pack.manifest
    typer.echo(
        f"{manifest.recipe}: {manifest.num_trainable_parameters:,} parameters "
        f"in {manifest.training_seconds:.1f} s"
    )
    for name, value in manifest.data.items():
        typer.echo(f"  {name.replace('_', ' ')}: {value}")
    typer.echo(f"language pack in {out}")
