"""The command `polyglance compare`: recipes measured side by side for given languages and data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options, training_data

if TYPE_CHECKING:
    from polyglance.compare.entries import Comparison
    from polyglance.results.schema import Result

HELP = """Measure several recipes side by side and say which to take.

\b
Every recipe has the same model, tower, data, languages and seeds. Without
--model the comparison is made in the world of the demo, which needs no file.
"""


def command(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The dual encoder; none: the demo's.")
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Measured on; eval --list.")] = "pictograms",
    out: options.Out = Path("compare"),
    recipes: Annotated[
        str | None, typer.Option("--recipes", "-r", help="Comma-separated; none: all.")
    ] = None,
    languages: options.Languages = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each recipe.")] = 3,
    text: training_data.Text = None,
    parallel: training_data.Parallel = None,
    captions: training_data.Captions = None,
    bank: training_data.Bank = None,
    images: training_data.Images = None,
    tower: training_data.TowerOption = None,
    data: training_data.TaskData = None,
    task_images: training_data.TaskImages = None,
    leakage: training_data.LeakagePolicy = "refuse",
    translator: Annotated[
        str | None,
        typer.Option(
            "--translator",
            help="Command that translates lines, as 'apertium {language}-eng'.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A field, as m2m.num_epochs=5.")
    ] = None,
    track: options.Track = None,
    as_json: options.JsonOutput = False,
) -> None:
    """Train and measure every entry; --out gets compare.json, results.jsonl, packs, report.html."""
    options.claim(out, "COMPARISON")
    options.claim_cache()
    from polyglance import compare, errors
    from polyglance.build.translators import CommandTranslator
    from polyglance.compare import entries
    from polyglance.evaluation import run
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.results import schema, trackers
    from polyglance.tasks import get_task
    from polyglance.tasks import leakage as screening
    from polyglance.tasks.retrieval import RetrievalData

    ways = _ways(recipes)
    files = training_data.MaterialFiles(
        text=text, parallel=parallel, captions=captions, bank=bank, images=images
    )
    translate = None if translator is None else CommandTranslator(command=translator)
    chosen, fields = options.language_ids(languages), _settings(settings or [], ways=ways)
    compare.require_known(ways, settings=fields, seeds=range(seeds))
    screening.require_policy(leakage)
    trackers.require(track or ())
    row = get_task(task)
    if model is None:
        from polyglance.demo.comparison import pictograms_comparison

        if task != "pictograms":
            raise errors.ConfigError(
                f"no model for the task {task}", hint="name one: --model hf:NAME, or a folder"
            )
        setup = pictograms_comparison(
            out, languages=chosen, seeds=range(seeds), settings=fields, translator=translate
        )
    else:
        loaded = row.load(data, chosen)
        if not isinstance(loaded, RetrievalData):
            raise errors.ConfigError(
                f"a comparison is measured by retrieval; {task} is {row.kind}",
                hint="choose a retrieval task: polyglance eval --list",
            )
        teacher = DualEncoder.load(model)
        loaded, contents = run.content_vectors(teacher, loaded, images=task_images)
        screened = files.read(teacher).screened(
            [loaded], images=task_images, teacher=teacher, policy=leakage
        )
        setup = compare.ComparisonSetup(
            teacher=teacher,
            data=loaded,
            contents=contents,
            training_data=screened.training_data,
            leakage=screened.facts,
            tower=training_data.text_side(tower),
            seeds=range(seeds),
            out=out,
            settings=fields,
            images=task_images,
            cache=training_data.text_cache(),
            translator=translate,
        )
    about = {"model": model or "demo", "tower": tower or "", "task": task, "ways": ",".join(ways)}
    with trackers.opened(track or (), run_name="polyglance-compare", config=about):
        comparison, rows = compare.compare(setup, ways)
        trackers.log_results(rows, by_model=True)
    entries.write(comparison, out / "compare.json")
    (out / "results.jsonl").unlink(missing_ok=True)
    schema.append_results(out / "results.jsonl", rows)
    if as_json:
        typer.echo(json.dumps(comparison.as_json(), ensure_ascii=False, indent=2))
    else:
        _print(comparison)
    _report(comparison, rows, out)


def _ways(recipes: str | None) -> list[str]:
    """The recipes that were named, each once; all where none was."""
    from polyglance.recipes import RECIPES, get_recipe

    if recipes is None:
        return list(RECIPES)
    names = list(dict.fromkeys(name.strip() for name in recipes.split(",")))
    for name in names:
        get_recipe(name)
    return names


def _settings(given: list[str], *, ways: Sequence[str]) -> dict[str, dict[str, str]]:
    """`recipe.field=value` settings by recipe, of those that are compared."""
    from polyglance import errors
    from polyglance.cli.train import read_settings
    from polyglance.recipes import get_recipe

    found: dict[str, dict[str, str]] = {}
    for key, value in read_settings(given).items():
        recipe, dot, field = key.partition(".")
        if not dot:
            raise errors.ConfigError(
                f"--set {key}={value}; the form is recipe.field=value",
                hint=f"for example --set m2m.{key}={value}",
            )
        get_recipe(recipe)
        if recipe not in ways:
            raise errors.ConfigError(
                f"--set {key}={value}, and {recipe} is not compared: --recipes {','.join(ways)}",
                hint=f"leave the setting out, or name {recipe} as well",
            )
        found.setdefault(recipe, {})[field] = value
    return found


def _print(comparison: Comparison) -> None:
    """The comparison in 80 columns, and what to take."""
    split = comparison.main_split
    typer.echo(
        f"Text to image, R@10 in per cent: {comparison.task} ({split}), "
        f"{len(comparison.languages)} languages"
    )
    typer.echo(f"{'way':<14}{'but English':>19}{'English':>8}{'train':>9}{'size':>9}{'query':>9}")
    for entry in comparison.entries:
        scores = entry.scores[split]
        others, english = scores.get("others"), scores.get("English")
        typer.echo(
            f"{entry.name:<14}"
            + (
                f"{100 * others.mean:6.1f} [{100 * others.low:.1f}, {100 * others.high:.1f}]"
                if others
                else "-"
            ).rjust(19)
            + (f"{100 * english.mean:.1f}" if english else "-").rjust(8)
            + (f"{entry.training_seconds:,.1f} s" if entry.training_seconds else "-").rjust(9)
            + (f"{entry.size_bytes / 2**20:.1f} MB" if entry.size_bytes else "-").rjust(9)
            + f"{entry.query_milliseconds:,.0f} ms".rjust(9)
            + ("  *" if entry.on_front else "")
        )
        typer.secho(f"  from {entry.data}; {entry.num_trainable_parameters:,} parameters", dim=True)
        parts = (
            ("translation", entry.translation_milliseconds),
            ("text", entry.text_milliseconds),
            ("item", entry.item_milliseconds),
        )
        told = ", ".join(f"{name} {ms:,.1f} ms" for name, ms in parts if ms is not None)
        typer.secho(f"  one by one: {told}", dim=True)
    typer.secho("* no other way is as good in score, training, data and query time", dim=True)
    for name, reason in comparison.skipped.items():
        typer.secho(f"left out: {name}: {reason}", dim=True)
    for task, counts in comparison.leakage.get("checked_against", {}).items():
        said = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in counts.items() if n)
        if said:
            done = comparison.leakage["policy"]
            typer.secho(f"learnt from and in {task} as well: {said} ({done})", dim=True)
    typer.secho(
        f"mark and advice are chosen on {comparison.num_dev} items, figures are of the others",
        dim=True,
    )
    typer.echo(comparison.advice)


def _report(comparison: Comparison, rows: list[Result], out: Path) -> None:
    """`report.html`, where the plotting library is installed."""
    from polyglance import errors
    from polyglance.compare.entries import TEACHER
    from polyglance.report.page import write_report

    try:
        write_report(
            out / "report.html",
            title="Which recipe?",
            results=rows,
            model_order=[entry.name for entry in comparison.entries],
            baseline=TEACHER,
            facts={
                "commands": [options.as_typed()],
                "model": comparison.model,
                "tower": comparison.tower,
                "seeds": list(comparison.seeds),
            },
            comparison=comparison.as_json(),
        )
    except errors.MissingExtraError as error:
        typer.secho(f"no report: {error.message} -> {error.hint}", dim=True, err=True)
