"""The command `polyglance serve`: an index on the web, for people and for programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options, terminal

if TYPE_CHECKING:
    from polyglance.serve.security import App

HELP = "Serve an index: a search page, and end points for programs."
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16
TOKEN_VARIABLE = "POLYGLANCE_TOKEN"


def command(
    index: options.Index = None,
    pack: options.Packs = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar=TOKEN_VARIABLE,
            show_envvar=True,
            help="What everyone has to show. Others on this machine can read a command line: "
            "better the variable.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            help="A name that this server is reached by, such as photos.example; repeatable. "
            "Without a token, others are refused.",
        ),
    ] = None,
) -> None:
    """Open the index, listen, and stop gracefully when told to."""
    from polyglance import errors

    try:
        from polyglance.serve import memory, sessions, sockets
        from polyglance.serve.host_names import usable_name
        from polyglance.serve.limits import Limits
    except ImportError as error:
        raise errors.missing_extra("servers", extra="serve") from error

    index = options.index_or_last(index)
    memory.share_arenas()
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE)  # an empty one is not given, to typer
    if token is not None:
        token = sessions.usable(token)
    names = [usable_name(one) for one in name or []]
    try:
        at = sockets.bound(host, port)
        warn(host, token)
        packs = options.packs_or_defaults(pack)
        app = open_app(index, packs=packs, host=host, token=token, names=names)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{at.getsockname()[1]}"
        running = sockets.serve(
            app,
            at,
            limits=Limits(),
            started=lambda: typer.echo(f"{address}  (stop with Ctrl-C)"),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped") from None
    if not running:
        raise typer.Exit(1)


def warn(host: str, token: str | None) -> None:
    """Say on standard error what is not safe about an address and a token."""
    if host not in LOOPBACK and token is None:
        typer.secho(
            f"warning: everyone who reaches {host} can search and see these images\n"
            "  -> POLYGLANCE_TOKEN=... asks for a token; the default host is this machine alone",
            fg="yellow",
            err=True,
        )
    if host not in LOOPBACK and token is not None:
        typer.secho("note: tokens and images travel unencrypted; put TLS in front", err=True)
    if token is not None and len(token) < SHORTEST_TOKEN:
        typer.secho(
            f"warning: a token of {len(token)} characters can be guessed\n"
            '  -> python -c "import secrets; print(secrets.token_urlsafe())"',
            fg="yellow",
            err=True,
        )


def open_app(
    index: Path | str, *, packs: list[str] | None, host: str, token: str | None, names: list[str]
) -> App:
    """The application over an index; what is to be said of packs that ship is said."""
    from polyglance import errors

    try:
        from polyglance.serve import app
    except ImportError as error:
        raise errors.missing_extra("servers", extra="serve") from error
    from polyglance.search.searcher import Searcher
    from polyglance.serve.answers import Asker

    searcher = Searcher(index, packs=packs)
    terminal.tell([searcher.defaults.missing, searcher.defaults.notice])
    return app.create(
        Asker(searcher),
        token=token,
        loopback_only=host in LOOPBACK and token is None,
        names=names,
    )
