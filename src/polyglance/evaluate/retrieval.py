"""How well do texts and content items of a space find each other, in one language?

Legend: T texts of a language, M content items, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, metrics, results, statistics
from polyglance.affine import Vectors
from polyglance.embed import VectorCache
from polyglance.evaluate.encoders import Encoder
from polyglance.results import Result
from polyglance.tasks.retrieval import RetrievalData

KS = (1, 5, 10)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One split and direction of one language: hits of its queries, and who they cluster by.

    Attributes:
        split: Name of the split.
        direction: Which side asks.
        hits: Float64 (queries, len(KS)), from 0 to 1: ties count as their expectation.
        clusters: Int64 (queries,), number of the content item behind each query.
        members: Content items of the split, asking or not.
        num_candidates: How many could be found.
        num_dropped: What could not take part, by reason.
    """

    split: str
    direction: results.Direction
    hits: NDArray[np.float64]
    clusters: NDArray[np.int64]
    members: NDArray[np.int64]
    num_candidates: int
    num_dropped: Mapping[str, int]


def score(
    encoder: Encoder,
    data: RetrievalData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Hit rates of one language, by split and direction; see `evaluate.Scorer`."""
    assert contents is not None
    parts = score_language(encoder, data, language=language, contents=contents, cache=cache)
    return [result_of(data, language, part, name=name, model_id=model_id) for part in parts]


def score_language(
    encoder: Encoder,
    data: RetrievalData,
    *,
    language: str,
    contents: Vectors,
    cache: VectorCache | None,
) -> list[Part]:
    """Encode one language's texts and rank both ways, once for all splits.

    Args:
        encoder: Gives text vectors in the space of `contents`.
        data: The task.
        language: Which of its languages.
        contents: Float32 (M, D), unit, in the order of `data.content_ids`.
        cache: Keeps what towers gave.

    Raises:
        VectorError: Where texts and contents differ in width.
    """
    chosen = metrics.apply_caption_policy(
        data.captions[language], policy=data.policy, content_ids=data.content_ids
    )
    texts = chosen.texts
    vectors = encoder.encode_texts(texts, languages=[language] * len(texts), cache=cache)
    if vectors.shape[1] != contents.shape[1]:
        raise errors.VectorError(
            f"texts of width {vectors.shape[1]} and contents of width {contents.shape[1]}; "
            "they must share a space",
            hint="encode both with the same model",
        )
    ranked = metrics.retrieval_both_ways(
        vectors, contents, relevance=chosen.relevance, ks=KS, without_positive="leave out"
    )
    # A text that several contents share belongs to the first of them.
    owners = chosen.relevance.indices[chosen.relevance.offsets[:-1]]  # (T,)
    dropped = {
        **data.num_dropped,
        "captions_without_content": chosen.num_without_content,
        "captions_beyond_first": chosen.num_beyond_first,
        "captions_repeated": chosen.num_repeated,
    }
    directions: tuple[tuple[results.Direction, metrics.Direction, NDArray[np.int64], int], ...] = (
        ("text_to_content", ranked.text_to_content, owners, len(contents)),
        ("content_to_text", ranked.content_to_text, np.arange(len(contents)), len(texts)),
    )
    parts = []
    for split, members in data.splits.items():
        for direction, found, owner_of_row, num_candidates in directions:
            owner = owner_of_row[found.ranks.query_rows]  # (Q,) content item behind each query
            asking = members[owner]
            if asking.any():
                hits = np.stack([found.hits[k][asking] for k in KS], axis=1)
                parts.append(
                    Part(
                        split=split,
                        direction=direction,
                        hits=hits,
                        clusters=owner[asking],
                        members=np.flatnonzero(members),
                        num_candidates=num_candidates,
                        num_dropped=dropped,
                    )
                )
    return parts


def result_of(
    data: RetrievalData, language: str, part: Part, *, name: str, model_id: str
) -> Result:
    """A part's means and intervals, with all that says what was measured."""
    values, intervals = _summarise(part)
    return Result(
        task=data.task,
        split=part.split,
        language=language,
        direction=part.direction,
        metric="hit_rate",
        caption_policy=data.policy,
        values=values,
        intervals=intervals,
        num_queries=len(part.hits),
        num_candidates=part.num_candidates,
        num_dropped=part.num_dropped,
        model=name,
        model_id=model_id,
        data_id=data.data_id(language),
    )


def _summarise(part: Part) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Means and 95 % intervals by name.

    Content items that have no text in this language take part in the draws as rows that do not
    count, so that all languages of a split share the same draws.
    """
    absent = np.setdiff1d(part.members, part.clusters)
    values = np.concatenate([part.hits, np.zeros((len(absent), len(KS)))])
    present = np.concatenate(
        [np.ones_like(part.hits, bool), np.zeros((len(absent), len(KS)), bool)]
    )
    clusters = np.concatenate([part.clusters, absent])
    drawn = statistics.bootstrap_means(values, clusters=clusters, present=present, seed=0)
    means: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    for k, interval in zip(KS, drawn.intervals(), strict=True):
        means[f"hit_rate_at_{k}"] = interval.mean
        spans[f"hit_rate_at_{k}"] = (interval.low, interval.high)
    return means, spans
