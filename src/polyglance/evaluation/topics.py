"""Scores of topic matching: the mean of some images asks for a sentence, or of sentences for one.

Legend: M images, S sentences, Q questions, R references, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder, require_one_space, unit_vectors
from polyglance.metrics import bootstrap, ties
from polyglance.results.schema import Direction, Result
from polyglance.tasks.topics import NUM_CANDIDATES, REFERENCES, TopicData
from polyglance.vectors import Vectors


def score(
    encoder: Encoder,
    data: TopicData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Accuracy of one language, both ways and by number of references; see `evaluation.Scorer`.

    Raises:
        VectorError: Where texts and contents differ in width.
    """
    assert contents is not None
    texts = [sentence.text for sentence in data.sentences[language]]
    vectors = unit_vectors(encoder, texts, languages=[language] * len(texts), cache=cache)
    require_one_space(vectors, contents)
    rows = []
    for num_references in REFERENCES:
        asked = data.questions(language, num_references=num_references)
        if asked is None:
            continue
        # The sentence of a question is known by the row of its own vector.
        ways: tuple[tuple[Direction, NDArray[np.float64]], ...] = (
            ("content_to_text", right(contents[asked.images], vectors[asked.sentences])),
            ("text_to_content", right(vectors[asked.asking], contents[asked.choices])),
        )
        for direction, hits in ways:
            found = bootstrap.clustered_bootstrap(hits, asked.sentences[:, 0], seed=0)
            rows.append(
                Result(
                    task=data.task,
                    split="test",
                    language=language,
                    direction=direction,
                    metric="accuracy",
                    caption_policy=data.policy,
                    variant=f"{num_references} reference{'s' if num_references > 1 else ''}",
                    values={"accuracy": found.mean},
                    intervals={"accuracy": (found.low, found.high)},
                    num_queries=len(hits),
                    num_candidates=NUM_CANDIDATES,
                    num_dropped=data.num_dropped,
                    model=name,
                    model_id=model_id,
                    data_id=data.data_id(language),
                )
            )
    return rows


def right(references: Vectors, candidates: Vectors) -> NDArray[np.float64]:
    """The chance that the candidate nearest to the references' mean is the first.

    Args:
        references: Float32 (Q, R, D), unit rows.
        candidates: Float32 (Q, 4, D), unit rows, the right one first.

    Returns:
        Float64 (Q,): 1 or 0, and a share where the first is level with others.

    >>> ways = np.eye(2, dtype=np.float32)
    >>> right(ways[[[0]]], ways[[[0, 1, 1, 1]]]), right(ways[[[0]]], ways[[[0, 0, 1, 1]]])
    (array([1.]), array([0.5]))
    """
    mean = references.mean(axis=1, dtype=np.float64)  # (Q, D)
    scores = np.vecdot(candidates.astype(np.float64), mean[:, None, :])  # (Q, 4)
    sizes = np.linalg.norm(mean, axis=1) * np.linalg.norm(candidates, axis=2).max(axis=1)
    tie = ties.tie_width(mean.shape[1], sizes)[:, None]
    level = scores >= scores.max(axis=1, keepdims=True) - tie
    return np.asarray(level[:, 0] / level.sum(axis=1), np.float64)
