"""The command `polyglance index`: makes a folder of images or sounds searchable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import left_out, options, terminal

if TYPE_CHECKING:
    from polyglance.model.pack import LanguagePack
    from polyglance.search.indexing import IndexReport
    from polyglance.storage.ann_index import IndexFacts

HELP = "Index images or sounds, or vectors that exist; resumes."


def command(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with images or sounds (what --model reads), subfolders too; a .tar or a "
            "folder of them (webdataset); a .parquet of downloads; a folder of vectors "
            "(clip-retrieval's, or vectors.npy)."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The dual encoder: hf:NAME, openclip:NAME, or a folder with a model.json; none: "
            "photos, which comes with polyglance.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Where to write; none: the user's data folder, which search asks."
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option("--space", help="Of given vectors: NAME, or model for that of --model."),
    ] = None,
    exclude: left_out.Exclude = None,
    list_skipped: left_out.ListSkipped = False,
    keep_missing: Annotated[
        bool, typer.Option("--keep-missing", help="Keep rows whose file is gone.")
    ] = False,
    max_removed: Annotated[
        float,
        typer.Option(
            "--max-removed",
            help="Share of the rows whose files may be gone at once, 0 to 1; where more are gone, "
            "none is removed without --forget.",
        ),
    ] = 0.2,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Remove every row whose file is gone: many at once, and those of folders that are "
            "gone or empty.",
        ),
    ] = False,
    no_thumbnails: Annotated[
        bool, typer.Option("--no-thumbnails", help="Make no thumbnails.")
    ] = False,
    pack: Annotated[
        str | None,
        typer.Option("--pack", "-p", help="Also make the column of a pack that has one."),
    ] = None,
    reencode: Annotated[
        bool,
        typer.Option("--reencode", help="Encode every item again for a pack's content tower."),
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the pack's column.")] = False,
) -> None:
    """Run `search.indexing.build` and say what it did."""
    from polyglance.model import shipped
    from polyglance.search import own_indexes

    model = model or _default_model(source)
    is_own = out is None
    if out is None:
        out = own_indexes.place_of(source, model=model)
    _claim(out, is_own=is_own)
    from polyglance.search import indexing
    from polyglance.search.removal import Policy

    loaded = _load_pack(pack, model=model, space=space, reencode=reencode, drop=drop)
    report = indexing.build(
        source,
        model=model,
        out=out,
        exclude=exclude or (),
        policy=Policy(keep_missing=keep_missing, forget=forget, max_removed=max_removed),
        thumbnails=not no_thumbnails,
        space=space,
    )
    print_report(report, out, list_skipped=list_skipped)
    report.require_rows(source)
    _print_vector_index(report.vector_index)
    if is_own:
        own_indexes.note_last(out)
    if shipped.is_shipped(model):
        from polyglance.search import default_packs

        prepared = default_packs.prepared(model)
        terminal.tell([prepared.missing, prepared.notice])
    if pack is not None and loaded is not None:
        _pack_column(
            source, out, pack, loaded=loaded, exclude=exclude or (), reencode=reencode, drop=drop
        )


def _claim(out: Path, *, is_own: bool) -> None:
    """Refuse an index that cannot be written; the place of one that nobody named is said.

    Raises:
        OutputError: As `options.claim`.
    """
    from polyglance import errors

    try:
        options.claim(out, "INDEX")
    except errors.OutputError as error:
        if not is_own:
            raise
        hint = "name another data folder: export POLYGLANCE_DATA=FOLDER; or the index: --out INDEX"
        raise errors.OutputError(error.message, hint=hint) from error


def _default_model(source: Path) -> str:
    """The model that comes with the package.

    Raises:
        ConfigError: Vectors are to be indexed, which some other model made.
    """
    from polyglance import errors
    from polyglance.model.shipped import DEFAULT
    from polyglance.search.import_vectors import holds_vectors

    if holds_vectors(source):
        raise errors.ConfigError(
            f"{source} holds vectors, and no model was named whose texts find them",
            hint="name the one that made them: --model hf:NAME",
        )
    return DEFAULT


def print_report(report: IndexReport, out: Path, *, list_skipped: bool) -> None:
    """Say what an indexing run did: counts, and the ids of what moved, left or was set aside."""
    from polyglance.cli.embed import print_report as print_rows
    from polyglance.encoding.runs import EmbedReport

    rows = EmbedReport(new=report.new, known=report.known, quarantined=report.quarantined)
    print_rows(rows, out, list_all=list_skipped)
    if report.num_tars:
        num_tars = f"{report.num_tars:,} tar{'s' if report.num_tars > 1 else ''}"
        typer.echo(f"{report.num_in_tars:,} of the {report.kind} are in {num_tars}")
    left_out.name_some("moved", [f"{old} -> {new}" for old, new in report.moved])
    left_out.name_some("gone, removed from the index", report.removed)
    left_out.name_some("left out now, removed from the index", report.left_out)
    left_out.name_some("gone, kept in the index", report.missing)
    if report.absent:
        left_out.name_some(
            "gone, kept in the index: too many at once, or their folder is gone or empty, as of a "
            "disk that is not mounted. If they were deleted, run this again with --forget",
            report.absent,
            err=True,
        )
    left_out.print_idle(report.idle)
    left_out.print_remarks(report.remarks, list_all=list_skipped)
    left_out.print_skipped(report.skipped, list_all=list_skipped)


def _print_vector_index(facts: IndexFacts | None) -> None:
    """Say how good a vector index is that was built."""
    if facts is not None:
        texts = "" if facts.recall_texts is None else f", of texts {facts.recall_texts:.1%}"
        typer.echo(
            f"vector index over {facts.num_rows:,} rows in {facts.seconds:.0f} s: finds "
            f"{facts.recall_rows:.1%} of the ten nearest of items{texts}"
        )


def _load_pack(
    pack: str | None, *, model: str, space: str | None, reencode: bool, drop: bool
) -> LanguagePack | None:
    """The pack whose column is asked for, before an item is encoded.

    Raises:
        ConfigError: What is asked does not go with it, or there is none.
        SpaceMismatchError: It is of another space than the model.
    """
    from polyglance import errors
    from polyglance.model import same_space
    from polyglance.model.dual_encoder import MODEL_FILE, read_facts
    from polyglance.model.pack import LanguagePack
    from polyglance.model.shipped import folder_of
    from polyglance.search import pack_columns

    options.require_one({"--reencode": reencode, "--drop": drop})
    if pack is None:
        if reencode or drop:
            raise errors.ConfigError(
                f"--{'drop' if drop else 'reencode'} is for the column of a pack, and none was "
                "given",
                hint="name it: --pack PACK",
            )
        return None
    loaded = LanguagePack.load(pack)
    if drop:
        return loaded
    if reencode:
        pack_columns.require_new_tower(loaded)
    elif loaded.manifest.content == "new-tower":
        raise errors.ConfigError(
            f"the pack {pack} brings another content tower ({loaded.manifest.content_tower}), by "
            "which every item must be encoded again",
            hint="ask for that: --reencode",
        )
    of_folder = space is None and (folder_of(model) / MODEL_FILE).is_file()
    if of_folder and read_facts(folder_of(model)).space_id != loaded.manifest.space_id:
        same_space.require_known(model, loaded.manifest.teacher)
    return loaded


def _pack_column(
    source: Path,
    out: Path,
    pack: str,
    *,
    loaded: LanguagePack,
    exclude: Sequence[str],
    reencode: bool,
    drop: bool,
) -> None:
    from polyglance.cli.embed import print_report
    from polyglance.search import pack_columns
    from polyglance.search.scan import gather
    from polyglance.storage.store import Store

    base = Store.open(out)
    if drop:
        found = pack_columns.drop(base, loaded)
        typer.echo(f"the column of {pack} is removed" if found else f"{pack} had no column")
    elif reencode:
        there = gather(source, base.facts.modality, exclude=exclude)
        report = pack_columns.build(base, loaded, items=there.items)
        print_report(report.rows, pack_columns.column_path(out, loaded))
        _print_vector_index(report.vector_index)
    elif loaded.manifest.content == "unchanged":
        typer.echo(f"{pack} needs no column: it leaves the content side as it is")
    else:
        report = pack_columns.build(base, loaded)
        typer.echo(
            f"{report.rows.new:,} vectors projected for {pack}; {report.num_rows:,} in its column"
        )
        _print_vector_index(report.vector_index)
