"""Zero-shot classification scores of one language: class names against images.

Legend: M content items, N of them of classes that the language names, C such classes, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.encoders import Encoder, require_one_space
from polyglance.evaluation.ensembles import class_weights
from polyglance.languages.registry import get_language
from polyglance.metrics import bootstrap
from polyglance.metrics.classification import KS, Guesses, drawn_macro_f1, guess, macro_f1
from polyglance.results.schema import Result
from polyglance.tasks.classification import ClassificationData
from polyglance.vectors import Vectors

NUM_SUBSETS = 10
SEED = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Best:
    """What the images of a language's classes are taken for.

    Attributes:
        prompts: Which ones were asked with.
        rows: Int64 (N,), which of the M items are asked about.
        weights: Float32 (C, D), unit, the classes.
        guesses: Of the N items.
    """

    prompts: str
    rows: NDArray[np.int64]
    weights: Vectors
    guesses: Guesses


def score(
    encoder: Encoder,
    data: ClassificationData,
    *,
    language: str,
    contents: Vectors | None,
    cache: VectorCache | None,
    name: str,
    model_id: str,
) -> list[Result]:
    """Accuracy and macro-F1 of one language, asked as `data.variant` says; see `evaluation.Scorer`.

    Images of classes without a name in the language do not take part, and are counted; a language
    with no image left has no result. Where several prompts are tried, those of the highest
    accuracy count, and the result says which: chosen on the test images, as the benchmark does.

    Raises:
        VectorError: Where texts and contents differ in width.
    """
    assert contents is not None
    best = best_guesses(encoder, data, language=language, contents=contents, cache=cache)
    if best is None:
        return []
    rows, weights, found = best.rows, best.weights, best.guesses
    values, intervals = _summarise(found, num_classes=len(weights))
    whole = _result(
        data,
        language,
        split=data.split,
        values=values,
        intervals=intervals,
        num_queries=len(rows),
        num_classes=len(weights),
        prompts=best.prompts,
        name=name,
        model_id=model_id,
    )
    parts = [whole]
    for size in data.subset_sizes:
        hits, clusters = subset_hits(contents, weights, rows=rows, truth=found.truth, size=size)
        if len(np.unique(clusters)) < 2:
            continue
        drawn = bootstrap.bootstrap_means(hits[:, None], clusters=clusters, seed=SEED).intervals()
        parts.append(
            _result(
                data,
                language,
                split=f"subset-{size}",
                values={"accuracy": drawn[0].mean},
                intervals={"accuracy": (drawn[0].low, drawn[0].high)},
                num_queries=len(np.unique(clusters)),
                num_classes=min(size, len(weights)),
                prompts=best.prompts,
                name=name,
                model_id=model_id,
            )
        )
    return parts


def best_guesses(
    encoder: Encoder,
    data: ClassificationData,
    *,
    language: str,
    contents: Vectors,
    cache: VectorCache | None,
) -> Best | None:
    """What the images are taken for, by the prompts of the highest accuracy.

    None in a language that names no class of an image at hand.

    Raises:
        VectorError: Where texts and contents differ in width.
    """
    rows, truth = _of_named_classes(data, language)
    if not len(rows):
        return None
    # A tower knows the language, not the variety of it that a data set keeps apart.
    spoken = get_language(language).base_id
    best: Best | None = None
    for prompts, templates in data.choices(language).items():
        weights = class_weights(
            data.labels[language].labels,
            templates,
            encode=lambda texts: encoder.encode_texts(
                texts, languages=[spoken] * len(texts), cache=cache
            ),
        )
        require_one_space(weights, contents)
        found = guess(contents, weights, rows=rows, truth=truth)
        if best is None or found.accuracy > best.guesses.accuracy:
            best = Best(prompts=prompts, rows=rows, weights=weights, guesses=found)
    return best


def subset_hits(
    contents: Vectors,
    weights: Vectors,
    *,
    rows: NDArray[np.int64],
    truth: NDArray[np.int64],
    size: int,
    num_subsets: int = NUM_SUBSETS,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Hits among random classes only, so that languages with more and fewer labels compare.

    Args:
        contents: Float32 (M, D), unit.
        weights: Float32 (C, D), unit.
        rows: Int64 (N,), which items are asked about.
        truth: Int64 (N,), their classes.
        size: Classes of a subset. Where there are no more than that, all are taken, once.
        num_subsets: How many subsets are drawn; the same ones for every model.

    Returns:
        Float64 (R,), the hits of all subsets one after the other, and int64 (R,), their items.
    """
    hits, items = [np.empty(0)], [np.empty(0, np.int64)]
    for subset in range(num_subsets if size < len(weights) else 1):
        random = np.random.default_rng([SEED, size, subset])
        chosen = np.sort(random.permutation(len(weights))[:size])
        place = np.full(len(weights), -1)
        place[chosen] = np.arange(len(chosen))
        asked = np.flatnonzero(place[truth] >= 0)
        if len(asked):
            found = guess(contents, weights[chosen], rows=rows[asked], truth=place[truth[asked]])
            hits.append(found.hits[:, 0])
            items.append(rows[asked])
    return np.concatenate(hits), np.concatenate(items)


