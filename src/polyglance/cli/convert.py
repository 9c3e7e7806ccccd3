"""The command `polyglance convert`: results to and from the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options
from polyglance.cli.left_out import tell_some

HELP = "Convert results to CLIP_benchmark's or MTEB's form, or back."


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Results in any of the forms: files, or folders of them."),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--to", help="polyglance, clip-benchmark, clip-benchmark-csv or mteb.", metavar="FORM"
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="A folder for clip-benchmark and mteb, for the others a file."
        ),
    ],
    force: options.Force = False,
) -> None:
    """Read what can be read, name what cannot, and write the rest in another form."""
    from polyglance import errors
    from polyglance.results import exchange

    if form not in exchange.FORMS:
        raise errors.unknown_name("form of results", form, allowed=exchange.FORMS)
    options.claim(out, exchange.FORMS[form].output, force=force)

    again: list[str] = []
    rows, failed = exchange.read(paths, superseded=again.append)
    tell_some("left out", [error.message for error in failed])
    tell_some("left out", again)
    if not rows:
        raise errors.ResultError(
            f"there are no results in {', '.join(errors.few([str(path) for path in paths]))}",
            hint="give what polyglance eval --out wrote, or files of CLIP_benchmark or MTEB",
        )
    written = exchange.write(rows, form, path=out, force=force)
    kept = sum(map(exchange.FORMS[form].holds, rows))
    typer.echo(f"{kept:,} results in {len(written):,} files: {out}")
    if kept < len(rows):
        typer.echo(f"{len(rows) - kept:,} results are of kinds that {form} has no place for")
    if lost := exchange.FORMS[form].lost:
        typer.secho(f"{form} does not hold: {', '.join(lost)}", dim=True)
