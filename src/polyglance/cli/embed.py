"""The commands `polyglance embed`: vectors in a store that training, evaluation and search read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import left_out, options

if TYPE_CHECKING:
    from polyglance.encoding.runs import EmbedReport
    from polyglance.records import Modality

app = typer.Typer(
    help="Encode images, sounds or texts once, into a store.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
TowerOption = Annotated[
    str, typer.Option("--tower", "-t", help="The tower, as in hf:NAME or sentence:FOLDER.")
]
SHOWN_QUARANTINED = 10


Folder = Annotated[Path, typer.Argument(help="Folder with the files; subfolders too.")]


def _embeds(modality: Modality, name: str, *, nouns: str) -> None:
    """Add the command for the files of one modality."""

    @app.command(name, help=f"Encode the {nouns} of a folder.")
    def embed_folder(
        folder: Folder,
        tower: TowerOption,
        out: options.Out,
        exclude: left_out.Exclude = None,
        list_skipped: left_out.ListSkipped = False,
    ) -> None:
        options.claim(out, "INDEX")
        from polyglance.encoding import media, runs
        from polyglance.search import relocation
        from polyglance.sources import patterns, walking
        from polyglance.towers import load_tower

        found = walking.survey_folder(folder, modality, exclude=exclude or ())
        if not found.items:
            raise walking.nothing_found(folder, found.skipped, modality)
        loaded = load_tower(tower, modality=modality)
        store = media.open_media_store(out, loaded)
        relocation.require_no_index(store)
        report = media.embed_media(found.items, loaded, store=store)
        aside = (*report.quarantined, *found.unlisted)
        whole = runs.EmbedReport(new=report.new, known=report.known, quarantined=aside)
        print_report(whole, out, list_all=list_skipped)
        left_out.name_some("tars not looked into", [tar.id for tar in found.tars])
        taken = [one.id for one in (*found.items, *found.tars)]
        out_of_it = [one.id for one in found.skipped]
        left_out.print_idle(
            patterns.idle(exclude or (), root=folder, taken=taken, left_out=out_of_it)
        )
        left_out.print_skipped(found.skipped, list_all=list_skipped)


_embeds("image", "images", nouns="images")
_embeds("audio", "audio", nouns="sounds")


@app.command("text", help="Encode the texts of a file, one a line.")
def embed_text(
    file: Annotated[Path, typer.Argument(help="UTF-8 text, one text a line.")],
    tower: TowerOption,
    out: options.Out,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Their language, where the tower asks.")
    ] = None,
) -> None:
    """Raw vectors of the texts into a store."""
    options.claim(out, "INDEX")
    from polyglance.encoding import runs
    from polyglance.encoding.texts import embed_texts
    from polyglance.languages.registry import normalise_language
    from polyglance.sources import captions
    from polyglance.storage.store import Store
    from polyglance.towers import load_tower

    known = None if language is None else normalise_language(language)
    texts = captions.read_lines(file)
    loaded = load_tower(tower, modality="text")
    store = Store.open_or_create(out, runs.facts_of(loaded))
    languages = None if known is None else [known] * len(texts)
    print_report(embed_texts(texts, loaded, store=store, languages=languages), out)


def print_report(report: EmbedReport, out: Path, *, list_all: bool = False) -> None:
    """Say what was encoded, what was known, and what was set aside and why."""
    typer.echo(f"{report.new:,} new, {report.known:,} known already, in {out}")
    if not report.quarantined:
        return
    typer.secho(f"{len(report.quarantined):,} could not be read and were set aside:", err=True)
    for item in report.quarantined if list_all else report.quarantined[:SHOWN_QUARANTINED]:
        typer.secho(f"  {left_out.shown(f'{item.id}: {item.reason}')}", err=True)
    if len(report.quarantined) > SHOWN_QUARANTINED and not list_all:
        typer.secho(f"  ... all of them in {out / 'quarantine.jsonl'}", err=True)
