"""The command `polyglance search`: queries an index in any language, by image, or by both."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli import options, terminal

if TYPE_CHECKING:
    from polyglance.cli.terminal import Way
    from polyglance.search.index import Index
    from polyglance.search.searcher import Answer, Searcher

HELP = "Find images by a text in any language, by an image, or by both."
WIDTH = 80


def command(
    query: Annotated[
        str | None,
        typer.Argument(
            help="What to look for: a text, or terms such as "
            '\'"beach" + photo.jpg - "night"\', each perhaps with a language (de:Strand) '
            'and a weight (0.5*"night").'
        ),
    ] = None,
    *,
    index: options.Index = None,
    pack: options.Packs = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            "-l",
            help="Language of the texts; else POLYGLANCE_LANGUAGE, else it is guessed.",
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image", "--audio", help="An image or sound that answers are to be like; may repeat."
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="A text to keep away from; may repeat."),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(
            "--folder",
            help="Only images in this folder or below, from the index or from here; may repeat.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="Taken on this day or later: 2024-07-31, 2024-07, 2024, 2024-07-31T18:30.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Taken on this day or earlier.")
    ] = None,
    min_size: Annotated[
        str | None, typer.Option("--min-size", help="Files of at least this size: 300kB, 2MB.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", help="Files of at most this size.")
    ] = None,
    top: Annotated[int, typer.Option("--top", "-k", help="How many answers.")] = 10,
    alike: Annotated[
        float | None,
        typer.Option(
            "--alike",
            min=0.5,
            max=1.0,
            help="Cosine from which images are folded into one; by default 1, copies alone.",
        ),
    ] = None,
    keep_copies: Annotated[bool, typer.Option("--keep-copies", help="Fold nothing.")] = False,
    as_json: options.JsonOutput = False,
    paths: Annotated[
        bool,
        typer.Option(
            "--paths", help="Print the paths alone, one a line; exact bytes into a pipe or file."
        ),
    ] = False,
    thumbnails: Annotated[
        bool | None,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show thumbnails; by default where the terminal says that it can.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Encode the query, rank the index, print ranked ids with scores."""
    from polyglance.languages import detection
    from polyglance.languages.registry import normalise_language, of_environment

    options.require_one({"--json": as_json, "--paths": paths, "--thumbnails": thumbnails})
    options.require_one({"--alike": alike, "--keep-copies": keep_copies})
    given = language or os.environ.get("POLYGLANCE_LANGUAGE") or None
    packs = options.packs_or_defaults(pack)
    if given is None and query is not None and packs != []:
        detection.load_ahead()
    from polyglance.search.filters import Filters
    from polyglance.search.request import (
        MOST_ANSWERS,
        SearchRequest,
        require_top,
        typed_query,
    )
    from polyglance.search.searcher import Searcher

    _require_question(query, image or [])
    require_top(top)
    language_id = None if given is None else normalise_language(given)
    filters = Filters.of_typed(
        folders=folder or [],
        since=since,
        until=until,
        min_size=min_size,
        max_size=max_size,
        here=Path.cwd() if folder else None,
    )
    index = options.index_or_last(index)
    with _without_collector():
        searcher = Searcher(index, packs=packs)
        asked = typed_query(
            query,
            media=image or [],
            without=without or [],
            named=Path,
            languages=searcher.spoken,
        )
        request = SearchRequest(
            query=asked,
            top=top,
            filters=filters,
            language=language_id,
            alike=None if keep_copies else 1.0 if alike is None else alike,
            preferred=of_environment(os.environ),
        )
        answer = searcher.search_many([request])[0]
    terminal.tell([searcher.defaults.missing])
    for note in answer.notes:
        typer.secho(note, dim=True, err=True)
    if as_json:
        typer.echo(json.dumps(_for_programs(query, answer), ensure_ascii=False, indent=2))
    elif paths:
        _print_paths([hit.path or hit.id for hit in answer.hits])
    else:
        _print_table(searcher, answer, thumbnails=thumbnails)
        more = min(2 * top, MOST_ANSWERS)
        passing = searcher.index.num_passing(filters) if len(answer.hits) == top < more else 0
        if top < passing:
            typer.secho(f"     {top} of {passing:,}; --top {more} shows more", dim=True, err=True)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector until the answer: it takes a tenth of the imports' time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _require_question(text: str | None, images: Sequence[Path]) -> None:
    """Refuse an empty question, or one that is no text, before anything is loaded."""
    from polyglance import errors
    from polyglance.search.queries import require_text

    if text is not None:
        require_text(text)
    elif not images:
        raise errors.InputError(
            "neither a text nor an image to look for",
            hint='polyglance search "cat", or --image photo.jpg',
        )


