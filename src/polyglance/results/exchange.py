"""Exchange of results with other tools: one table of forms, recognised when read.

polyglance          JSON lines, everything
clip-benchmark      CLIP_benchmark's JSON, a file each for its own `build`
clip-benchmark-csv  the table that its `build` makes
mteb                MTEB's TaskResult, a file for each task and direction
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyglance import errors
from polyglance.results import clip_benchmark, mteb, schema
from polyglance.results.repeated import Distinct
from polyglance.results.schema import Result
from polyglance.storage import atomic, made_files, outputs

__all__ = ["FORMS", "Form", "read", "write"]

SUFFIXES = (".jsonl", ".json", ".csv")


@dataclass(frozen=True, kw_only=True)
class Form:
    """A row of the table.

    Attributes:
        output: Its kind in `outputs`.
        lost: What of a result the form has no place for.
        holds: Whether it has a place for a result at all.
        texts: Results to the text of each file, by its path under the target; a single file has
            the empty path.
    """

    output: str
    lost: tuple[str, ...] = ()
    holds: Callable[[Result], bool]
    texts: Callable[[Sequence[Result]], Mapping[str, str]]


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "polyglance": Form(
            output="CONVERTED",
            holds=lambda row: True,
            texts=lambda rows: {"": "".join(json.dumps(schema.to_row(row)) + "\n" for row in rows)},
        ),
        "clip-benchmark": Form(
            output="TABLES",
            lost=clip_benchmark.LOST,
            holds=clip_benchmark.holds,
            texts=clip_benchmark.to_files,
        ),
        "clip-benchmark-csv": Form(
            output="CLIP_BENCHMARK_CSV",
            lost=clip_benchmark.LOST,
            holds=clip_benchmark.holds,
            texts=lambda rows: {"": clip_benchmark.to_csv(rows)},
        ),
        "mteb": Form(output="TABLES", holds=lambda row: True, texts=mteb.to_files),
    }
)


def write(rows: Sequence[Result], form: str, *, path: Path, force: bool = False) -> list[Path]:
    """Write results in a form; nothing is replaced that is not of the form and ours.

    Args:
        rows: Those that the form holds are written; see `FORMS[form].holds`.
        form: A name of `FORMS`.
        path: A folder where the form is of many files, else a file.
        force: Whether one that this package made may be replaced, once the new one is whole.

    Returns:
        The files written; a folder has a manifest beside them.

    Raises:
        OutputError: There is something else at `path`.
        UnknownNameError: For another form.
        ResultError: Where the form holds none of the results.
    """
    if form not in FORMS:
        raise errors.unknown_name("form of results", form, allowed=FORMS)
    kept = [row for row in rows if FORMS[form].holds(row)]
    if not kept:
        raise errors.ResultError(
            f"{form} has no place for any of these {len(rows)} results",
            hint=f"choose another form: {', '.join(FORMS)}",
        )
    kind: outputs.Kind = getattr(outputs, FORMS[form].output)
    outputs.require(path, kind, force=force)
    texts = FORMS[form].texts(kept)
    if kind.is_folder:
        return made_files.write(path, texts, form=form)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, texts[""])
    return [path]


def read(
    paths: Iterable[Path], *, superseded: Callable[[str], None] | None = None
) -> tuple[list[Result], list[errors.PolyglanceError]]:
    """Read results in any of the forms; a file or row that cannot be used stops no other.

    Each result is there once, as `results.repeated` decides.

    Args:
        paths: Files, and folders that are looked through for such files.
        superseded: Told, in a sentence, what is left out because another result counts.

    Returns:
        The results, and an error for each path that is not there, each folder without such files,
        and each file or row that could not be used, naming it.
    """
    rows: list[Result] = []
    failed: list[errors.PolyglanceError] = []
    files: list[Path] = []
    distinct = Distinct()
    for given in paths:
        try:
            files += _files(given)
        except errors.UnavailableError as error:
            failed.append(error)
    for path in files:
        try:
            found, wrong = _read_file(path)
        except errors.PolyglanceError as error:
            found, wrong = [], [error]
        taken = distinct.take(path, found)
        rows += taken.rows
        failed += wrong
        if superseded is not None:
            for sentence in taken.superseded:
                superseded(sentence)
            if taken.num_repeated:
                superseded(f"{path}: {taken.num_repeated:,} results that stand further up already")
    return rows, failed


def foreign_form(path: Path) -> str | None:
    """Which other tool wrote a file of results; None for ours, or what is of none."""
    if clip_benchmark.is_table(path):
        return "CLIP_benchmark"
    try:
        found = _json(path)
    except errors.ResultError:
        return None
    if not isinstance(found, dict):
        return None
    return "CLIP_benchmark" if "metrics" in found else "MTEB" if "scores" in found else None


def _files(path: Path) -> list[Path]:
    if path.name == made_files.MANIFEST:  # as CONVERTED/* gives it
        return []
    if path.is_file():
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix in SUFFIXES and file.name != mteb.META_FILE and file.is_file()
    ]
    if not found:
        raise errors.UnavailableError(
            f"there are no results at {path}",
            hint=f"give files that end in {', '.join(SUFFIXES)}, or a folder of them",
        )
    return found


def _read_file(path: Path) -> tuple[list[Result], list[errors.PolyglanceError]]:
    """The results of a file, and an error for each row of it that is none."""
    if path.suffix == ".csv":
        return clip_benchmark.from_csv(path)
    if path.suffix == ".jsonl":
        whole = schema.read_what_is_whole(path)
        hint = "mend or delete that line; polyglance eval measures again what is missing"
        return list(whole.rows), [errors.ResultError(said, hint=hint) for said in whole.said]
    found = _json(path)
    if isinstance(found, dict) and "metrics" in found:
        return clip_benchmark.from_object(found, where=str(path)), []
    if isinstance(found, dict) and "scores" in found:
        return mteb.from_object(found, path=path)
    raise errors.ResultError(
        f"{path} is neither CLIP_benchmark's JSON (with metrics) nor MTEB's (with scores)",
        hint="give a file of one of the forms, or the .jsonl that polyglance eval wrote",
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        why = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise errors.ResultError(
            f"{path} is no JSON: {why}", hint="write or fetch that file again"
        ) from error
