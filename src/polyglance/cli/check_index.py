"""The command `polyglance check-index`: verifies an index, and mends it with `--repair`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli import options

HELP = "Read an index in full, say what is damaged or left over, and mend it with --repair."


def command(
    index: Annotated[Path, typer.Argument(help="Folder of the index.")],
    *,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Mend it; what is taken out, polyglance index puts in again."
        ),
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Where its model is by now; noted.")
    ] = None,
    as_json: options.JsonOutput = False,
) -> None:
    """Print what is wrong, a line each; exit code 1 where something is wrong still."""
    from polyglance.search import checking

    report = checking.check(index, repair=repair, new_model=model)
    if as_json:
        typer.echo(json.dumps({"sound": report.is_sound, **asdict(report)}, indent=2))
    else:
        for one in report.findings:
            state = "mended" if one.mended else "harmless" if one.harmless else "DAMAGED"
            typer.echo(f"{state}: {one.said}")
        if report.is_sound:
            typer.echo(f"{index} is whole: {report.num_rows:,} rows")
        elif any(one.mendable and not (one.mended or one.harmless) for one in report.findings):
            typer.echo(f"  -> polyglance check-index {index} --repair", err=True)
    if not report.is_sound:
        raise typer.Exit(1)