def _of_named_classes(
    data: ClassificationData, language: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which content items are of classes that the language names, and the label of each."""
    label_of = np.full(len(data.names), -1)
    indices = np.array(data.labels[language].class_indices)
    label_of[indices] = np.arange(len(indices))
    truth = label_of[data.classes]  # (M,)
    rows = np.flatnonzero(truth >= 0)
    return rows, truth[rows]


def _summarise(
    found: Guesses, *, num_classes: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Values and 95 % intervals by name; a single item has no interval."""
    values = {"accuracy": found.accuracy, "macro_f1": macro_f1(found)}
    if num_classes > KS[1]:
        values[f"accuracy_at_{KS[1]}"] = float(found.hits[:, 1].mean())
    num_items = len(found.truth)
    if num_items < 2:
        return values, {}
    hits = bootstrap.bootstrap_means(found.hits, clusters=range(num_items), seed=SEED)
    by_name = dict(zip(("accuracy", f"accuracy_at_{KS[1]}"), hits.intervals(), strict=True))
    by_name["macro_f1"] = bootstrap.share_interval_of(
        drawn_macro_f1(found, seed=SEED), mean=values["macro_f1"], num_clusters=num_items
    )
    return (
        {name: by_name[name].mean for name in values},
        {name: (by_name[name].low, by_name[name].high) for name in values},
    )


def _result(
    data: ClassificationData,
    language: str,
    *,
    split: str,
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    num_queries: int,
    num_classes: int,
    prompts: str,
    name: str,
    model_id: str,
) -> Result:
    """Figures with all that says what was measured."""
    rows, _ = _of_named_classes(data, language)
    label, times = Counter(data.labels[language].labels).most_common(1)[0]
    return Result(
        task=data.task,
        split=split,
        language=language,
        direction="content_to_class",
        metric="accuracy",
        caption_policy=data.policy,
        variant=data.variant,
        values=values,
        intervals=intervals,
        num_queries=num_queries,
        num_candidates=num_classes,
        num_dropped={
            **data.num_dropped,
            "images_of_unnamed_classes": len(data.item_ids) - len(rows),
            **{reason: len(items) for reason, items in data.without_images.items()},
            "languages_without_images": data.num_languages_without_images,
        },
        model=name,
        model_id=model_id,
        data_id=data.data_id(language),
        prompts_taken=prompts,
        captions_duplicated=len(data.labels[language].labels)
        - len(set(data.labels[language].labels)),
        most_repeated_caption=label if times > 1 else "",
        most_repeated_times=times if times > 1 else 0,
    )
