"""Per-query correctness of a model, so that two models are compared on the same queries.

Legend: M content items, D width, Q queries, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import caption_text, classification, retrieval, text
from polyglance.evaluation.encoders import Encoder
from polyglance.evaluation.retrieval import KS
from polyglance.results.schema import Direction
from polyglance.tasks import TaskData
from polyglance.tasks.caption_text import CaptionTextData
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.text import BitextData
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class Correct:
    """The queries of one language in one split and direction.

    Attributes:
        split: Name of the split.
        direction: Which side asks.
        value: What the mean of `values` is called.
        values: Float64 (Q,), from 0 to 1, the chance that the query is answered right.
        clusters: Int64 (Q,), which content item, or text of the other side, is behind each query.
        members: Of the clusters those that could be there, in this language or in others.
    """

    split: str
    direction: Direction
    value: str
    values: NDArray[np.float64]
    clusters: NDArray[np.int64]
    members: NDArray[np.int64]


class Asks(Protocol):
    """How one kind of task is asked, query by query."""

    def __call__(
        self,
        encoder: Encoder,
        data: Any,
        *,
        language: str,
        contents: Vectors | None,
        cache: VectorCache | None,
        k: int,
    ) -> list[Correct]:
        """What is right in one language; nothing where nothing can be asked there."""
        ...


def ask(
    encoder: Encoder,
    data: TaskData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    k: int,
) -> list[Correct]:
    """What a model gets right of a task in one language, by split and direction.

    Args:
        encoder: Gives text vectors in the space of `contents`.
        data: The task.
        language: Which of its languages.
        contents: Float32 (M, D), unit; None where the task has texts alone.
        cache: Keeps what towers gave.
        k: In retrieval, a hit is a right candidate among the first k; others take the first.

    Raises:
        ConfigError: For a kind of task that is not right or wrong query by query.
        VectorError: Where texts and contents differ in width.
    """
    require_asked(data)
    return ASKS[type(data)](encoder, data, language=language, contents=contents, cache=cache, k=k)


def require_asked(data: TaskData) -> None:
    """Refuse a task that is not right or wrong query by query, as a rank correlation is not.

    Raises:
        ConfigError: For such a task.
    """
    if type(data) not in ASKS:
        raise errors.ConfigError(
            f"{data.task} is not answered right or wrong, item by item; models are compared on "
            "tasks of retrieval, classification and translations",
            hint="choose another task: polyglance eval --list; or measure both and write a report",
        )


def _retrieval(
    encoder: Encoder,
    data: RetrievalData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    k: int,
) -> list[Correct]:
    assert contents is not None
    parts = retrieval.score_language(
        encoder, data, language=language, contents=contents, cache=cache
    )
    return [
        Correct(
            split=part.split,
            direction=part.direction,
            value=f"hit_rate_at_{k}",
            values=part.hits[:, KS.index(k)],
            clusters=part.clusters,
            members=part.members,
        )
        for part in parts
    ]


def _classification(
    encoder: Encoder,
    data: ClassificationData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    k: int,
) -> list[Correct]:
    """Each model by the prompts that are best for it, where there is a choice."""
    del k
    assert contents is not None
    found = classification.best_guesses(
        encoder, data, language=language, contents=contents, cache=cache
    )
    if found is None:
        return []
    return [
        Correct(
            split="test",
            direction="content_to_class",
            value="accuracy",
            values=found.guesses.hits[:, 0],
            clusters=found.rows,
            members=np.arange(len(data.item_ids)),
        )
    ]


def _bitext(
    encoder: Encoder,
    data: BitextData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    k: int,
) -> list[Correct]:
    del contents, k
    ways = text.bitext_hits(encoder, data, language=language, cache=cache)
    return [
        Correct(
            split="test",
            direction=way.direction,
            value="accuracy",
            values=way.hits,
            clusters=way.clusters,
            members=np.arange(int(way.clusters.max()) + 1),
        )
        for way in ways
    ]


def _caption_text(
    encoder: Encoder,
    data: CaptionTextData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    k: int,
) -> list[Correct]:
    """A caption among its own language's, and among the English ones: `split` says which."""
    del contents
    ways = caption_text.caption_hits(encoder, data, language=language, cache=cache)
    return [
        Correct(
            split="test" if way.other_language == language else f"test with {way.other_language}",
            direction=way.direction,
            value=f"hit_rate_at_{k}",
            values=way.hits[:, KS.index(k)],
            clusters=way.clusters,
            members=np.arange(way.num_items),
        )
        for way in ways
    ]


ASKS: Mapping[type, Asks] = MappingProxyType(
    {
        RetrievalData: _retrieval,
        ClassificationData: _classification,
        BitextData: _bitext,
        CaptionTextData: _caption_text,
    }
)


def all_members(parts: Sequence[Correct]) -> NDArray[np.int64]:
    """The clusters that could be there in any of several languages, ascending."""
    return np.unique(np.concatenate([part.members for part in parts]))
