"""The command `polyglance languages`: what can be asked in, and how well, as measured."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from polyglance.cli import options

HELP = "What an index can be asked in, and how well; without one, every language."
OWN_WIDTH, ENGLISH_WIDTH, SPEAKER_WIDTH = 19, 21, 12


def command(
    index: options.AnyIndex = None,
    pack: options.Packs = None,
    as_json: options.JsonOutput = False,
) -> None:
    """List languages with who speaks them and the measured dev score."""
    from polyglance import errors
    from polyglance.cli import terminal
    from polyglance.search.searcher import Searcher

    if index is None:
        if pack:
            raise errors.ConfigError(
                "--pack without --index; a pack is asked about an index",
                hint="name the index as well: --index INDEX",
            )
        _print_all(as_json)
        return
    searcher = Searcher(index, packs=options.packs_or_defaults(pack))
    rows = searcher.languages()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    typer.echo(
        f"{'id':<12}{'own name':<{OWN_WIDTH}}{'in English':<{ENGLISH_WIDTH}}"
        f"{'who speaks':<{SPEAKER_WIDTH}}{'score':>7}{'before':>8}"
    )
    for row in rows:
        typer.echo(
            terminal.padded(row.language, 12)
            + terminal.padded(row.own_name, OWN_WIDTH - 1)
            + " "
            + terminal.padded(row.english_name, ENGLISH_WIDTH - 1)
            + " "
            + terminal.padded(row.pack or row.speaker, SPEAKER_WIDTH)
            + f"{_per_cent(row.dev_score):>7}{_per_cent(row.teacher_score):>8}"
        )
    measured = sum(row.dev_score is not None for row in rows)
    typer.secho(
        f"{len(rows)} languages, {measured} measured. score: dev score of who speaks, per cent.\n"
        "before: dev score of the model's own text side.\n" + _further(bool(searcher.spoken)),
        dim=True,
    )
    terminal.tell([searcher.defaults.missing, searcher.defaults.notice])


def _print_all(as_json: bool) -> None:
    """Every language of the table: its id, the code of two letters, and its names."""
    from polyglance.cli import terminal
    from polyglance.languages import registry

    rows = registry.all_languages()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        typer.echo(
            terminal.padded(row.id, 17)
            + " "
            + terminal.padded(row.iso639_1 or "", 6)
            + terminal.padded(row.own_name, OWN_WIDTH - 1)
            + " "
            + row.english_name
        )


def _further(has_packs: bool) -> str:
    """What the list does not say."""
    if has_packs:
        return "Languages that are not listed go to the first pack, unmeasured."
    return "Without a pack the model answers, whatever it knows."


def _per_cent(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.1f}"
