"""The command `polyglance published --file`: checks of the files that authors published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from polyglance.results.published import PublishedNumber
    from polyglance.results.published.recomputed import Beside, Examined, OwnAverage

NAME_WIDTH = 37
_ASKS = {"text_to_content": "text to content", "content_to_text": "content to text"}


def show(paths: Sequence[Path], *, as_json: bool) -> None:
    """Examine files, or all known ones of folders, and print what was found.

    One file is told in full, several a line each. Program output has every number of the file to
    the digit, its averages and what the paper prints otherwise.
    """
    from polyglance.results.published import recomputed

    files = [file for path in paths for file in _files(path)]
    found = {file.name: recomputed.examine(file) for file in files}
    if as_json:
        typer.echo(json.dumps({name: asdict(each) for name, each in found.items()}, indent=1))
    elif len(found) == 1:
        for name, each in found.items():
            _print_file(name, each)
    else:
        _print_files(found)


def _files(path: Path) -> list[Path]:
    """The file itself, or what is known in a folder.

    Raises:
        UnavailableError: For a folder that has no known file.
    """
    from polyglance import errors
    from polyglance.results.published.author_files import author_files

    if not path.is_dir():
        return [path]
    known = [file for file in sorted(path.rglob("*")) if file.name in author_files()]
    if not known:
        raise errors.UnavailableError(
            f"{path} has no file of results that an author published",
            hint="known are M2M's metrics, Babel-ImageNet's results, open_clip's multilingual CSV",
        )
    return known


def _print_files(found: dict[str, Examined]) -> None:
    """A line a file, in 80 columns."""
    typer.echo(f"{'file':<{NAME_WIDTH}}{'numbers':>8}{'averages':>14}{'paper':>11}{'furthest':>10}")
    for name, each in found.items():
        if len(name) > NAME_WIDTH:  # shortened, two files would have one name
            typer.echo(name)
            name = ""
        typer.echo(_line(name, [each]))
    typer.secho(_line(f"{len(found)} files", list(found.values())), bold=True)
    typer.secho(
        "averages: how many in the file follow from its languages. paper: how many of\n"
        "the paper's figures are those of the file; furthest: in the paper's unit",
        dim=True,
    )


def _line(name: str, examined: Sequence[Examined]) -> str:
    """What was found in one file, or in all of them."""
    averages = [average for each in examined for average in each.averages]
    beside = [figure for each in examined for figure in each.beside]
    furthest = max((abs(figure.value - figure.printed.value) for figure in beside), default=None)
    return (
        f"{name:<{NAME_WIDTH}}{sum(len(each.numbers) for each in examined):>8}"
        f"{_agreeing(averages):>14}{_agreeing(beside):>11}"
        f"{'-' if furthest is None else f'{furthest:.2f}':>10}"
    )


def _agreeing(rows: Sequence[OwnAverage] | Sequence[Beside]) -> str:
    return f"{sum(row.agrees for row in rows)} of {len(rows)}" if rows else "-"


def _print_file(name: str, each: Examined) -> None:
    """One file: its means, and where the paper prints something else."""
    from polyglance.results.published.author_files import author_files

    typer.secho(name, bold=True)
    typer.echo(f"{len(each.numbers)} numbers, each to the digit: --json")
    if note := author_files()[name].note:
        typer.echo(note)
    if each.averages:
        typer.echo(f"{_agreeing(each.averages)} averages in it follow from its languages")
    if len({mean.model for mean in each.means}) == 1:
        _print_means(each.means)
    others = [beside for beside in each.beside if not beside.agrees]
    if each.beside:
        typer.echo(f"{_agreeing(each.beside)} figures of the paper are those of the file")
    for beside in others:
        _print_other(beside)


def _print_means(means: Sequence[PublishedNumber]) -> None:
    model, task = means[0].model, means[0].task
    typer.echo(f"{model}, {task}:")
    for mean in means:
        asks = mean.variant or _ASKS.get(mean.direction, mean.direction)
        group = mean.language.removeprefix("group:")
        value = f"{mean.value:.2f}" if mean.unit == "percent" else f"{mean.value:.4f}"
        typer.echo(f"  {asks:<20}{mean.metric:<18}{group:<10}{mean.note:<16}{value:>8}")


def _print_other(beside: Beside) -> None:
    number = beside.printed
    known = "  in the errata" if number.erratum is not None else ""
    asks = "" if number.direction == "content_to_class" else _ASKS.get(number.direction, "")
    typer.echo(
        f"  {number.table:<13}{number.language.removeprefix('group:'):<11}{asks:<17}"
        f"printed {number.printed:>6}, file {beside.value:>7.3f}{known}"
    )
