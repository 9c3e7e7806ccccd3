"""Retrieval scores of one language, between texts and content items of a space.

Legend: T texts of a language, M content items, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder, require_one_space, unit_vectors
from polyglance.metrics import bootstrap, retrieval
from polyglance.metrics.relevance import Repeats
from polyglance.results import schema
from polyglance.results.schema import Result
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import Vectors

KS = (1, 5, 10)
HIT_RATES = tuple(f"hit_rate_at_{k}" for k in KS)
RECIPROCAL_RANK = "mean_reciprocal_rank"
# Of both directions together: the mean of their hit rates (ETCL, section 4.2). Each direction's
# result carries it, so that it can be read beside either.
AVERAGE_RECALL = "average_recall"


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One split and direction of one language: hits of its queries, and who they cluster by.

    Attributes:
        split: Name of the split.
        direction: Which side asks.
        hits: Float64 (queries, len(KS)), from 0 to 1: ties count as their expectation.
        reciprocal_ranks: Float64 (queries, names), of the first right one, ties by expectation.
        clusters: Int64 (queries,), number of the content item behind each query.
        members: Content items of the split, asking or not.
        num_candidates: How many could be found.
        num_dropped: What could not take part, by reason.
        repeats: Captions that say the same.
    """

    split: str
    direction: schema.Direction
    hits: NDArray[np.float64]
    reciprocal_ranks: NDArray[np.float64]
    clusters: NDArray[np.int64]
    members: NDArray[np.int64]
    num_candidates: int
    num_dropped: Mapping[str, int]
    repeats: Repeats


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
    """Hit rates of one language, by split and direction; see `evaluation.Scorer`."""
    assert contents is not None
    parts = score_language(encoder, data, language=language, contents=contents, cache=cache)
    return results_of(data, language, parts=parts, name=name, model_id=model_id)


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
        contents: Float32 (M, D), unit, in the order of `data.item_ids`.
        cache: Keeps what towers gave.

    Raises:
        VectorError: Where texts and contents differ in width.
    """
    rows = data.candidate_rows(language)
    contents = contents if len(rows) == len(contents) else contents[rows]
    chosen = retrieval.apply_caption_policy(
        data.captions[language],
        policy=data.policy,
        item_ids=[data.item_ids[row] for row in rows.tolist()],
    )
    texts = chosen.texts
    vectors = unit_vectors(encoder, texts, languages=[language] * len(texts), cache=cache)
    require_one_space(vectors, contents)
    ranked = retrieval.retrieval_both_ways(
        vectors, contents, relevance=chosen.relevance, ks=KS, without_positive="leave out"
    )
    # A text that several contents share belongs to the first of them.
    owners = chosen.relevance.indices[chosen.relevance.offsets[:-1]]  # (T,)
    dropped = {
        **data.num_dropped,
        "captions_without_content": chosen.num_without_content,
        "captions_beyond_first": chosen.num_beyond_first,
        "captions_repeated": chosen.repeats.num_repeated if data.policy == "unique" else 0,
    }
    directions: tuple[tuple[schema.Direction, retrieval.Direction, NDArray[np.int64], int], ...] = (
        ("text_to_content", ranked.text_to_content, owners, len(contents)),
        ("content_to_text", ranked.content_to_text, np.arange(len(contents)), len(texts)),
    )
    parts = []
    cuts = reciprocal_ranks_of(data).values()
    for split, members in data.splits.items():
        for direction, found, owner_of_row, num_candidates in directions:
            owner = owner_of_row[found.ranks.query_rows]  # (Q,) content item behind each query
            asking = members[rows[owner]]
            if asking.any():
                parts.append(
                    Part(
                        split=split,
                        direction=direction,
                        hits=np.stack([found.hits[k][asking] for k in KS], axis=1),
                        reciprocal_ranks=np.stack(
                            [retrieval.reciprocal_ranks(found.ranks, k=k)[asking] for k in cuts],
                            axis=1,
                        ),
                        clusters=rows[owner[asking]],
                        members=rows[members[rows]],
                        num_candidates=num_candidates,
                        num_dropped=dropped,
                        repeats=chosen.repeats,
                    )
                )
    return parts


def reciprocal_ranks_of(data: RetrievalData) -> dict[str, int | None]:
    """Names of the reciprocal ranks given, and where each is cut: as the papers report them."""
    cut = {f"{RECIPROCAL_RANK}_at_{k}": k for k in KS}
    return {RECIPROCAL_RANK: None, **(cut if data.metric == RECIPROCAL_RANK else {})}


def results_of(
    data: RetrievalData, language: str, *, parts: Sequence[Part], name: str, model_id: str
) -> list[Result]:
    """The means and intervals of a language's parts, with all that says what was measured."""
    data_id = data.data_id(language)
    names = (*HIT_RATES, *reciprocal_ranks_of(data))
    rows = []
    for split in dict.fromkeys(part.split for part in parts):
        both = [part for part in parts if part.split == split]
        for part, (values, intervals) in zip(both, _summarise(both, names=names), strict=True):
            rows.append(
                Result(
                    task=data.task,
                    split=split,
                    language=language,
                    direction=part.direction,
                    metric=data.metric,
                    caption_policy=data.policy,
                    values=values,
                    intervals=intervals,
                    num_queries=len(part.hits),
                    num_candidates=part.num_candidates,
                    num_dropped=part.num_dropped,
                    model=name,
                    model_id=model_id,
                    data_id=data_id,
                    captions_duplicated=part.repeats.num_repeated,
                    most_repeated_caption=part.repeats.most_repeated,
                    most_repeated_times=part.repeats.times,
                )
            )
    return rows


def _summarise(
    parts: Sequence[Part], *, names: Sequence[str]
) -> list[tuple[dict[str, float], dict[str, tuple[float, float]]]]:
    """Means and 95 % intervals by name, for each direction of one split.

    Both directions stand in one table, so that the average recall has an interval of its own. What
    a single image says of others is unknown: it has values and no intervals.
    """
    starts = np.cumsum([0, *(len(part.hits) for part in parts)])
    values = np.zeros((starts[-1], len(parts) * len(names)))
    present = np.zeros(values.shape, bool)
    for number, part in enumerate(parts):
        rows = slice(starts[number], starts[number + 1])
        columns = slice(number * len(names), (number + 1) * len(names))
        values[rows, columns] = np.column_stack([part.hits, part.reciprocal_ranks])
        present[rows, columns] = True
    clusters = np.concatenate([part.clusters for part in parts])
    rates = [column for column in range(values.shape[1]) if column % len(names) < len(KS)]
    spans: list[bootstrap.Interval] = []
    if (clusters == clusters[0]).all():
        means = values.sum(axis=0) / present.sum(axis=0)
        figures = [*means.tolist(), float(means[rates].mean())]
    else:
        found = bootstrap.bootstrap_means(values, clusters=clusters, present=present, seed=0)
        spans = [*found.intervals(), *found.over(rates).intervals()]
        figures = [span.mean for span in spans]
    summaries = []
    for number in range(len(parts)):
        own = range(number * len(names), (number + 1) * len(names))
        chosen = dict(zip(names, own, strict=True))
        if len(parts) == 2:
            chosen[AVERAGE_RECALL] = len(figures) - 1
        summaries.append(
            (
                {name: figures[at] for name, at in chosen.items()},
                {name: (spans[at].low, spans[at].high) for name, at in chosen.items() if spans},
            )
        )
    return summaries
