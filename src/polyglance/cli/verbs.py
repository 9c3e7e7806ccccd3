"""The table of commands: thin ones over the API, each importing what it needs when it runs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from polyglance import __version__
from polyglance.cli import (
    analyse,
    check_index,
    compare,
    convert,
    demo,
    difference,
    embed,
    evaluate,
    export,
    index,
    languages,
    options,
    packs,
    published,
    report,
    search,
    serve,
    train,
)
from polyglance.cli.interruption import GOES_ON, STOPPED, Stopped


class _Group(TyperGroup):
    """The commands; one that is interrupted says how to go on, where it goes on."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, given = super().resolve_command(ctx, args)
        options.require_named(command, given)
        return name, command, given

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            said = STOPPED + (GOES_ON if options.goes_on(ctx) else "")
            raise Stopped(str(stopped) or said) from stopped


app = typer.Typer(
    name="polyglance",
    cls=_Group,
    help="Give an image-text model new languages in minutes, without re-encoding one image.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Boxes would cost 0.15 s in every --help, half of what it may take.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", help=demo.HELP)(demo.command)
app.command("train", cls=train.Command, help=train.HELP)(train.command)
app.command("compare", help=compare.HELP)(compare.command)
app.command("eval", help=evaluate.HELP)(evaluate.command)
app.command("report", help=report.HELP)(report.command)
app.command("difference", help=difference.HELP)(difference.command)
app.command("published", help=published.HELP)(published.command)
app.command("convert", help=convert.HELP)(convert.command)
app.command("analyse", help=analyse.HELP)(analyse.command)
app.command("index", help=index.HELP)(index.command)
app.command("search", help=search.HELP)(search.command)
app.command("check-index", help=check_index.HELP)(check_index.command)
app.command("languages", help=languages.HELP)(languages.command)
app.command("serve", help=serve.HELP)(serve.command)
app.command("export", help=export.HELP)(export.command)
app.add_typer(embed.app, name="embed")
app.command("import-m2m", help=packs.HELP)(packs.command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"polyglance {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    from polyglance import progress
    from polyglance.storage import launched

    if not launched.rank():  # several on one terminal would overwrite each other's bars
        progress.enable()
