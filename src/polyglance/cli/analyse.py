"""The command `polyglance analyse`: what a pack does to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.analysis.pack import PackAnalysis

HELP = """Look into a pack: maps of texts, cosines of pairs, its head, paraphrases.

\b
Leaves analysis.json and analysis.html in --out. Takes up to seven languages:
as many as colours can be told apart.
"""

MOST_LANGUAGES = 7


def command(
    pack: Annotated[str, typer.Argument(help="A language pack: its folder or hub id.")],
    model: options.Model,
    task: Annotated[str, typer.Option("--task", help="A retrieval task; eval --list.")],
    out: options.Out,
    languages: options.Languages = None,
    data: options.Data = None,
    images: options.Images = None,
    method: Annotated[
        str, typer.Option("--method", help="Of the maps: tsne, or umap (an extra).")
    ] = "tsne",
    num_pairs: Annotated[int, typer.Option("--pairs", help="In each matrix of cosines.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Of clusters, layouts and draws.")] = 0,
    force: options.Force = False,
) -> None:
    """Analyse a pack on a task, and write what was found."""
    options.claim(out, "ANALYSIS", force=force)
    options.claim_cache()
    import json
    import sys
    from typing import get_args

    from polyglance import errors
    from polyglance.analysis import difference
    from polyglance.analysis import pack as analysis_of_pack
    from polyglance.analysis.text_map import Method
    from polyglance.encoding import texts
    from polyglance.evaluation import run
    from polyglance.report import analysis_page
    from polyglance.storage import atomic
    from polyglance.tasks import get_task
    from polyglance.tasks.retrieval import RetrievalData
    from polyglance.training import seeds

    way: Method | None = next((name for name in get_args(Method) if name == method), None)
    if way is None:
        raise errors.unknown_name("method", method, allowed=get_args(Method))
    seeds.require(seed, name="--seed")
    analysis_of_pack.require_pairs(num_pairs)
    chosen = options.language_ids(languages)
    _require_few(chosen or ())
    loaded = get_task(task).load(data, chosen)
    if not isinstance(loaded, RetrievalData):
        raise errors.ConfigError(
            f"{task} is no retrieval task; a pack is analysed on texts and their images",
            hint="choose one of kind retrieval: polyglance eval --list",
        )
    asked = list(chosen or loaded.languages)
    _require_few(asked)
    analysis_of_pack.require_enough(loaded, asked)
    encoder = difference.load_encoder(model, pack=pack)
    loaded, contents = run.content_vectors(encoder, loaded, images=images)
    found = analysis_of_pack.analyse(
        encoder,
        loaded,
        contents=contents,
        languages=asked,
        method=way,
        num_pairs=num_pairs,
        seed=seed,
        cache=texts.VectorCache(),
    )
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_text(out / "analysis.json", json.dumps(found.as_json(), ensure_ascii=False))
    page = analysis_page.write_analysis(
        out / "analysis.html",
        found,
        title=f"What the pack {Path(pack).name} changes",
        facts={"commands": [" ".join(["polyglance", *sys.argv[1:]])]},
    )
    _print(found)
    typer.echo(f"{page} and {out / 'analysis.json'}")


def _require_few(languages: Sequence[str]) -> None:
    """Refuse more languages than colours can tell apart."""
    from polyglance import errors

    if len(languages) > MOST_LANGUAGES:
        raise errors.ConfigError(
            f"{len(languages)} languages; {MOST_LANGUAGES} at most can be told apart by colour",
            hint="name them: --language de --language hi",
        )


def _print(found: PackAnalysis) -> None:
    """The main figures in 80 columns."""
    for word, plane in (("before", found.map_before), ("after", found.map_after)):
        typer.echo(
            f"nearest ten texts, {word}: {plane.same_cluster:.0%} about the same images "
            f"(chance {plane.same_cluster_by_chance:.0%}), {plane.same_language:.0%} in the same "
            f"language ({plane.same_language_by_chance:.0%})"
        )
    typer.echo(f"{'cosine of pairs less others':<28}{'with images':>16}{'with English':>16}")
    for language, row in found.languages.items():
        cells = "".join(
            f"{'-' if both is None else f'{both[0].gap:z.2f} -> {both[1].gap:z.2f}':>16}"
            for both in (row.with_images, row.with_english)
        )
        typer.echo(f"{language:<28}{cells}")
    if found.head is not None:
        head = found.head
        typer.echo(
            f"head {head.dim_in} -> {head.dim_out}: effective rank {head.effective_rank:.0f}, "
            f"deviation from orthogonality {head.orthogonality_deviation:.1f}"
        )
