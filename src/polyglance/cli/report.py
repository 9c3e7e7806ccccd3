"""The command `polyglance report`: measured models compared in one HTML file, and as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options
from polyglance.cli.left_out import tell_some

if TYPE_CHECKING:
    from polyglance.records import Quarantined

HELP = "Write measured results as one HTML file that needs no network."


def command(
    results: Annotated[
        list[Path], typer.Argument(help="Files of results, as eval --out wrote them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path(
        "report.html"
    ),
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="The model the others are compared with; else the first."),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename",
            metavar="OLD=NEW",
            help="Call a model otherwise; OLD is its name or how its fingerprint begins.",
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Heading.")] = "Language by language",
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write the tables as Markdown too.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write every number as CSV too.")
    ] = None,
    modality: Annotated[
        str, typer.Option("--modality", help="What the items are: image or audio.")
    ] = "image",
    supports: Annotated[
        list[str] | None,
        typer.Option(
            "--supports",
            metavar="MODEL=LIST",
            help="The languages a model knows: codes, as de,fr, or an encoder, as LaBSE.",
        ),
    ] = None,
    distilled: Annotated[
        list[str] | None,
        typer.Option(
            "--distilled",
            metavar="MODEL=LIST",
            help="Those it was distilled in; they are set beside the others.",
        ),
    ] = None,
    resources: Annotated[
        list[Path] | None,
        typer.Option(
            "--resources", help="Your own counts: a language and a number a line, with a head."
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Set measured models beside each other, in every language, task by task."""
    options.claim(out, "PAGE", force=force)
    options.claim(markdown, "MARKDOWN", force=force)
    options.claim(csv, "CSV", force=force)
    from polyglance import errors
    from polyglance.report import load_results, page, plain
    from polyglance.report import resources as resource_counts
    from polyglance.sources.formats import FORMATS

    if modality not in FORMATS:
        raise errors.unknown_name("modality", modality, allowed=FORMATS)
    gathered = load_results.gather(results)
    # Commands make the numbers again, so they have the models' own names.
    facts = load_results.facts(gathered)
    gathered, new_names = load_results.renamed(gathered, rename or ())
    gathered = load_results.supporting(gathered, load_results.lists(supports or (), gathered))
    rows, models = gathered.rows, gathered.models
    taught = load_results.lists(distilled or (), gathered)
    aside: list[Quarantined] = []
    counts = resource_counts.read_all_counts(resources or (), set_aside=aside.append)
    gathered = load_results.with_set_aside(gathered, aside)
    tell_some("set aside", gathered.set_aside)
    before = baseline if baseline is not None else models[0]
    notes = [*(f"{name}." for name in new_names), *load_results.notes(gathered)]
    page.write_report(
        out,
        title=title,
        results=rows,
        model_order=models,
        baseline=before,
        facts=facts,
        notes=notes,
        modality=modality,
        distilled=taught,
        counts=counts,
    )
    written = [out]
    if markdown is not None:
        written.append(
            plain.write_markdown(
                markdown,
                title=title,
                results=rows,
                model_order=models,
                baseline=before,
                modality=modality,
                notes=notes,
                distilled=taught,
                counts=counts,
            )
        )
    if csv is not None:
        written.append(plain.write_csv(csv, rows))
    for path in written:
        typer.echo(f"{path}  {path.stat().st_size / 2**20:.2f} MB")
    if gathered.set_aside:
        typer.echo(f"{len(gathered.set_aside):,} set aside, {len(rows):,} results used")
