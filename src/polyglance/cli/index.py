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
    pack: Annotated[
        str | None,
        typer.Option("--pack", "-p", help="Also make the column of a pack that has one."),
    ] = None,
    reencode: Annotated[
        bool,
        typer.Option("--reencode", help="Encode every picture again for a pack's content tower."),
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the pack's column.")] = False,
) -> None:
    """Run `search.index.build` and say what it did."""
    from polyglance.cli.embed import print_report
    from polyglance.search import index

    print_report(index.build(folder, model=model, out=out), out)
    if pack is not None:
        _pack_column(folder, out, pack, reencode=reencode, drop=drop)


def _pack_column(folder: Path, out: Path, pack: str, *, reencode: bool, drop: bool) -> None:
    from polyglance.cli.embed import print_report
    from polyglance.packs import LanguagePack
    from polyglance.search import columns
    from polyglance.sources import images
    from polyglance.store import Store

    base, loaded = Store.open(out), LanguagePack.load(pack)
    if drop:
        found = columns.drop(base, loaded)
        typer.echo(f"the column of {pack} is removed" if found else f"{pack} had no column")
    elif reencode:
        report = columns.reencode(base, loaded, images=images.find_images(folder))
        print_report(report, columns.column_path(out, loaded))
    elif loaded.manifest.content == "unchanged":
        typer.echo(f"{pack} needs no column: it leaves the content side as it is")
    else:
        column, new = columns.project(base, loaded)
        typer.echo(f"{new:,} vectors projected for {pack}; {len(column):,} in its column")
