"""The command `polyglance train`: a recipe, a model, a text tower if needed, and training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from polyglance.cli import options, packs, terminal, training_data

if TYPE_CHECKING:
    from polyglance.model.pack import LanguagePack
    from polyglance.training import RunFolder

# Printed by `train --help`, so that choosing a recipe needs no other page. Kept beside the table
# in polyglance.recipes by a test; importing that here would cost the help its speed.
HELP = """Train a language pack for a model.

\b
Recipes, by what they learn from:
  ridge          English text: closed-form map, seconds for 250,000 texts
  m2m            English text: linear layers by gradient (M2M)
  procrustes     English text: a rotation, closed form (Drift-Adapter)
  low-rank       English text: an affine map of low rank (Drift-Adapter)
  residual-mlp   English text: a network behind a rotation (Drift-Adapter)
  uclip          English text and unpaired images and texts (uCLIP)
  distill        parallel text: a text tower that imitates the teacher
  babel-adapter  parallel text: an adapter a language (Babel-ImageNet)
  nllb-clip      captioned images: contrast with a live text tower (NLLB-CLIP)
  etcl           captioned images: an image and two languages (ETCL)

Those of English text need a multilingual text tower that exists (--tower). The
others make a small one, or train the tower that is given on. What --set takes is
listed by: polyglance train RECIPE --help. --preset published takes the paper's own
settings in the place of the defaults; --show-config prints them, and trains nothing.

