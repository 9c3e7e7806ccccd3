"""The command `polyglance demo`: from nothing to a search in a hundred languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options

HELP = "From nothing to a search in a hundred languages; on photos with --photos."
OUT, PHOTOS_OUT = Path("demo"), Path("demo-photos")


def command(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for all results; none: demo, or demo-photos with --photos.",
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            "--photos",
            help="Your photos in the place of pictograms: a folder of them, or one with images.tsv "
            "and captions.LANG.tsv, as Flickr8k's, on which every language is measured.",
        ),
    ] = None,
    pack: Annotated[
        str | None,
        typer.Option(
            "--pack",
            "-p",
            help="With --photos: a language pack of the model photos; none: the one that comes "
            "along, or one trained on the captions.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Retrain the towers that are shipped.")
    ] = False,
) -> None:
    """Run the demo and print what it found."""
    options.require_one({"--photos": photos, "--fresh": fresh})
    if photos is None and pack is not None:
        from polyglance import errors

        raise errors.ConfigError(
            f"--pack {pack} is for photos, and none were given",
            hint="name their folder: --photos FOLDER; or leave --pack out",
        )
    out = out or (OUT if photos is None else PHOTOS_OUT)
    options.claim(out, "DEMO")
    options.claim_cache()
    if photos is None:
        from polyglance import demo

        demo.run(out, fresh=fresh)
    else:
        from polyglance.demo import photos as photos_demo

        photos_demo.run(photos, out, pack=pack)
