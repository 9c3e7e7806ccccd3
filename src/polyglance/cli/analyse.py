"""The command `polyglance analyse`: what a pack or a model does to vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli import options

if TYPE_CHECKING:
    from polyglance.analysis.class_analysis import ClassAnalysis
    from polyglance.analysis.pack import PackAnalysis
    from polyglance.analysis.text_map import Method
    from polyglance.tasks.classification import ClassificationData
    from polyglance.tasks.retrieval import RetrievalData

HELP = """Look into a pack: maps, cosines, its head, accuracy by number of classes.

\b
On a retrieval task: maps of texts, cosines of pairs (beside those of other
models: --beside), the head, paraphrases. On a classification task, with a
pack or without: maps of images by class, raw and projected, and accuracy
against the number of classes. Leaves analysis.json and analysis.html in
--out. Takes up to seven languages: as many as colours can be told apart.
"""

MOST_LANGUAGES = 7
# Between a model and its pack, as results and reports write it.
WITH_PACK = " + "


def command(
    model: options.Model,
    task: Annotated[str, typer.Option("--task", help="Which task; eval --list.")],
    out: options.Out,
    pack: Annotated[
        str | None, typer.Argument(help="A language pack: its folder or hub id.")
    ] = None,
    languages: options.Languages = None,
    data: options.Data = None,
    images: options.Images = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="MODEL[ + PACK]",
            help="Another model whose cosines stand beside; may be repeated.",
        ),
    ] = None,
    method: Annotated[str, typer.Option("--method", help="Of the maps: tsne or umap.")] = "tsne",
    prompts: Annotated[
        str,
        typer.Option("--prompts", help="Of classes: labels, english, translated, human or best."),
    ] = "best",
    num_pairs: Annotated[int, typer.Option("--pairs", help="In each matrix of cosines.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Of clusters, layouts and draws.")] = 0,
    force: options.Force = False,
) -> None:
    """Analyse a pack, or a model, on a task, and write what was found."""
    options.claim(out, "ANALYSIS", force=force)
    options.claim_cache()
    import json
    from typing import get_args

    from polyglance import errors
    from polyglance.analysis import pack as analysis_of_pack
    from polyglance.analysis.text_map import Method
    from polyglance.storage import atomic
    from polyglance.tasks import classification, get_task
    from polyglance.tasks.classification import ClassificationData
    from polyglance.tasks.retrieval import RetrievalData
    from polyglance.training import seeds

    way: Method | None = next((name for name in get_args(Method) if name == method), None)
    if way is None:
        raise errors.unknown_name("method", method, allowed=get_args(Method))
    seeds.require(seed, name="--seed")
    analysis_of_pack.require_pairs(num_pairs)
    classification.variant_of(prompts)
    chosen = options.language_ids(languages)
    _require_few(chosen or ())
    loaded = get_task(task).load(data, chosen)
    facts = {"commands": [options.as_typed()]}
    found: PackAnalysis | ClassAnalysis
    if isinstance(loaded, ClassificationData):
        if beside:
            raise errors.ConfigError(
                f"{task} has no pairs of texts and images; --beside changes nothing there",
                hint="leave it out, or choose a task of kind retrieval: polyglance eval --list",
            )
        found = _by_class(
            loaded.asked_as(prompts),
            model=model,
            pack=pack,
            languages=chosen,
            images=images,
            method=way,
            seed=seed,
        )
    elif isinstance(loaded, RetrievalData):
        found = _of_pairs(
            loaded,
            model=model,
            pack=pack,
            languages=chosen,
            images=images,
            beside=beside or (),
            method=way,
            num_pairs=num_pairs,
            seed=seed,
        )
    else:
        raise errors.ConfigError(
            f"{task} has no images; a pack is analysed on texts or classes and their images",
            hint="choose one of kind retrieval or classification: polyglance eval --list",
        )
    out.mkdir(parents=True, exist_ok=True)
    atomic.write_text(out / "analysis.json", json.dumps(found.as_json(), ensure_ascii=False))
    page = _write(out / "analysis.html", found, name=pack or model, facts=facts)
    typer.echo(f"{page} and {out / 'analysis.json'}")


def _of_pairs(
    data: RetrievalData,
    *,
    model: str,
    pack: str | None,
    languages: Sequence[str] | None,
    images: Path | None,
    beside: Sequence[str],
    method: Method,
    num_pairs: int,
    seed: int,
) -> PackAnalysis:
    """What a pack changes on texts and their images."""
    from polyglance import errors
    from polyglance.analysis import difference
    from polyglance.analysis import pack as analysis_of_pack
    from polyglance.encoding import texts
    from polyglance.evaluation import run

    asked = list(languages or data.languages)
    _require_few(asked)
    analysis_of_pack.require_enough(data, asked)
    if pack is None:
        raise errors.ConfigError(
            f"{data.task} is a retrieval task, on which a pack is analysed, and none was named",
            hint="name one: polyglance analyse PACK ...; a model alone on a task of classes",
        )
    encoder = difference.load_encoder(model, pack=pack)
    others = []
    for given in beside:
        name, _, its_pack = given.partition(WITH_PACK)
        others.append((given, difference.load_encoder(name, pack=its_pack or None)))
    # What one model lacks drops out for all; then each again on what all have, from its store.
    for _, other in others:
        data, _ = run.content_vectors(other, data, images=images)
    data, contents = run.content_vectors(encoder, data, images=images)
    return analysis_of_pack.analyse(
        encoder,
        data,
        contents=contents,
        languages=asked,
        method=method,
        num_pairs=num_pairs,
        seed=seed,
        cache=texts.VectorCache(),
        beside=[
            analysis_of_pack.OtherModel(
                name=name,
                encoder=other,
                contents_of=run.contents_by_language(
                    other, data, run.content_vectors(other, data, images=images)[1], images=images
                ),
            )
            for name, other in others
        ],
    )


def _by_class(
    data: ClassificationData,
    *,
    model: str,
    pack: str | None,
    languages: Sequence[str] | None,
    images: Path | None,
    method: Method,
    seed: int,
) -> ClassAnalysis:
    """What a model, with a pack or without, makes of classes and their images."""
    from polyglance.analysis import class_analysis, difference
    from polyglance.encoding import texts
    from polyglance.evaluation import run

    asked = list(languages or data.languages)
    _require_few(asked)
    encoder = difference.load_encoder(model, pack=pack)
    data = data.with_items(images, encoder.content.tower.modality)
    data, contents = run.content_vectors(encoder, data, images=images)
    return class_analysis.analyse(
        encoder,
        data,
        contents=contents,
        contents_of=run.contents_by_language(encoder, data, contents, images=images),
        languages=asked,
        method=method,
        seed=seed,
        cache=texts.VectorCache(),
    )


def _write(
    path: Path, found: PackAnalysis | ClassAnalysis, *, name: str, facts: Mapping[str, Any]
) -> Path:
    """The page of an analysis, and its main figures on the screen."""
    from polyglance.analysis.class_analysis import ClassAnalysis
    from polyglance.report import analysis_page, class_page

    if isinstance(found, ClassAnalysis):
        _print_classes(found)
        title = f"Classes by {Path(name).name}"
        return class_page.write_class_analysis(path, found, title=title, facts=facts)
    _print(found)
    title = f"What the pack {Path(name).name} changes"
    return analysis_page.write_analysis(path, found, title=title, facts=facts)


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
            f"(chance {plane.same_cluster_by_chance:.0%}),\n  {plane.same_language:.0%} in the "
            f"same language ({plane.same_language_by_chance:.0%})"
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
    for language, row in found.languages.items():
        for name, matrix in row.beside.items():
            typer.echo(
                f"{language}, {name}: pairs less others {matrix.gap:z.2f}, pair first "
                f"{matrix.pairs_first:.0%}"
            )


def _print_classes(found: ClassAnalysis) -> None:
    """The main figures in 80 columns."""
    for word, plane in (("raw", found.raw), ("projected", found.projected)):
        if plane is not None:
            share = plane.same_class
            typer.echo(
                f"nearest ten images, {word}: {share.mean:.0%} [{share.low:.0%}, {share.high:.0%}] "
                f"of the same class (chance {plane.same_class_by_chance:.0%})"
            )
    if not found.curves:
        typer.echo("no accuracy against the number of classes: they are too few, or it is level")
    for language, both in found.curves.items():
        for word, curve in zip(("alone", "with the pack"), both, strict=True):
            if curve is not None:
                slope = curve.line.slope
                typer.echo(
                    f"{language} {word}: {curve.accuracies[-1]:.1%} of {curve.num_classes[-1]} "
                    f"classes; ten times the classes {100 * slope.mean:+.1f} points "
                    f"[{100 * slope.low:+.1f}, {100 * slope.high:+.1f}]"
                )
