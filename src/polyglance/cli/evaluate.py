"""`polyglance eval`: how good is a model in each language?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.results import Result

HELP = "Measure a model in every language of a task."


def command(
    model: Annotated[
        str | None, typer.Argument(help="The dual encoder: hf:NAME, or a model folder.")
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Which task; --list shows them.")] = "",
    languages: options.Languages = None,
    pack: Annotated[
        str | None, typer.Option("--pack", "-p", help="A language pack: its folder or hub id.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the publisher's text files.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of the pictures, by file name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Results as JSON lines; resumes from it.")
    ] = None,
    list_tasks: Annotated[bool, typer.Option("--list", help="List the tasks.")] = False,
    as_json: options.JsonOutput = False,
) -> None:
    """List tasks, or measure a model on one and print its hit rates."""
    from polyglance import errors
    from polyglance.tasks import get_task

    if list_tasks:
        _print_tasks()
        return
    if model is None or not task:
        raise errors.ConfigError(
            "eval needs a model and a task",
            hint="polyglance eval MODEL --task xtd10 --data FOLDER --images FOLDER",
        )
    wanted = options.language_ids(languages)
    loaded = get_task(task).load(data, wanted)
    from polyglance import measure

    rows = measure.measure(
        model, loaded, task=task, pack=pack, images=images, languages=wanted, out=out
    )
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    else:
        _print_results(rows)


def _print_tasks() -> None:
    from polyglance.tasks import TASKS

    for name, row in TASKS.items():
        typer.echo(f"{name:<12}{row.num_languages:>4} languages  {row.summary}")
        typer.secho(f"{'':<12}captions: {row.policy}; images: {row.images}", dim=True)


def _print_results(rows: list[Result]) -> None:
    """One line a language and split: R@10 both ways with its interval."""
    typer.echo(f"{'language':<12}{'split':<10}{'text to image':>22}{'image to text':>22}   R@10")
    by_key: dict[tuple[str, str], dict[str, Result]] = {}
    for row in rows:
        by_key.setdefault((row.language, row.split), {})[row.direction] = row
    for (language, split), found in by_key.items():
        cells = "".join(
            f"{_cell(found.get(direction)):>22}"
            for direction in ("text_to_content", "content_to_text")
        )
        typer.echo(f"{language:<12}{split:<10}{cells}")
    dropped = {name: n for row in rows for name, n in row.num_dropped.items() if n}
    for name, count in dropped.items():
        typer.secho(f"{name.replace('_', ' ')}: {count:,}", dim=True)


def _cell(row: Result | None) -> str:
    if row is None:
        return "-"
    low, high = row.intervals["hit_rate_at_10"]
    return f"{100 * row.values['hit_rate_at_10']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
