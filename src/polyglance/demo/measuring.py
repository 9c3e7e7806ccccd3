"""How good is each way in each language? Pictures encoded once, names once, then scored.

Legend: M pictures, D width of the space.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from polyglance import embed, evaluate
from polyglance.affine import Vectors
from polyglance.languages import ENGLISH
from polyglance.measure import model_id
from polyglance.model import DualEncoder
from polyglance.packs import LanguagePack, LanguageScore, Speaker
from polyglance.results import Result
from polyglance.tasks.retrieval import RetrievalData

# The English-only model needs minutes for 200,000 foreign names and finds next to nothing. So all
# models are compared on the names of every eighth concept (by a hash) among all pictures, and the
# packs are measured on every name besides.
SAMPLE_ONE_IN = 8
SAMPLE_TASK = "pictograms-sample"
ENGLISH_MODEL, CONTROL = "English-only model", "ridge, shuffled pairs"
QUANTILE_LANGUAGES_STEP = 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """The English-only model with its pictures encoded, ready to score text sides.

    Attributes:
        teacher: The English-only model.
        test: Names against the pictures of the artist that training never saw.
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
    cache: embed.VectorCache

    @cached_property
    def teacher_quantiles(self) -> dict[str, float]:
        """Quantiles of the best answers' cosines, of the English-only model."""
        return _quantiles(self.teacher, self, sampled(self.dev))


def sampled(data: RetrievalData) -> RetrievalData:
    """The task with the names of a fixed sample of concepts only; all pictures are candidates.

    A hash chooses, so that the dev split draws on the same names and each is encoded once.
    """
    kept = {content_id for content_id in data.content_ids if _is_sampled(content_id)}
    captions = {
        language: [caption for caption in listed if caption.content_id in kept]
        for language, listed in data.captions.items()
    }
    return replace(data, task=SAMPLE_TASK, captions=captions)


def _is_sampled(content_id: str) -> bool:
    digest = hashlib.blake2b(content_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SAMPLE_ONE_IN == 0


def with_dev_scores(pack: LanguagePack, bench: Bench, *, out: Path) -> LanguagePack:
    """Measure a pack and the teacher on the dev split, and let the better one speak.

    English stays with the teacher whatever the scores say.

    Args:
        pack: Fresh from its recipe.
        bench: Holds the dev split.
        out: File of results to add to.
    """
    data = sampled(bench.dev)  # of concepts seen in training only
    # Unrouted: the pack answers in every language, English too.
    alone = replace(bench.teacher, text=pack.side)
    pack_scores = _dev_scores(alone, bench, data, name=pack.manifest.recipe, out=out)
    teacher_scores = _dev_scores(bench.teacher, bench, data, name=ENGLISH_MODEL, out=out)
    scores = {
        language: LanguageScore(
            pack=score,
            teacher=teacher_scores[language],
            speaks=_speaker(language, pack=score, teacher=teacher_scores[language]),
        )
        for language, score in pack_scores.items()
    }
    distribution = {
        "pack": _quantiles(alone, bench, data),
        "teacher": bench.teacher_quantiles,
    }
    manifest = replace(pack.manifest, languages=scores, score_distribution=distribution)
    return replace(pack, manifest=manifest)


def measure_all(
    bench: Bench, packs: Mapping[str, LanguagePack], *, control: LanguagePack, out: Path
) -> list[Result]:
    """Every model in every language on the test pictures.

    Args:
        bench: The English-only model and its pictures.
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
    for name in _worth_every_name(rows, packs):
        rows += _test(with_packs[name], bench, bench.test, name=name, out=out)
    whole = [ENGLISH]
    return rows + _test(
        bench.teacher, bench, bench.test, name=ENGLISH_MODEL, out=out, languages=whole
    )


def _worth_every_name(rows: list[Result], packs: Mapping[str, LanguagePack]) -> list[str]:
    """The best pack on the sample of each kind of training data: 20 s each on all names."""

    def mean(name: str) -> float:
        rates = [r.values["hit_rate_at_10"] for r in rows if r.model == name and r.split == "seen"]
        return float(np.mean(rates))

    best: dict[str, str] = {}
    for name, pack in packs.items():
        kind = pack.manifest.data["kind"]
        best[kind] = max(name, best.get(kind, name), key=mean)
    return list(best.values())


def _test(
    encoder: DualEncoder,
    bench: Bench,
    data: RetrievalData,
    *,
    name: str,
    out: Path,
    languages: list[str] | None = None,
) -> list[Result]:
    return evaluate.evaluate(
        encoder,
        data,
        contents=bench.test_contents,
        name=name,
        model_id=model_id(encoder),
        languages=languages,
        out=out,
        cache=bench.cache,
    )


def _dev_scores(
    encoder: DualEncoder, bench: Bench, data: RetrievalData, *, name: str, out: Path
) -> dict[str, float]:
    rows = evaluate.evaluate(
        encoder,
        data,
        contents=bench.dev_contents,
        name=name,
        model_id=model_id(encoder),
        out=out,
        cache=bench.cache,
    )
    return {
        row.language: row.values["hit_rate_at_10"]
        for row in rows
        if row.direction == "text_to_content"
    }


def _speaker(language: str, *, pack: float, teacher: float) -> Speaker:
    return "pack" if language != ENGLISH and pack > teacher else "teacher"


def _quantiles(encoder: DualEncoder, bench: Bench, data: RetrievalData) -> dict[str, float]:
    """Quantiles of the cosine of each query's best answer, over every fifth language."""
    best: list[float] = []
    for language in list(data.captions)[::QUANTILE_LANGUAGES_STEP]:
        listed = data.captions[language]
        texts = [caption.text for caption in listed]
        vectors = encoder.encode_texts(texts, languages=[language] * len(texts), cache=bench.cache)
        best += (vectors @ bench.dev_contents.T).max(axis=1).tolist()
    found: Sequence[float] = np.quantile(best, QUANTILES).tolist()
    return {f"{100 * q:.0f} %": value for q, value in zip(QUANTILES, found, strict=True)}
