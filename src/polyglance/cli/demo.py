"""The command `polyglance demo`: from nothing to a search in a hundred languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options

HELP = "From nothing to a search in a hundred languages."


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all results.")] = Path(
        "demo"
    ),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Retrain the towers that are shipped.")
    ] = False,
) -> None:
    """Run the demo and print what it found."""
    options.claim(out, "DEMO")
    options.claim_cache()
    from polyglance import demo

    demo.run(out, fresh=fresh)
