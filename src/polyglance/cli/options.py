"""Options that several commands share, and the outputs that a command claims at its start."""

from __future__ import annotations

import itertools
import shlex
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

try:
    from typer import _click  # newer ones bring their own
except ImportError:
    import click as _click  # type: ignore[no-redef]

if TYPE_CHECKING:
    from polyglance.storage.outputs import Kind

click: Any = _click
_GOES_ON = "polyglance.goes_on"

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="The dual encoder: photos, hf:NAME, openclip:NAME, or a folder with a model.json.",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language", "-l", help="A language, as de, deu, deu_Latn or German; may be repeated."
    ),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the publisher's text files.")]
Images = Annotated[
    Path | None, typer.Option("--images", help="Folder of the images, by file name.")
]
Index = Annotated[
    str | None,
    typer.Option(
        "--index",
        "-i",
        help="Folder of the index, or its address, as s3://BUCKET/INDEX; none: the last that "
        "index made without --out.",
    ),
]
AnyIndex = Annotated[
    str | None,
    typer.Option("--index", "-i", help="Folder of the index, or its address; none: all languages."),
]
Packs = Annotated[
    list[str] | None,
    typer.Option(
        "--pack",
        "-p",
        help="A language pack: its folder, name or hub id; with several, the best speaks. None "
        "named: those that come with photos; none: the model alone.",
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        help="Tell a tracker too: tensorboard, wandb, mlflow or trackio; may be repeated.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace one of the same kind; the old stays until then."),
]


def claim(out: Path | None, kind: str, *, force: bool = False) -> None:
    """Refuse an output that may not or cannot be written; the first thing that a verb does.

    What else the command line names, to be read or to be written, is kept apart from it.

    Args:
        out: Where; None where nothing is written.
        kind: The name of a kind in `outputs`, as `PACK`.
        force: Whether one of the same kind may be replaced.

    Raises:
        OutputError: Something else is there, or it is a place that is never written.
    """
    if out is None:
        return
    from polyglance.storage import outputs

    found: Kind = getattr(outputs, kind)
    context = _context()
    if context is not None and found.goes_on:
        context.find_root().meta[_GOES_ON] = True
    beside = [] if context is None else list(_places(context.params, without=out))
    outputs.require(out, found, force=force, beside=beside)


def index_or_last(index: str | None) -> str:
    """The index that was named, or the last in the user's data folder, which is said then.

    Raises:
        UnavailableError: Neither is there.
    """
    if index is not None:
        return index
    from polyglance import progress
    from polyglance.search import own_indexes

    found = own_indexes.last()
    progress.say(f"index: {found}")
    return str(found)


def packs_or_defaults(packs: list[str] | None) -> list[str] | None:
    """What was named; None takes the packs that ship, and `none` takes no pack.

    Raises:
        ConfigError: `none` beside others.
    """
    from polyglance import errors
    from polyglance.search.default_packs import NONE

    if not packs or NONE not in packs:
        return packs or None
    if len(packs) > 1:
        raise errors.ConfigError(
            f"--pack {NONE} was given with {len(packs) - 1} other",
            hint=f"--pack {NONE} alone takes the model alone",
        )
    return []


def claim_cache() -> None:
    """Refuse to begin where the user's cache cannot be written, for a verb that fills it.

    Raises:
        OutputError: It cannot, with the variable that names another one.
    """
    from polyglance.storage import outputs

    outputs.require_cache()


def require_one(given: Mapping[str, object]) -> None:
    """Refuse options that exclude each other.

    Args:
        given: What each was set to, by the option's name; None and False where it was left out.

    Raises:
        ConfigError: More than one was given.
    """
    from polyglance import errors

    names = [name for name, value in given.items() if value not in (None, False)]
    if len(names) > 1:
        raise errors.ConfigError(f"{' and '.join(names)} were given", hint="give one of them")


def require_named(command: Any, given: Sequence[str]) -> None:
    """Refuse an empty text where a path is wanted: it would mean the folder one is in.

    That is what an unset variable of the shell comes to, as in `polyglance index "$PHOTOS"`.

    Args:
        command: Of click.
        given: What follows its name, as typed.

    Raises:
        InputError: There is one.
    """
    from polyglance import errors

    while given and given[0] in getattr(command, "commands", {}):  # embed text, embed images
        command, given = command.commands[given[0]], given[1:]
    if command.callback is None or not any(text == "" or text.endswith("=") for text in given):
        return
    kinds = typing.get_type_hints(command.callback)
    takes_path = [one for one in command.params if _has_path(kinds.get(one.name))]
    named = {name for one in takes_path for name in one.opts if name.startswith("-")}
    has_argument = any(one.param_type_name == "argument" for one in takes_path)
    for before, text in itertools.pairwise(["", *given]):
        option = before if text == "" else text.removesuffix("=")
        is_argument = text == "" and has_argument and not before.startswith("-")
        if is_argument or (option != text and option in named):
            what = "a path" if is_argument else option
            raise errors.InputError(
                f"{what} is empty; it would mean the folder you are in",
                hint="name it; . is the folder that you are in",
            )


def _has_path(kind: Any) -> bool:
    """Whether a type is of paths: `Path`, `Path | None`, `list[Path] | None`."""
    return kind is Path or any(map(_has_path, typing.get_args(kind)))


def as_typed() -> str:
    """The running command line, quoted so that a shell takes it again."""
    return shlex.join(["polyglance", *sys.argv[1:]])


def goes_on(context: typer.Context) -> bool:
    """Whether what the running command writes is taken up by the next one like it."""
    return bool(context.find_root().meta.get(_GOES_ON))


def _context() -> Any:
    """The running command, if a command line runs."""
    return click.globals.get_current_context(silent=True)


def _places(given: dict[str, Any], *, without: Path) -> Iterator[str | Path]:
    """What of a command's values may be a place: paths, and texts that name something there is.

    The output itself is left out once: if it is given twice, it conflicts with itself.
    """
    left_out = False
    for value in given.values():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Path) and each == without and not left_out:
                left_out = True
            elif isinstance(each, Path) or (isinstance(each, str) and _is_place(each)):
                yield each


def _is_place(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def language_ids(given: list[str] | None) -> list[str] | None:
    """Language ids of what the user wrote; None stays None."""
    from polyglance.languages.registry import normalise_language

    return None if given is None else [normalise_language(code) for code in given]
