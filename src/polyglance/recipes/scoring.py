"""Dev scores of a pack beside the teacher's, by language, and the routing that follows.

`train`, `import-m2m` and the demo all score here. A language without queries enough is listed
without a score: the pack then speaks in it, but for English.

Legend: N queries, M candidates, D width of the teacher's space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from polyglance import errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.metrics.relevance import Relevance
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.manifest import LanguageScore
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes.data.dev_sets import LEAST_QUERIES, DevSet
from polyglance.vectors import Vectors, unit

TOP = 10
# Among fewer, whoever guesses is right too often for a score to tell anything.
LEAST_CANDIDATES = 4 * TOP
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How a text side does on the queries of one language.

    Attributes:
        hit_rate: At 10, a fraction.
        best: The cosine of the best answer to each query.
    """

    hit_rate: float
    best: Sequence[float]


@dataclass(kw_only=True)
class _Measured:
    """What was found so far."""

    scores: dict[str, LanguageScore] = field(default_factory=dict)
    best: dict[str, list[float]] = field(default_factory=dict)
    on: dict[str, Any] = field(default_factory=dict)


def with_scores(
    pack: LanguagePack,
    sets: Sequence[DevSet],
    *,
    teacher: DualEncoder,
    unmeasured: Sequence[str] = (),
    cache: VectorCache | None = None,
) -> LanguagePack:
    """The pack with dev scores, score distribution and languages in its manifest.

    Args:
        pack: Fresh from its recipe.
        sets: The first one that has enough queries in a language scores it.
        teacher: The dual encoder that it was made for.
        unmeasured: Languages that it is said to know; those without queries enough are listed
            without a score.
        cache: Keeps what the teacher gave.
    """
    found, alone = _Measured(), teacher.with_no_pack()
    for one in sets:
        _measure(found, pack, one.answerable(alone.text.lacking), teacher=alone, cache=cache)
    scores = dict(found.scores)
    for language in unmeasured:
        if language not in scores:
            speaks = pack.manifest.speaker(language, pack=None, teacher=None)
            scores[language] = LanguageScore(speaks=speaks)
    manifest = replace(
        pack.manifest,
        languages=dict(sorted(scores.items())),
        score_distribution={who: _quantiles(best) for who, best in found.best.items() if best},
        data={**pack.manifest.data, **({"dev": found.on} if found.on else {})},
    )
    return replace(pack, manifest=manifest)


def _measure(
    found: _Measured,
    pack: LanguagePack,
    one: DevSet,
    *,
    teacher: DualEncoder,
    cache: VectorCache | None,
) -> None:
    """Score the languages of one dev set that no earlier one had."""
    asked = {
        language: queries
        for language, queries in one.queries.items()
        if len(queries) >= LEAST_QUERIES and language not in found.scores
    }
    lacking = {"num_without_vector": one.num_lacking} if one.num_lacking else {}
    if not asked or one.num_candidates < LEAST_CANDIDATES:
        if lacking:
            found.on.setdefault(one.asks_for, lacking)
        return
    before = one.vectors() if one.items is not None else _english(one, teacher, cache=cache)
    after = _candidates_of(pack, one, before)
    # Cosines between texts are no measure for those who cut off answers among images.
    names = ("pack", "teacher") if one.asks_for == "items" else ("pack, texts", "teacher, texts")
    for language, queries in asked.items():
        right = Relevance.of([rows for _, rows in queries])
        texts = [text for text, _ in queries]
        own = _answers(teacher.text, texts, before, right=right, language=language, cache=cache)
        new = None
        if after is not None:
            new = _answers(pack.side, texts, after, right=right, language=language, cache=None)
        rates = [None if each is None else each.hit_rate for each in (new, own)]
        found.scores[language] = LanguageScore(
            pack=rates[0],
            teacher=rates[1],
            speaks=pack.manifest.speaker(language, pack=rates[0], teacher=rates[1]),
            num_queries=len(queries),
        )
        for who, each in zip(names, (new, own), strict=True):
            found.best.setdefault(who, []).extend(each.best if each else ())
    found.on[one.asks_for] = {
        "metric": f"hit rate at {TOP}",
        "num_candidates": one.num_candidates,
        "num_languages": len(asked),
        **({"note": one.note} if one.note else {}),
        **lacking,
    }


def _english(one: DevSet, teacher: DualEncoder, *, cache: VectorCache | None) -> Vectors:
    """The teacher's vectors of the English texts that are asked for."""
    return teacher.encode_texts(one.english, languages=[ENGLISH] * len(one.english), cache=cache)


def _candidates_of(pack: LanguagePack, one: DevSet, before: Vectors) -> Vectors | None:
    """The candidates as the pack's queries are compared with them: (M, pack's width), unit.

    Returns:
        None where the pack brings another content tower and what goes through it is not at hand.
    """
    side = pack.content_side
    if side is None:
        return pack.project(before)
    features = None if one.items is None else one.items.features
    if features is None or side.output != "pre_projection":
        return None
    return unit(side.through_head(features))


def _answers(
    side: Side,
    texts: Sequence[str],
    candidates: Vectors,
    *,
    right: Relevance,
    language: str,
    cache: VectorCache | None,
) -> Answers | None:
    """Ask in one language; None where the text side cannot be asked these texts."""
    if side.lacking(texts):
        return None  # precomputed vectors, and not of these texts
    spoken = [language] * len(texts)
    try:
        raw = text_vectors(texts, side.tower, languages=spoken, cache=cache, output=side.output)
    except errors.TowerLacksLanguageError:
        return None
    said = unit(side.through_head(raw, languages=spoken))  # (N, D)
    hits = retrieval.hit_rates_at_k(said, candidates, relevance=right, ks=(TOP,))[TOP]
    return Answers(hit_rate=float(hits.mean()), best=(said @ candidates.T).max(axis=1).tolist())


def _quantiles(best: Sequence[float]) -> Mapping[str, float]:
    values: Sequence[float] = np.quantile(best, QUANTILES).tolist()
    return {f"{100 * q:.0f} %": value for q, value in zip(QUANTILES, values, strict=True)}
