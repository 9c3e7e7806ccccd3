"""The command `polyglance import-m2m`, and what is printed of a new pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options, training_data

if TYPE_CHECKING:
    from polyglance.model.manifest import PackManifest

HELP = """Make a language pack of a published M2M head (mlps.*).

\b
Such a head comes without scores. --text measures it in English, --dev-parallel in
the languages of that table; other languages of the tower are listed unmeasured.
"""
SHOWN_LANGUAGES = 8


def command(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pth or .safetensors.")],
    model: options.Model,
    tower: Annotated[
        str, typer.Option("--tower", "-t", help="The multilingual text tower it was fitted on.")
    ],
    out: options.Out,
    text: Annotated[
        Path | None, typer.Option("--text", help="English text that measures it, one a line.")
    ] = None,
    dev_parallel: training_data.DevParallel = None,
    languages: training_data.KnownLanguages = None,
    force: options.Force = False,
) -> None:
    """Read the head, put it behind its tower, measure and save the pack."""
    options.claim(out, "PACK", force=force)
    options.claim_cache()
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.side import Side
    from polyglance.recipes import published_m2m
    from polyglance.sources import captions
    from polyglance.towers import load_tower

    dev = training_data.dev_of(dev_parallel, languages)
    side = Side(load_tower(tower, modality="text"), tower)
    pack = published_m2m.import_pack(
        checkpoint,
        teacher=DualEncoder.load(model),
        tower=side,
        english=() if text is None else captions.read_lines(text),
        dev=dev,
        cache=training_data.text_cache(),
    )
    pack.save(out)
    typer.echo(f"pack of {pack.manifest.num_trainable_parameters:,} parameters in {out}")
    tell_languages(pack.manifest)


def tell_languages(manifest: PackManifest) -> None:
    """Print what a new pack says of its languages: dev scores, what nobody measured, and why."""
    from polyglance.languages.registry import ENGLISH, get_language

    def named(ids: list[str]) -> str:
        shown = ", ".join(get_language(name).english_name for name in ids[:SHOWN_LANGUAGES])
        return shown + (f" and {len(ids) - SHOWN_LANGUAGES} more" * (len(ids) > SHOWN_LANGUAGES))

    scores = manifest.languages
    measured = [name for name, row in scores.items() if row.pack is not None]
    for name in sorted(measured, key=lambda one: -(scores[one].pack or 0))[:SHOWN_LANGUAGES]:
        row = scores[name]
        own = "-" if row.teacher is None else f"{100 * row.teacher:.1f}"
        typer.echo(
            f"  {get_language(name).english_name}: R@10 {100 * (row.pack or 0):.1f} % on "
            f"{row.num_queries} held-out queries, the model alone {own}; {row.speaks} answers"
        )
    if len(measured) > SHOWN_LANGUAGES:
        typer.echo(f"  and {len(measured) - SHOWN_LANGUAGES} languages more, which pack.json lists")
    unmeasured = [name for name, row in scores.items() if row.pack is None and name != ENGLISH]
    if unmeasured:
        typer.echo(f"  not measured: {named(unmeasured)}")
    short = manifest.data.get("held_out", {}).get("rows_of_languages_too_small_to_score", {})
    if short:
        said = ", ".join(f"{get_language(name).english_name} {n}" for name, n in short.items())
        typer.echo(f"  too few different rows to hold some out and score: {said}")
    if not any(name != ENGLISH for name in scores):
        typer.echo(
            "  which languages it knows is not said: name them with --languages, or measure them "
            "with --dev-parallel"
        )
