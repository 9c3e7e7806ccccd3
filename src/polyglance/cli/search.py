"""`polyglance search`: ask an index in any language."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.search.ranked import Hit

HELP = "Find pictures by a text in any language."


def command(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    index: Annotated[Path, typer.Option("--index", "-i", help="Folder of the index.")],
    pack: Annotated[
        str | None, typer.Option("--pack", "-p", help="A language pack: its folder or hub id.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            "-l",
            help="Language of the query; else POLYGLANCE_LANGUAGE, else the pack answers as it is.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", "-k", help="How many answers.")] = 10,
    as_json: options.JsonOutput = False,
) -> None:
    """Encode the query, rank the index, print ranked ids with scores."""
    from polyglance import errors
    from polyglance.languages import normalise_language
    from polyglance.packs import LanguagePack
    from polyglance.search.index import Index

    if not query.strip():
        raise errors.InputError("an empty query", hint='ask for something: polyglance search "cat"')
    given = language or os.environ.get("POLYGLANCE_LANGUAGE") or None
    language_id = None if given is None else normalise_language(given)
    opened = Index(index)
    loaded = LanguagePack.load(pack) if pack else None
    speakers = opened.speakers(loaded)
    languages = None if language_id is None else [language_id]
    vectors = speakers.encode_texts([query], languages=languages)
    speaker = speakers.speaker(language_id)
    hits = opened.search(vectors, top=top, pack=loaded if speaker == "pack" else None)[0]
    if as_json:
        answer = {
            "query": query,
            "language": language_id,
            "answered_by": speaker,
            "hits": [asdict(hit) for hit in hits],
        }
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    _print_table(hits, speaker=speaker, language_id=language_id)


def _print_table(hits: list[Hit], *, speaker: str, language_id: str | None) -> None:
    for hit in hits:
        typer.echo(f"{hit.rank:>3}  {hit.score:6.3f}  {hit.id}")
    said = language_id or "no language given: say --language en for the model's own English"
    typer.secho(f"     answered by the {speaker} ({said})", dim=True, err=True)
