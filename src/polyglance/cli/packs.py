"""`polyglance import-m2m`: make a pack of a head that the M2M author published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options

HELP = "Make a language pack of a published M2M head (mlps.*)."


def command(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pth or .safetensors.")],
    model: options.Model,
    tower: Annotated[
        str, typer.Option("--tower", "-t", help="The multilingual text tower it was fitted on.")
    ],
    out: options.Out,
    force: options.Force = False,
) -> None:
    """Read the head, put it behind its tower, save the pack."""
    options.claim(out, "PACK", force=force)
    from polyglance.model import DualEncoder
    from polyglance.recipes import published_m2m
    from polyglance.sides import Side
    from polyglance.towers import load_tower

    side = Side(load_tower(tower, modality="text"), tower)
    pack = published_m2m.import_pack(checkpoint, teacher=DualEncoder.load(model), tower=side)
    pack.save(out)
    typer.echo(f"pack of {pack.manifest.num_trainable_parameters:,} parameters in {out}")
