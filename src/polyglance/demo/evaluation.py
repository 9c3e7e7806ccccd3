"""Evaluation for the demo: images and names encoded once, then scored in each language.

Legend: M images, D width of the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from polyglance import evaluation
from polyglance.encoding import texts
from polyglance.evaluation.run import model_id
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.recipes import scoring
from polyglance.recipes.data import dev_sets, image_text
from polyglance.results.schema import Result
from polyglance.storage import digests
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import Vectors

# The English-only model needs minutes for 200,000 foreign names and finds next to nothing. So all
# models are compared on the names of every eighth concept (by a hash) among all images, and the
# packs are measured on every name besides.
SAMPLE_ONE_IN = 8
SAMPLE_TASK = "pictograms-sample"
ENGLISH_MODEL, CONTROL = "English-only model", "ridge, shuffled pairs"
DEV_NOTE = (
    "names of concepts that training saw, among the drawings that the image tower learnt from: "
    "scores compare packs, and are higher than those on drawings by others"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """The English-only model with its images encoded, ready to score text sides.

    Attributes:
        teacher: The English-only model.
        test: Names against the images of the artist that training never saw.
        test_contents: Float32 (M, D), unit.
        dev: The same names of seen concepts against the artist that training used.
        dev_contents: Float32 (M, D), unit.
        cache: Keeps the teacher's text vectors.
    """

    teacher: DualEncoder
    test: RetrievalData
    test_contents: Vectors
    dev: RetrievalData
    dev_contents: Vectors
    cache: texts.VectorCache


def sampled(data: RetrievalData) -> RetrievalData:
    """The task with the names of a fixed sample of concepts only; all images are candidates.

    A hash chooses, so that the dev split draws on the same names and each is encoded once.
    """
    kept = {item_id for item_id in data.item_ids if _is_sampled(item_id)}
    captions = {
        language: [caption for caption in listed if caption.item_id in kept]
        for language, listed in data.captions.items()
    }
    return replace(data, task=SAMPLE_TASK, captions=captions)


def _is_sampled(item_id: str) -> bool:
    return digests.number_of(item_id) % SAMPLE_ONE_IN == 0


def with_dev_scores(pack: LanguagePack, bench: Bench) -> LanguagePack:
    """Measure a pack and the teacher on the training artist's drawings, as `train` measures."""
    captions = [caption for listed in bench.dev.captions.values() for caption in listed]
    pool = image_text.join(captions, item_ids=bench.dev.item_ids, contents=bench.dev_contents)
    few = tuple(caption for caption in pool.captions if _is_sampled(caption.item_id))
    asked = dev_sets.of_items(replace(pool, captions=few), pool=pool, note=DEV_NOTE)
    return scoring.with_scores(pack, [asked], teacher=bench.teacher, cache=bench.cache)


def dev_mean(pack: LanguagePack) -> float:
    """The mean dev score over the languages but English, whoever answers in each."""
    scores = {name: row for name, row in pack.manifest.languages.items() if name != ENGLISH}
    said = [row.pack if row.speaks == "pack" else row.teacher for row in scores.values()]
    return float(np.mean([score for score in said if score is not None]))


def best_by_data(packs: Mapping[str, LanguagePack]) -> list[str]:
    """The best pack on dev of each kind of training data, the best of all first."""
    best: dict[str, str] = {}
    for name, pack in packs.items():
        kind = pack.manifest.data["kind"]
        best[kind] = max(best.get(kind, name), name, key=lambda one: dev_mean(packs[one]))
    return sorted(best.values(), key=lambda name: -dev_mean(packs[name]))


def measure_all(
    bench: Bench, packs: Mapping[str, LanguagePack], *, control: LanguagePack, out: Path
) -> list[Result]:
    """Every model in every language on the test images.

    Args:
        bench: The English-only model and its images.
        packs: By the name they are reported under.
        control: Fitted on shuffled pairs; measured unrouted, so that nothing can rescue it.
        out: File of results; what it holds is not measured again.
    """
    shuffled = replace(bench.teacher, text=control.side)
    with_packs = {name: bench.teacher.with_pack(pack) for name, pack in packs.items()}
    rows: list[Result] = []
    sample = sampled(bench.test)
    for name, encoder in {ENGLISH_MODEL: bench.teacher, **with_packs, CONTROL: shuffled}.items():
        rows += _test(encoder, bench, sample, name=name, out=out)
    # Chosen before any of these was measured: 20 s each on all names.
    for name in best_by_data(packs):
        rows += _test(with_packs[name], bench, bench.test, name=name, out=out)
    whole = [ENGLISH]
    return rows + _test(
        bench.teacher, bench, bench.test, name=ENGLISH_MODEL, out=out, languages=whole
    )


def _test(
    encoder: DualEncoder,
    bench: Bench,
    data: RetrievalData,
    *,
    name: str,
    out: Path,
    languages: list[str] | None = None,
) -> list[Result]:
    return evaluation.evaluate(
        encoder,
        data,
        contents=bench.test_contents,
        name=name,
        model_id=model_id(encoder),
        languages=languages,
        out=out,
        cache=bench.cache,
    )
