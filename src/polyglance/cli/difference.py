"""The command `polyglance difference`: two models compared, language by language."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.evaluation.paired_test import Pairing
    from polyglance.metrics.bootstrap import PairedDifference
    from polyglance.records import Modality, Quarantined

HELP = """Hold a model against another one, query by query, in every language of a task.

\b
Without a second model it is held against itself without its pack:
polyglance difference MODEL --pack PACK --task xtd10 --data D --images I
"""


def command(
    model: Annotated[str, typer.Argument(help="The model in question: hf:NAME, or a folder.")],
    against: Annotated[
        str | None, typer.Argument(help="The other model; none: the same without its pack.")
    ] = None,
    task: Annotated[str, typer.Option("--task", help="Which task; eval --list.")] = "",
    pack: Annotated[
        str | None, typer.Option("--pack", "-p", help="A pack of the model in question.")
    ] = None,
    against_pack: Annotated[
        str | None, typer.Option("--against-pack", help="A pack of the other model.")
    ] = None,
    languages: options.Languages = None,
    data: options.Data = None,
    images: options.Images = None,
    prompts: Annotated[
        str,
        typer.Option("--prompts", help="Of classes: labels, english, translated, human or best."),
    ] = "best",
    k: Annotated[
        int, typer.Option("--k", help="Of retrieval: a hit is among the first k: 1, 5 or 10.")
    ] = 10,
    correction: Annotated[
        str, typer.Option("--correction", help="Over languages: holm or benjamini-hochberg.")
    ] = "holm",
    as_json: options.JsonOutput = False,
) -> None:
    """Score both models and print where they differ by more than chance."""
    options.claim_cache()
    from polyglance import errors
    from polyglance.analysis import difference
    from polyglance.cli import eval_tables
    from polyglance.evaluation.paired_test import CORRECTIONS, require_k
    from polyglance.model.dual_encoder import modality_of
    from polyglance.tasks import ItemData, classification, get_task
    from polyglance.tasks.classification import ClassificationData

    if (against or model, against_pack) == (model, pack):
        raise errors.ConfigError(
            f"{model} is held against itself",
            hint="name another model, or a pack: --pack PACK or --against-pack PACK",
        )
    way = next((name for name in CORRECTIONS if name == correction), None)
    if way is None:
        raise errors.unknown_name("correction", correction, allowed=CORRECTIONS)
    require_k(k)
    classification.variant_of(prompts)
    chosen = options.language_ids(languages)
    loaded = get_task(task).load(data, chosen)
    if isinstance(loaded, ClassificationData):
        loaded = loaded.asked_as(prompts)
    load = difference.load_encoder if isinstance(loaded, ItemData) else difference.load_speakers
    without: list[Quarantined] = []
    found = difference.difference(
        load(model, pack=pack),
        load(against or model, pack=against_pack),
        data=loaded,
        images=images,
        languages=chosen,
        k=k,
        correction=way,
        without_images=without.append,
    )
    for line in eval_tables.unusable_lines(task, without):
        typer.secho(line, err=True)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], ensure_ascii=False, indent=2))
        return
    for pairing in found:
        _print(pairing, modality=modality_of(model))


def _print(pairing: Pairing, *, modality: Modality) -> None:
    """One split and direction in 80 columns, per cent; the languages that gain most first."""
    from polyglance.report import wording

    asks = wording.direction_name(pairing.direction, modality=modality)
    value = wording.value_name(pairing.value)
    typer.secho(f"{pairing.task}, {pairing.split}, {asks}, {value}", bold=True)
    typer.echo(
        f"{'language':<12}{'model':>8}{'against':>9}{'difference':>24}{'p':>8}{'corrected p':>13}"
    )
    rows = sorted(pairing.languages.items(), key=lambda row: -row[1].difference.difference.mean)
    for language, row in rows:
        typer.echo(
            f"{language:<12}{100 * row.first:>8.1f}{100 * row.second:>9.1f}"
            f"{_cell(row.difference):>24}{row.difference.p_value:>8.3f}"
            f"{row.corrected_p_value:>13.3f}"
            + ("  *" if row.corrected_p_value < 1 - row.difference.difference.confidence else "")
        )
    typer.echo(f"{'mean':<29}{_cell(pairing.macro):>24}{pairing.macro.p_value:>8.3f}")
    typer.secho(f"* differs after correction over the languages ({pairing.correction})", dim=True)


def _cell(pair: PairedDifference) -> str:
    found = pair.difference
    return f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
