"""`polyglance index`: make a folder of pictures searchable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options

HELP = "Index a folder of pictures; resumes."


def command(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures; subfolders too.")],
    model: options.Model,
    out: options.Out,
) -> None:
    """Run `search.index.build` and say what it did."""
    from polyglance.cli.embed import print_report
    from polyglance.search import index

    print_report(index.build(folder, model=model, out=out), out)
