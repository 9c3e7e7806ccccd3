"""Text-to-text retrieval scores: captions that find other captions of the same item.

Legend: N distinct texts that ask, M distinct texts that are found, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder, unit_vectors
from polyglance.evaluation.retrieval import HIT_RATES, KS, RECIPROCAL_RANK
from polyglance.metrics import bootstrap, ranking, retrieval
from polyglance.metrics.relevance import Relevance
from polyglance.results.schema import Direction, Result
from polyglance.tasks.caption_text import CaptionTextData
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class TextHits:
    """One way of asking.

    Attributes:
        direction: Which side asks.
        other_language: The other side's language; that of the texts where both are one.
        hits: Float64 (Q, len(KS)), ties by expectation.
        reciprocal_ranks: Float64 (Q,), of the first right one.
        clusters: Int64 (Q,), the item behind each query.
        num_items: Items of the task.
        num_candidates: How many could be found.
        num_without: Texts that ask nothing, as no other text is of their item.
    """

    direction: Direction
    other_language: str
    hits: NDArray[np.float64]
    reciprocal_ranks: NDArray[np.float64]
    clusters: NDArray[np.int64]
    num_items: int
    num_candidates: int
    num_without: int


def score(
    encoder: Encoder,
    data: CaptionTextData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Hit rates of one language's captions among its own and the English ones.

    See `evaluation.Scorer`.
    """
    del contents
    rows = []
    for way in caption_hits(encoder, data, language=language, cache=cache):
        values, intervals = _figures(way)
        repeated = len(data.captions[language]) - len(_numbered(data.texts_of(language))[0])
        rows.append(
            Result(
                task=data.task,
                split="test",
                language=language,
                other_language=way.other_language,
                direction=way.direction,
                metric="hit_rate",
                caption_policy=data.policy,
                values=values,
                intervals=intervals,
                num_queries=len(way.hits),
                num_candidates=way.num_candidates,
                num_dropped={
                    "captions_repeated": repeated,
                    "texts_without_another_of_their_item": way.num_without,
                },
                model=name,
                model_id=model_id,
                data_id=data.data_id(language),
            )
        )
    return rows


def caption_hits(
    encoder: Encoder, data: CaptionTextData, *, language: str, cache: VectorCache | None
) -> list[TextHits]:
    """Which captions find another caption of their item: in their language, then in English.

    In their own language a text is not among its candidates. Between two languages both ask.

    Source: M2M, section 6 (text-to-text R@10 on XM3600 and AudioCaps, several captions an item).
    """
    found: list[TextHits] = []
    for partner in data.partners(language):
        sides = {who: data.texts_of(who) for who in dict.fromkeys((language, partner))}
        texts, items = _numbered(sides[language])
        others, other_items = _numbered(sides[partner])
        # All at once, so that they lie in one space.
        asked = texts if partner == language else [*texts, *others]
        spoken = [language] * len(texts) + [partner] * (len(asked) - len(texts))
        vectors = unit_vectors(encoder, asked, languages=spoken, cache=cache)
        if partner == language:
            found.append(
                _hits(vectors, vectors, items=(items, items), places=data.places, partner=partner)
            )
            continue
        first, second = vectors[: len(texts)], vectors[len(texts) :]
        found += [
            _hits(first, second, items=(items, other_items), places=data.places, partner=partner),
            _hits(
                second,
                first,
                items=(other_items, items),
                places=data.places,
                partner=partner,
                back=True,
            ),
        ]
    return found


def _hits(
    queries: Vectors,
    candidates: Vectors,
    *,
    items: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    places: Mapping[str, int],
    partner: str,
    back: bool = False,
) -> TextHits:
    """Ranks of one direction; the same vectors on both sides leave each text out of its own."""
    own = queries is candidates
    of_item: dict[str, list[int]] = {}
    for place, there in enumerate(items[1]):
        for item_id in there:
            of_item.setdefault(item_id, []).append(place)
    positives = [
        sorted({p for item_id in there for p in of_item.get(item_id, ()) if not own or p != place})
        for place, there in enumerate(items[0])
    ]
    ranks = ranking.rank_statistics(
        queries,
        candidates,
        relevance=Relevance.of(positives),
        without_positive="leave out",
        excluded=np.arange(len(queries)) if own else None,
    )
    hits = retrieval.hits_at_k(ranks, ks=KS)
    return TextHits(
        direction="other_to_text" if back else "text_to_other",
        other_language=partner,
        hits=np.stack([hits[k] for k in KS], axis=1),
        reciprocal_ranks=retrieval.reciprocal_ranks(ranks),
        clusters=np.array([places[items[0][row][0]] for row in ranks.query_rows.tolist()]),
        num_items=len(places),
        num_candidates=len(candidates) - own,
        num_without=len(queries) - len(ranks.query_rows),
    )


def _numbered(texts_of: Mapping[str, Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Distinct texts, and the items that each was written for."""
    items: dict[str, list[str]] = {}
    for item_id, texts in texts_of.items():
        for text in texts:
            items.setdefault(text, []).append(item_id)
    return list(items), list(items.values())


def _figures(way: TextHits) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means and 95 % intervals over items; of a single item no interval."""
    table = np.column_stack([way.hits, way.reciprocal_ranks])
    names = (*HIT_RATES, RECIPROCAL_RANK)
    if (way.clusters == way.clusters[0]).all():
        return dict(zip(names, table.mean(axis=0).tolist(), strict=True)), {}
    spans = bootstrap.bootstrap_means(table, clusters=way.clusters, seed=0).intervals()
    return (
        {name: span.mean for name, span in zip(names, spans, strict=True)},
        {name: (span.low, span.high) for name, span in zip(names, spans, strict=True)},
    )