def _for_programs(query: str | None, answer: Answer) -> dict[str, Any]:
    """The answer as JSON; the first reading stands in front as well."""
    first = answer.assumed[0] if answer.assumed else None
    return {
        "query": query,
        "language": first and first.language,
        "answered_by": first and first.speaker,
        "assumed": [asdict(one) for one in answer.assumed],
        "seconds": round(answer.seconds, 4),
        "notes": list(answer.notes),
        "hits": [hit._asdict() for hit in answer.hits],
    }


def _print_paths(paths: Sequence[str]) -> None:
    """The paths, one a line: as they are where a program reads them.

    Raises:
        OutputError: For paths that hold the end of a line; the others are written.
    """
    from polyglance import errors

    if untold := terminal.send_lines(paths):
        named = ", ".join(map(terminal.shown, errors.few(untold)))
        raise errors.OutputError(
            f"{len(untold)} of {len(paths)} paths hold the end of a line and are left out: {named}",
            hint="--json in place of --paths gives every path whole",
        )


def _print_table(searcher: Searcher, answer: Answer, *, thumbnails: bool | None) -> None:
    """Ranked ids with scores on 80 columns, then who answered."""
    way = terminal.image_way(os.environ, is_terminal=sys.stdout.isatty())
    if thumbnails and way is None:
        typer.secho("this terminal does not say that it can show images", dim=True, err=True)
    for hit in answer.hits:
        same = f"  +{hit.num_folded} the same" if hit.num_folded else ""
        head = f"{hit.rank:>3}  {hit.score:6.3f}  "
        room = WIDTH - len(head) - len(same)
        typer.echo(head + terminal.fitted(hit.id, room) + same)
        if way is not None and thumbnails is not False:
            _show(searcher.index, hit.id, way)
    if not answer.hits:
        typer.echo("nothing found")
    for line in _who_answered(answer, has_candidates=bool(searcher.spoken)):
        typer.secho(terminal.wrapped(line, indent=5), dim=True, err=True)
    terminal.tell([searcher.defaults.notice])


def _show(index: Index, identity: str, way: Way) -> None:
    """One thumbnail, where there is one."""
    from polyglance import errors
    from polyglance.search.thumbnails import thumbnail

    try:
        picture = thumbnail(index, identity)
    except (errors.UnavailableError, errors.InputError):
        return  # vectors of others have no image, and a file may be gone
    terminal.send(terminal.picture(picture, way=way))


def _who_answered(answer: Answer, *, has_candidates: bool) -> list[str]:
    """A line for each reading: who answered, and what was assumed."""
    from polyglance.languages import detection
    from polyglance.languages.registry import get_language

    lines = []
    several = len({one.text for one in answer.assumed}) > 1
    for one in answer.assumed:
        who = f"{f'{one.text}: ' if several else ''}answered by the {one.speaker}"
        if one.pack is not None and one.pack != "pack":
            who += f" {one.pack}"
        if one.language is None and not detection.has_letters(one.text):
            said = "no letters, so no language is assumed"
        elif one.language is None and has_candidates:
            said = "letters of none of the languages here, so none is assumed"
        elif one.language is None:
            said = "no language given: say --language en for the model's own English"
        elif one.share >= 1:
            said = one.language
        else:
            names = [get_language(name).english_name for name in (one.language, *one.others)]
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            said = f"taken for {listed}: {100 * one.share:.0f} %"
        lines.append(f"{who} ({said})")
    if any(one.language is not None and one.share < 1 for one in answer.assumed):
        lines.append("a guess; --language LANGUAGE says which")
    return lines
