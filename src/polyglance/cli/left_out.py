"""Printed reports of files that a scan left out: a summary, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polyglance.records import Quarantined
    from polyglance.sources.patterns import Idle
    from polyglance.sources.skipped import Skipped

ListSkipped = Annotated[
    bool, typer.Option("--list-skipped", help="Name every file that is left out, and why.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Leave out what is called so, as raw or *.gif, or lies there, as 2019/*; may be "
        "repeated.",
    ),
]
SHOWN = 10
WIDTH = 300


def shown(text: str) -> str:
    """A name for the terminal: control characters visible, the middle cut where it is long."""
    from polyglance.cli import terminal

    return terminal.fitted(text, WIDTH)


def name_some(what: str, names: Sequence[str], *, err: bool = False) -> None:
    """A count and the first names."""
    if names:
        typer.echo(f"{len(names):,} {what}:", err=err)
        for name in names[:SHOWN]:
            typer.echo(f"  {shown(name)}", err=err)
        if len(names) > SHOWN:
            typer.echo(f"  ... and {len(names) - SHOWN:,} more", err=err)


def tell_some(what: str, sentences: Sequence[str]) -> None:
    """The first of many sentences, one a line on the error stream, and how many more there are."""
    from polyglance import errors

    for sentence in errors.few(sentences, limit=SHOWN):
        typer.secho(shown(f"{what}: {sentence}"), err=True)


def print_skipped(skipped: Sequence[Skipped], *, list_all: bool) -> None:
    """A line for each reason; with `list_all` every name below it."""
    from polyglance.sources.skipped import by_reason, summary

    if not skipped:
        return
    typer.echo("left out:" if list_all else "left out (--list-skipped names them):")
    for line, items in zip(summary(skipped), by_reason(skipped).values(), strict=True):
        typer.echo(f"  {shown(line)}")
        for one in items if list_all else ():
            note = f": {one.note}" if one.note else ""
            typer.echo(f"    {shown(one.id + note)}")


def print_idle(idle: Sequence[Idle]) -> None:
    """The patterns that left nothing out, and what was perhaps meant."""
    for one in idle:
        meant = "" if one.meant is None else f"; did you mean {one.meant!r}?"
        typer.echo(shown(f"--exclude {one.pattern!r} leaves nothing out{meant}"), err=True)


def print_remarks(remarks: Sequence[Quarantined], *, list_all: bool) -> None:
    """What is damaged beside images that were taken."""
    if remarks:
        typer.echo(f"{len(remarks):,} remarks on images that are indexed:", err=True)
        for one in remarks if list_all else remarks[:SHOWN]:
            typer.echo(f"  {shown(f'{one.id}: {one.reason}')}", err=True)
        if len(remarks) > SHOWN and not list_all:
            typer.echo(f"  ... and {len(remarks) - SHOWN:,} more: --list-skipped", err=True)
