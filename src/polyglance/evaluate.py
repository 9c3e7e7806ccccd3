"""How good is a model in each language? Encode once, score every language, resume.

Legend: T texts of a language, M content items, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, metrics, progress, results, statistics
from polyglance.affine import Vectors
from polyglance.embed import VectorCache
from polyglance.results import Result
from polyglance.tasks.retrieval import RetrievalData

KS = (1, 5, 10)


class Encoder(Protocol):
    """What can be scored: our dual encoders, and anyone's model in two lines.

    Attributes:
        space_id: The space its vectors lie in.
    """

    @property
    def space_id(self) -> str:
        """The space its vectors lie in."""
        ...

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str] | None,
        cache: VectorCache | None = None,
    ) -> Vectors:
        """Texts to unit vectors (N, D)."""
        ...


def evaluate(
    encoder: Encoder,
    data: RetrievalData,
    *,
    contents: Vectors | Callable[[str], Vectors],
    name: str,
    model_id: str,
    languages: Sequence[str] | None = None,
    out: Path | None = None,
    cache: VectorCache | None = None,
) -> list[Result]:
    """Score a model on a task, language by language.

    What `out` holds already, of the same model and data, is not measured again.

    Args:
        encoder: Gives text vectors in the space of `contents`.
        data: The task.
        contents: Float32 (M, D), unit, in the order of `data.content_ids`; or a function from
            language to those that its texts are compared with.
        name: How the model is called in results.
        model_id: Fingerprint of model and pack.
        languages: Which ones; None takes all that the task has.
        out: File of results to add to.
        cache: Keeps what towers gave.

    Returns:
        Results in the order of languages, splits and directions.

    Raises:
        LanguageError: For a language that the task lacks.
        VectorError: Where texts and contents differ in width.
    """
    known = _known(out, data, model_id)
    chosen = _chosen(data, languages)
    measured: list[Result] = []
    with progress.bar(f"measuring {name}", total=len(chosen)) as advance:
        for language in chosen:
            rows = known.get((language, data.data_id(language)))
            if rows is None:
                those = contents(language) if callable(contents) else contents
                scored = score_language(
                    encoder, data, language=language, contents=those, cache=cache
                )
                rows = [
                    result_of(data, language, part, name=name, model_id=model_id) for part in scored
                ]
                if out is not None:
                    results.append_results(out, rows)
            measured += rows
            advance(1)
    return measured


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


def _chosen(data: RetrievalData, languages: Sequence[str] | None) -> list[str]:
    if languages is None:
        return list(data.captions)
    lacking = [language for language in languages if language not in data.captions]
    if lacking:
        raise errors.LanguageError(
            f"{data.task} has no captions in {', '.join(lacking)}; "
            f"it has {', '.join(sorted(data.captions))}",
            hint="leave those out, or choose another task: polyglance eval --list",
        )
    return list(languages)


def _known(
    out: Path | None, data: RetrievalData, model_id: str
) -> dict[tuple[str, str], list[Result]]:
    """Results already in `out`, by language and data; languages that are not whole are left out."""
    found: dict[tuple[str, str], list[Result]] = {}
    if out is None or not out.is_file():
        return found
    for row in results.read_results(out):
        if (row.model_id, row.task, row.caption_policy) == (model_id, data.task, data.policy):
            found.setdefault((row.language, row.data_id), []).append(row)
    # A run killed while writing leaves some of a language's rows; those cannot be told from whole
    # ones by count alone where a split has no caption, so the last language is measured again.
    most = max((len(rows) for rows in found.values()), default=0)
    return {key: rows for key, rows in found.items() if len(rows) == most}
