"""Evaluation of a model in every language: each item encoded once, runs resumed.

One engine under all kinds of task; how a kind is scored stands in its own file.

Legend: M content items, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from polyglance import errors, progress
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import (
    caption_text,
    classification,
    identity,
    neighbours,
    retrieval,
    text,
    topics,
)
from polyglance.evaluation.encoders import Encoder, FunctionEncoder
from polyglance.languages.encoder_languages import among
from polyglance.records import Quarantined
from polyglance.results import schema
from polyglance.results.schema import Result
from polyglance.tasks import TaskData
from polyglance.tasks.caption_text import CaptionTextData
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.neighbours import NeighbourData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.tasks.topics import TopicData
from polyglance.vectors import Vectors

__all__ = ["Encoder", "FunctionEncoder", "evaluate"]


# Why a language is set aside.
LACKING = "the model cannot read them"
NOTHING_TO_ASK = "too little of it is there to ask anything"


class Scorer(Protocol):
    """How one kind of task is scored in one language."""

    def __call__(
        self,
        encoder: Encoder,
        data: Any,
        *,
        language: str,
        contents: Vectors | None,
        cache: VectorCache | None,
        name: str,
        model_id: str,
    ) -> list[Result]:
        """Encode the language's texts and score them: one result a split, direction, variant."""
        ...


# What is measured, by the kind of its data.
SCORERS: Mapping[type, Scorer] = MappingProxyType(
    {
        RetrievalData: retrieval.score,
        ClassificationData: classification.score,
        NeighbourData: neighbours.score,
        SimilarityData: text.score_similarity,
        BitextData: text.score_bitext,
        TopicData: topics.score,
        CaptionTextData: caption_text.score,
    }
)


def evaluate(
    encoder: Encoder,
    data: TaskData,
    *,
    contents: Vectors | Callable[[str], Vectors] | None = None,
    contents_id: str = "",
    name: str,
    pack: str = "",
    model_id: str,
    languages: Sequence[str] | None = None,
    out: Path | None = None,
    cache: VectorCache | None = None,
    dropped_names: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    supported: Collection[str] | None = None,
    set_aside: Callable[[Quarantined], None] | None = None,
) -> list[Result]:
    """Score a model on a task, language by language.

    What `out` holds already is not measured again where all that it was computed from is the same:
    model, texts, prompts, contents, and the code that scores (`identity.score_id`).

    Args:
        encoder: Gives text vectors in the space of `contents`.
        data: The task.
        contents: Float32 (M, D), unit, in the order of `data.item_ids`; or a function from
            language to those that its texts are compared with; None where a task has texts alone.
        contents_id: Fingerprint of the contents' bytes, so that a changed image under an old name
            is measured anew; empty takes that of `contents`, where they are vectors.
        name: How the model is called in results.
        pack: How its pack is called there; empty where it has none.
        model_id: Fingerprint of model and pack.
        languages: Which ones; None takes all that the task has.
        out: File of results to add to.
        cache: Keeps what towers gave.
        dropped_names: Of content items that could not take part, for the results to say.
        supported: The languages that the model is said to know, for the results to say; None where
            nothing says so.
        set_aside: Told of each language that the tower cannot read or in which nothing can be
            asked; the others go on, and a later run asks again. None stops at the first that
            cannot be read.

    Returns:
        Results in the order of languages, then as the kind of task gives them.

    Raises:
        LanguageError: For a language that the task lacks; without `set_aside`, that the tower
            cannot read.
        VectorError: Where texts and contents differ in width.
    """
    if not contents_id and contents is not None and not callable(contents):
        contents_id = identity.vectors_id(contents)
    known = _known(out)
    chosen = _chosen(data, languages)
    measured: list[Result] = []
    with progress.bar(f"measuring {name}", total=len(chosen)) as advance:
        for language in chosen:
            score_id = identity.score_id(
                data, language=language, model_id=model_id, contents_id=contents_id
            )
            rows = known.get((language, score_id))
            if rows is None:
                try:
                    rows = SCORERS[type(data)](
                        encoder,
                        data,
                        language=language,
                        contents=contents(language) if callable(contents) else contents,
                        cache=cache,
                        name=name,
                        model_id=model_id,
                    )
                except errors.TowerLacksLanguageError:
                    if set_aside is None:
                        raise
                    set_aside(Quarantined(language, LACKING))
                    rows = []
                else:
                    if not rows and set_aside is not None:
                        set_aside(Quarantined(language, NOTHING_TO_ASK))
                rows = [
                    replace(
                        row,
                        pack=pack,
                        dropped_names=dict(dropped_names),
                        score_id=score_id,
                        supported=None if supported is None else among(language, supported),
                    )
                    for row in rows
                ]
                if out is not None and rows:
                    schema.append_results(out, rows)
            measured += rows
            advance(1)
    return measured


def _chosen(data: TaskData, languages: Sequence[str] | None) -> list[str]:
    if languages is None:
        return list(data.languages)
    lacking = [language for language in languages if language not in data.languages]
    if lacking:
        raise errors.LanguageError(
            f"{data.task} has nothing in {', '.join(lacking)}; "
            f"it has {', '.join(sorted(data.languages))}",
            hint="leave those out, or choose another task: polyglance eval --list",
        )
    return list(languages)


def _known(out: Path | None) -> dict[tuple[str, str], list[Result]]:
    """Results already in `out`, by language and what they were computed from.

    A language beside a damaged line is measured again, as its rows may not be all.
    """
    found: dict[tuple[str, str], list[Result]] = {}
    if out is None or not out.is_file():
        return found
    whole = schema.read_what_is_whole(out)
    for row in whole.rows:
        if row.score_id and (row.model_id, row.task, row.language) not in whole.doubtful:
            found.setdefault((row.language, row.score_id), []).append(row)
    return found
