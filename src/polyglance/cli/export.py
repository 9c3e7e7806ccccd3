"""The command `polyglance export`: packs in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.pack import LanguagePack
    from polyglance.results.schema import Result

HELP = "Write a language pack in a form of others: sentence-transformers, ONNX, a hub, Immich."


def command(
    pack: Annotated[str, typer.Argument(help="The pack: its folder, or its id on the hub.")],
    form: Annotated[
        str,
        typer.Option(
            "--to", help="sentence-transformers, onnx, hub-folder or immich.", metavar="FORM"
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The dual encoder of the pack: for the image side, and for --results.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            "-l",
            help="The one language to export, of a pack with parts or means by language.",
        ),
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", "-r", help="Results of polyglance eval, for the model card."),
    ] = None,
    license: Annotated[
        str, typer.Option("--license", help="SPDX id of the weights, as in apache-2.0.")
    ] = "",
) -> None:
    """Load the pack, write the form, compare it with the pack, and say how near it is."""
    options.claim(out, "EXPORT")
    from polyglance import errors, export
    from polyglance.export import request as order_of_export
    from polyglance.languages.registry import normalise_language
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.pack import LanguagePack

    export.form_of(form)
    order_of_export.require_license(license)
    known = None if language is None else normalise_language(language)
    if results and model is None:
        raise errors.ConfigError(
            "--results without --model; which results are of this pack is known by both",
            hint="name the dual encoder of the pack: --model MODEL",
        )
    loaded = LanguagePack.load(pack)
    encoder = None if model is None else DualEncoder.load(model)
    order = export.Order(
        pack=loaded,
        model=encoder,
        language=known,
        results=_own(results, encoder=encoder, pack=loaded) if results and encoder else (),
        license=license,
    )
    exported = export.export(order, form, out=out)
    for side, difference in exported.differences.items():
        typer.echo(f"{side} side: largest difference from the pack's vectors {difference:.1e}")
    for note in exported.notes:
        typer.echo(note)
    typer.echo(f"{form} in {exported.folder}")


def _own(paths: list[Path], *, pack: LanguagePack, encoder: DualEncoder) -> tuple[Result, ...]:
    """The results of this very model and pack among those of the files."""
    from polyglance import errors
    from polyglance.evaluation import run
    from polyglance.results import exchange

    rows, failed = exchange.read(paths)
    if failed:
        raise failed[0]
    wanted = run.model_id(encoder.with_pack(pack, reencode=True))
    own = tuple(row for row in rows if row.model_id == wanted)
    if not own:
        raise errors.ResultError(
            f"none of the {len(rows):,} results is of this model with this pack ({wanted}); they "
            f"are of {', '.join(sorted({row.called for row in rows})[:5]) or 'nothing'}",
            hint=f"measure it: polyglance eval {encoder.reference} --pack PACK",
        )
    return own
