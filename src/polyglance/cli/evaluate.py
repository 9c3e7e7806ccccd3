"""The command `polyglance eval`: scores of a model in each language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.records import Quarantined
    from polyglance.tasks import TaskData

HELP = "Measure a model in every language of one task or several."


def command(
    model: Annotated[
        str | None,
        typer.Argument(help="hf:NAME, openclip:NAME, sentence:NAME, or a model folder."),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", help="Which task; --list shows them; may be repeated."),
    ] = None,
    languages: options.Languages = None,
    pack: Annotated[
        str | None, typer.Option("--pack", "-p", help="A language pack: its folder or hub id.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The publisher's files, or the folder of such folders."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of the images or tars of them, by file name."),
    ] = None,
    image_vectors: Annotated[
        str | None,
        typer.Option("--image-vectors", help="Their vectors: precomputed:FOLDER?space=SPACE."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the publisher's files that are pinned.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Results as JSON lines; resumes from it.")
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompts",
            help="Of classes: labels, english, translated, human or best; may be repeated.",
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(
            "--captions", help="Of images: first, all or unique captions ask; may be repeated."
        ),
    ] = None,
    track: options.Track = None,
    list_tasks: Annotated[bool, typer.Option("--list", help="List the tasks.")] = False,
    as_json: options.JsonOutput = False,
) -> None:
    """List tasks, or measure a model on some and print a table for each."""
    import functools

    from polyglance import errors
    from polyglance.cli import eval_tables
    from polyglance.results import trackers
    from polyglance.tasks import TASKS, classification, get_task, load_task, retrieval

    if list_tasks:
        listed = eval_tables.task_json if as_json else eval_tables.task_list
        typer.echo(listed(TASKS))
        return
    if model is None or not tasks:
        raise errors.ConfigError(
            "eval needs a model and a task",
            hint="polyglance eval MODEL --task xtd10 --data FOLDER --images FOLDER",
        )
    options.claim(out, "RESULTS")
    options.claim_cache()
    for name in tasks:
        get_task(name)
    for variant in prompts or ():
        classification.variant_of(variant)
    for policy in captions or ():
        retrieval.policy_of(policy)
    trackers.require(track or ())
    wanted = options.language_ids(languages)
    # The texts of all tasks first: a wrong folder or language shows before hours of work.
    loaded = {name: load_task(name, data, download=download) for name in dict.fromkeys(tasks)}
    given = {
        "--prompts": prompts,
        "--captions": captions,
        "--images": images,
        "--image-vectors": image_vectors,
    }
    for sentence in (*_idle(loaded, given), *_told_first(loaded, out)):
        typer.secho(sentence, err=True)
    chosen = _choose(loaded, wanted)
    from polyglance.evaluation import run
    from polyglance.model.dual_encoder import load_side

    # Several tasks load the model once.
    load = functools.cache(load_side)
    measured = []
    about = {"model": model, "pack": pack or "", "tasks": ",".join(loaded)}
    with trackers.opened(track or (), run_name="polyglance-eval", config=about):
        for name, texts in loaded.items():
            if not chosen[name]:
                continue
            set_aside: list[Quarantined] = []
            rows = run.evaluate(
                model,
                texts,
                pack=pack,
                images=images,
                image_vectors=image_vectors,
                languages=chosen[name],
                out=out,
                prompts=prompts or (),
                captions=captions or (),
                load=load,
                set_aside=set_aside.append,
            )
            measured += rows
            trackers.log_results(rows)
            groups = get_task(name).groups
            if not as_json:
                table = eval_tables.result_table(name, rows, groups=groups() if groups else None)
                typer.echo(table + ("\n" if len(loaded) > 1 else ""))
            for sentence in eval_tables.set_aside_lines(
                name, set_aside, num_asked=len(chosen[name])
            ):
                typer.secho(sentence, err=True)
    if not measured:
        raise errors.UnavailableError(
            f"nothing was measured: {', '.join(loaded)} has no text in a language that is "
            "understood",
            hint="look at how the files of --data are named: polyglance eval --list",
        )
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in measured], ensure_ascii=False, indent=2))


def _idle(loaded: Mapping[str, TaskData], given: Mapping[str, object]) -> list[str]:
    """Which of some options change nothing in a task."""
    from polyglance.tasks import ItemData
    from polyglance.tasks.classification import ClassificationData
    from polyglance.tasks.retrieval import RetrievalData

    told = []
    for name, data in loaded.items():
        has_content = isinstance(data, ItemData)
        brings = isinstance(data, ItemData) and bool(data.media_files)
        idle = {}
        if not isinstance(data, ClassificationData):
            idle["--prompts"] = "no classes"
        if not isinstance(data, RetrievalData):
            idle["--captions"] = "no captions"
        if brings:
            idle["--images"] = "items of its own"
        if not has_content:
            idle = dict.fromkeys(given, "texts alone")
        told += [
            f"{name} has {what}: {option} changes nothing there"
            for option, what in idle.items()
            if given[option]
        ]
    return told


def _told_first(loaded: Mapping[str, TaskData], out: Path | None) -> list[str]:
    """What of the files cannot be used, said before hours of work."""
    from polyglance import errors
    from polyglance.cli import eval_tables
    from polyglance.results import schema

    told = [] if out is None or not out.exists() else schema.read_what_is_whole(out).said
    return [
        *(f"set aside: {sentence}" for sentence in errors.few(told)),
        *(
            line
            for name, data in loaded.items()
            for line in eval_tables.unusable_lines(name, data.set_aside)
        ),
    ]


def _choose(
    loaded: Mapping[str, TaskData], wanted: Sequence[str] | None
) -> dict[str, Sequence[str]]:
    """The languages to measure of each task; what some tasks lack is said, what all lack refused.

    Raises:
        LanguageError: For a language that no task has.
        UnavailableError: For a task without any text.
    """
    from polyglance import errors

    for name, data in loaded.items():
        if not data.languages:
            raise errors.UnavailableError(
                f"{name}: there is no text of this task in any language where --data leads",
                hint="give the publisher's folder, which polyglance eval --list names",
            )
    if wanted is None:
        return {name: data.languages for name, data in loaded.items()}
    there = {language for data in loaded.values() for language in data.languages}
    if lacking := [language for language in wanted if language not in there]:
        raise errors.LanguageError(
            f"{', '.join(loaded)} has nothing in {', '.join(lacking)}; "
            f"there is {', '.join(sorted(there))}",
            hint="leave those out, or choose another task: polyglance eval --list",
        )
    chosen: dict[str, Sequence[str]] = {}
    for name, data in loaded.items():
        chosen[name] = [language for language in wanted if language in data.languages]
        if absent := [language for language in wanted if language not in data.languages]:
            typer.secho(f"{name}: nothing in {', '.join(absent)}", err=True)
    return chosen