\b
A tenth of the data is held out (--dev-share): it measures the pack in every
language, beside the model alone, and is not learnt from. A language in which
the pack is not better goes to the model; English always does. Languages
without data are listed unmeasured, from what the tower declares or --languages
says; --dev-parallel measures them. --task keeps what will be tested out
(--leakage).
"""
_ARGUMENTS = "polyglance.training.arguments"
SHOW_CONFIG = "--show-config"
SHOWN_FACTS = 4


class Command(TyperCommand):
    """`train`, whose help lists the settings of the recipe that stands before `--help`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Note the arguments: the help is printed before any of them is read.

        To show a config neither a model nor an output is needed.
        """
        ctx.meta[_ARGUMENTS] = list(args)
        named = [each for each in self.params if each.name in ("model", "out")]
        try:
            for each in named:
                each.required = SHOW_CONFIG not in args
            return super().parse_args(ctx, args)
        finally:
            for each in named:
                each.required = True

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """The settings of the recipe, their defaults and meanings."""
        from polyglance.recipes import DATA, RECIPES, settings_of

        named = [word for word in ctx.meta.get(_ARGUMENTS, ()) if word in RECIPES]
        if not named:
            return
        row = RECIPES[named[0]]
        formatter.write_paragraph()
        for mode in row.modes:
            needs = " and ".join(DATA[field] for field in mode.needs)
            formatter.write_text(f"{mode.field}={mode.value} learns from {needs}.")
        presets = ", ".join(row.presets) or f"none; {row.no_preset}"
        formatter.write_text(f"Presets: {presets}.")
        with formatter.section(f"Settings of {named[0]} (--set NAME=VALUE)"):
            formatter.write_dl(
                [(f"{one.name}={one.default}", one.meaning) for one in settings_of(row)]
            )


def command(
    recipe: Annotated[str, typer.Argument(help="One of the recipes above.")],
    model: options.Model,
    out: options.Out,
    text: training_data.Text = None,
    parallel: training_data.Parallel = None,
    translations: training_data.Translations = None,
    captions: training_data.Captions = None,
    bank: training_data.Bank = None,
    images: training_data.Images = None,
    tower: training_data.TowerOption = None,
    dev_parallel: training_data.DevParallel = None,
    dev_share: Annotated[
        float, typer.Option("--dev-share", help="Of the data, held out to measure the pack; or 0.")
    ] = 0.1,
    languages: training_data.KnownLanguages = None,
    tasks: training_data.TestTasks = None,
    data: training_data.TaskData = None,
    task_images: training_data.TaskImages = None,
    leakage: training_data.LeakagePolicy = "refuse",
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Settings to start from: `published`, the paper's own."),
    ] = None,
    missing_texts: Annotated[
        str,
        typer.Option(
            "--missing-texts",
            help="English texts that a precomputed model has no vector of: refuse, or leave-out.",
        ),
    ] = "refuse",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the recipe's config, as num_epochs=5."),
    ] = None,
    show_config: Annotated[
        bool, typer.Option(SHOW_CONFIG, help="Print all settings, and train nothing.")
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Folder of checkpoints and logs; the same one resumes."),
    ] = None,
    track: options.Track = None,
    force: options.Force = False,
) -> None:
    """Load what the recipe needs, train, save the pack."""
    if show_config:
        _show_config(recipe, read_settings(settings or []), preset=preset)
        return
    options.claim(out, "PACK", force=force)
    options.claim(run, "RUN")
    options.claim_cache()
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.recipes import build_config, get_recipe
    from polyglance.recipes.data import listed_texts
    from polyglance.recipes.run import train as train_recipe
    from polyglance.results import trackers
    from polyglance.tasks import leakage as screening
    from polyglance.training import distributed

    row = get_recipe(recipe)
    config = build_config(row, read_settings(settings or []), preset=preset)
    given = training_data.MaterialFiles(
        text=text,
        parallel=parallel,
        translations=translations,
        captions=captions,
        bank=bank,
        images=images,
    )
    given.tell_not_learnt_from(row, config)
    if run is not None and not row.resumes:
        typer.echo(f"{recipe} is done in one step: --run keeps nothing of it", err=True)
    screening.require_policy(leakage)
    listed_texts.require_policy(missing_texts)
    trackers.require(track or ())
    dev = training_data.dev_of(dev_parallel, languages, share=dev_share)
    tests = training_data.load_tasks(tasks, data)
    teacher = DualEncoder.load(model)
    screened = given.read(teacher).screened(
        tests, images=task_images, teacher=teacher, policy=leakage
    )
    if missing_texts != listed_texts.REFUSE and teacher.text.tower.ids is None:
        typer.echo(f"--missing-texts has no effect: {model} encodes every text", err=True)
    side = training_data.text_side(tower)
    with distributed.connected():  # under torchrun; alone it does nothing
        first = distributed.rank() == 0
        about = {"model": model, "recipe": recipe, "tower": tower or "", **asdict(config)}
        with trackers.opened(
            (track or ()) if first else (), run_name="polyglance-train", config=about, folder=run
        ):
            pack = train_recipe(
                row,
                screened.training_data,
                teacher=teacher,
                config=config,
                tower=side,
                cache=training_data.text_cache(),
                run=_run_folder(run) if row.resumes else None,
                dev=dev,
                missing_texts=missing_texts,  # type: ignore[arg-type]  # checked above
                about={"leakage": screened.facts},
            )
            if first:
                pack.save(out)
                _print_pack(pack, out)
                trackers.log(_dev_scores(pack))


def _dev_scores(pack: LanguagePack) -> dict[str, float]:
    """The scores on what was held out, by language, of the pack and of the model alone."""
    return {
        f"dev/{whose}/{language}": score
        for language, scores in pack.manifest.languages.items()
        for whose, score in (("pack", scores.pack), ("teacher", scores.teacher))
        if score is not None
    }


def _show_config(recipe: str, given: dict[str, str], *, preset: str | None) -> None:
    """Print a config as --set takes it, a line a field, and what it needs."""
    from polyglance.recipes import DATA, build_config, get_recipe, settings_of

    row = get_recipe(recipe)
    config = build_config(row, given, preset=preset)
    needs = " and ".join(DATA[field] for field in row.required(config))
    typer.echo(f"{recipe}, {f'preset {preset}' if preset else 'defaults'}; learns from {needs}")
    for one, usual in zip(settings_of(row, config), settings_of(row), strict=True):
        other = "" if one.default == usual.default else f"  (default {usual.default})"
        typer.echo(f"  {one.name}={one.default}{other}")


def read_settings(given: list[str]) -> dict[str, str]:
    """`name=value` settings as a mapping.

    Raises:
        ConfigError: For one without an equals sign, and for a name that is there twice.
    """
    from polyglance import errors

    settings: dict[str, str] = {}
    for part in given:
        name, equals, value = part.partition("=")
        if not equals:
            raise errors.ConfigError(
                f"--set {part}; the form is name=value", hint="for example --set seed=1"
            )
        if name in settings:
            raise errors.ConfigError(
                f"--set {name} is given twice, as {settings[name]} and as {value}",
                hint="leave one of them out",
            )
        settings[name] = value
    return settings


def _run_folder(path: Path | None) -> RunFolder | None:
    from polyglance.training import RunFolder

    return None if path is None else RunFolder(path)


def _in_words(value: Any) -> str:
    """A fact on one line: of a mapping or list the first few, and how many more there are."""
    if isinstance(value, Mapping):
        parts = [f"{name} {_in_words(one)}" for name, one in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_in_words(one) for one in value]
    else:
        return f"{value:,}" if isinstance(value, int) else f"{value}"
    more = f" and {len(parts) - SHOWN_FACTS} more" * (len(parts) > SHOWN_FACTS)
    return (", ".join(parts[:SHOWN_FACTS]) or "none") + more


def _print_pack(pack: LanguagePack, out: Path) -> None:
    manifest = pack.manifest
    typer.echo(
        f"{manifest.recipe}: {manifest.num_trainable_parameters:,} parameters "
        f"in {manifest.training_seconds:.1f} s"
    )
    for name, value in manifest.data.items():
        if name not in ("dev", "held_out", "leakage"):
            said = f"{name.replace('_', ' ')}: {_in_words(value)}"
            typer.echo(terminal.wrapped(said, indent=2, hanging=2))
    for task, counts in manifest.data["leakage"]["checked_against"].items():
        said = ", ".join(
            f"{'not compared:' if n is None else n} {kind.replace('_', ' ')}"
            for kind, n in counts.items()
        )
        typer.echo(f"  also in {task}: {said} ({manifest.data['leakage']['policy']})")
    packs.tell_languages(manifest)
    typer.echo(f"language pack in {out}")
