"""Loading of results for a report: several files in, and what was set aside.

One bad file or line among many must not cost the others; what is set aside is named and counted.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from polyglance import __version__, errors
from polyglance.languages import encoder_languages, registry
from polyglance.metrics.relevance import CAPTION_POLICIES
from polyglance.records import Quarantined
from polyglance.results import exchange, schema
from polyglance.results.repeated import Distinct
from polyglance.results.schema import Result
from polyglance.storage import made_files
from polyglance.tasks import TASKS
from polyglance.tasks.classification import VARIANTS

# A command names its languages where they are no more than that; else it measures all.
MOST_NAMED_LANGUAGES = 12
# What scores depend on, beside polyglance.
_LIBRARIES = ("numpy", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What several files of results hold.

    Attributes:
        by_file: Usable results by file; equal ones of several files stand in the first alone.
        set_aside: A sentence for each file or line that could not be used.
    """

    by_file: dict[Path, list[Result]]
    set_aside: tuple[str, ...]

    @property
    def rows(self) -> list[Result]:
        """All results, in the order of the files."""
        return [row for rows in self.by_file.values() for row in rows]

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of their first result."""
        return list(dict.fromkeys(row.called for row in self.rows))


def gather(paths: Sequence[Path]) -> Gathered:
    """Read files of results and set aside what cannot be used.

    Raises:
        ResultError: Where nothing can be used.
    """
    by_file: dict[Path, list[Result]] = {}
    set_aside: list[str] = []
    distinct = Distinct()
    for path in paths:
        if path.name == made_files.MANIFEST:  # as CONVERTED/* gives it
            continue
        whole = schema.read_what_is_whole(path)
        set_aside += _said(path, whole)
        known = []
        for row in whole.rows:
            if (unknown := _unknown_language(row)) is None:
                known.append(row)
            else:
                set_aside.append(f"{path}: a result of {row.task} in {unknown!r}, no language id")
        taken = distinct.take(path, known)
        set_aside += taken.superseded
        if taken.rows:
            by_file.setdefault(path, []).extend(taken.rows)
    if not by_file:
        names = ", ".join(errors.few([str(path) for path in paths])) or "no file"
        reasons = "; ".join(errors.few(set_aside)) or "they are empty"
        raise errors.ResultError(
            reasons if len(set_aside) == 1 == len(paths) else f"no result in {names}: {reasons}",
            hint="give a file that polyglance eval MODEL --task TASK --out FILE wrote: JSON lines, "
            "a result each",
        )
    return Gathered(by_file=by_file, set_aside=tuple(set_aside))


def commands(gathered: Gathered) -> list[str]:
    """The command that measures each model on each task again, one a line.

    Where the data lie is not in a result: whoever runs a command says it with `--data`.
    """
    made = []
    for path, rows in gathered.by_file.items():
        by_run: dict[tuple[str, str, str], list[Result]] = {}
        for row in rows:
            by_run.setdefault((row.model, row.pack, row.task), []).append(row)
        for (model, pack, task), members in by_run.items():
            words = ["polyglance", "eval", model, *(["--pack", pack] if pack else [])]
            words += ["--task", task]
            words += _options(task, members)
            measured = dict.fromkeys(row.language for row in members)
            if len(measured) <= MOST_NAMED_LANGUAGES:
                words += [word for language in measured for word in ("--language", language)]
            made.append(shlex.join([*words, "--out", str(path)]))
    return made


def _options(task: str, rows: Sequence[Result]) -> list[str]:
    """What `eval` does not do by itself: which prompts ask, and which captions."""
    prompts = [one for one in dict.fromkeys(row.variant for row in rows) if one in VARIANTS]
    policies = list(dict.fromkeys(row.caption_policy for row in rows))
    if (task in TASKS and policies == [TASKS[task].policy]) or set(policies) - {*CAPTION_POLICIES}:
        policies = []
    given = (("--prompts", prompts), ("--captions", policies))
    return [word for option, values in given for one in values for word in (option, one)]


def facts(gathered: Gathered) -> dict[str, Any]:
    """How the numbers are made again: commands, files, versions."""
    versions = {"polyglance": __version__}
    versions |= {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "commands": commands(gathered),
        "data": "Say where the files lie: --data FOLDER, --images FOLDER. The fingerprints below "
        "tell whether they are the same.",
        "files": {str(path): f"{len(rows):,} results" for path, rows in gathered.by_file.items()},
        "versions where this report was written": versions,
    }


def with_set_aside(gathered: Gathered, more: Sequence[Quarantined]) -> Gathered:
    """The same results, with what else was set aside."""
    said = (f"{one.id}: {one.reason}" for one in more)
    return replace(gathered, set_aside=(*gathered.set_aside, *said))


def notes(gathered: Gathered) -> list[str]:
    """What a reader should know of files and lines that were set aside."""
    return [f"Set aside: {sentence}." for sentence in gathered.set_aside]


def renamed(gathered: Gathered, renames: Sequence[str]) -> tuple[Gathered, list[str]]:
    """The same results with other names of models, where two would share one or a name is long.

    Args:
        gathered: What the files hold.
        renames: `OLD=NEW`; OLD is a model's name, or how its fingerprint begins.

    Returns:
        The results, and a sentence for each new name that says what it was.

    Raises:
        ConfigError: For another form, or an OLD that means no model or several of one task.
    """
    models = dict.fromkeys((row.called, row.model_id) for row in gathered.rows)
    new_names: dict[tuple[str, str], str] = {}
    for rename in renames:
        # A reference may hold the sign itself, as in ?space=NAME.
        old, sign, new = rename.rpartition("=")
        if not (sign and old and new):
            raise errors.ConfigError(
                f"--rename takes OLD=NEW, not {rename!r}",
                hint="OLD is a model's name among the results, or how its fingerprint begins",
            )
        meant = [model for model in models if model[0] == old]
        meant = meant or [model for model in models if model[1].startswith(old)]
        if len(meant) != 1 and not _never_meet(meant, gathered.rows):
            listed = "; ".join(f"{name} ({id_[:12]})" for name, id_ in (meant or models))
            raise errors.ConfigError(
                f"--rename {rename}: {old!r} means {len(meant) or 'no'} models; there are {listed}",
                hint="say how the fingerprint of one of them begins: "
                f"--rename {next(iter(meant or models))[1][:12]}=NAME",
            )
        new_names |= dict.fromkeys(meant, new)
    by_file = {
        path: [
            replace(row, model=new_names[who], pack="")
            if (who := (row.called, row.model_id)) in new_names
            else row
            for row in rows
        ]
        for path, rows in gathered.by_file.items()
    }
    said = [f"{new} is {old} ({id_[:12]})" for (old, id_), new in new_names.items()]
    return replace(gathered, by_file=by_file), said


def _never_meet(models: Sequence[tuple[str, str]], rows: Sequence[Result]) -> bool:
    """Whether models of a name share no task: one model has a fingerprint for texts alone."""
    tasks = [{row.task for row in rows if (row.called, row.model_id) == who} for who in models]
    return bool(tasks) and len(set().union(*tasks)) == sum(map(len, tasks))


def lists(given: Sequence[str], gathered: Gathered) -> dict[str, frozenset[str]]:
    """Lists of languages by model, as somebody names them.

    Args:
        given: `MODEL=LIST`; the list as `encoder_languages.languages_in` takes it.
        gathered: What the files hold, under the names that the report gives.

    Raises:
        ConfigError: For another form.
        UnknownNameError: For a model without results.
        LanguageError: For a list that is none.
    """
    found = {}
    for one in given:
        # A reference may hold the sign itself, as in ?space=NAME.
        model, sign, listed = one.rpartition("=")
        if not sign or not model:
            raise errors.ConfigError(
                f"{one!r} is not of the form MODEL=LIST",
                hint="as clip=de,fr or clip=LaBSE; the model is called as in the report",
            )
        if model not in gathered.models:
            raise errors.unknown_name("model among the results", model, allowed=gathered.models)
        found[model] = encoder_languages.languages_in(listed)
    return found


def supporting(gathered: Gathered, supported: Mapping[str, Collection[str]]) -> Gathered:
    """The same results, where some models are said to know these languages and no others."""
    by_file = {
        path: [
            replace(row, supported=encoder_languages.among(row.language, supported[row.called]))
            if row.called in supported
            else row
            for row in rows
        ]
        for path, rows in gathered.by_file.items()
    }
    return replace(gathered, by_file=by_file)


def _said(path: Path, whole: schema.Whole) -> Sequence[str]:
    """What is said of a file; of one that another tool wrote, that it can be converted."""
    form = None if whole.rows or not whole.said else exchange.foreign_form(path)
    if form is None:
        return whole.said
    return [
        f"{path} is of {form}; convert it first: "
        f"polyglance convert {shlex.quote(str(path))} --to polyglance --out results.jsonl"
    ]


def _unknown_language(row: Result) -> str | None:
    """A language id of the row that the table lacks."""
    for name in filter(None, (row.language, row.other_language)):
        try:
            registry.get_language(name)
        except errors.LanguageError:
            return name
    return None
