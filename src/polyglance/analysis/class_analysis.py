"""Analyses of a model on a classification task: maps of images, accuracy by number of classes.

Legend: M content items, C classes, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polyglance import errors
from polyglance.analysis import classes, image_map
from polyglance.analysis.classes import ClassCurve
from polyglance.analysis.image_map import ImageMap
from polyglance.analysis.text_map import Method
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import classification
from polyglance.metrics.significance import LEAST_POINTS
from polyglance.model.dual_encoder import DualEncoder
from polyglance.tasks.classification import ClassificationData
from polyglance.training import seeds
from polyglance.vectors import Vectors

# Sizes of a curve, and classes below which there are not four of them.
NUM_SIZES, FEWEST_CLASSES = 6, LEAST_POINTS + 1


@dataclass(frozen=True, kw_only=True)
class ClassAnalysis:
    """All that was found.

    Attributes:
        task: Name of the task.
        prompts: How classes were asked for.
        classes: Names of the classes on the maps.
        num_classes: How many classes have an image.
        item_ids: The images on the maps.
        class_of: Of each, its place in `classes`.
        raw: The map of the model's own vectors.
        projected: That of what the pack makes of them; None where it leaves them as they are.
        curves: By language, accuracy by number of classes: the model alone, then with its pack
            (None without one). Languages that name too few classes are absent.
    """

    task: str
    prompts: str
    classes: tuple[str, ...]
    num_classes: int
    item_ids: tuple[str, ...]
    class_of: tuple[int, ...]
    raw: ImageMap
    projected: ImageMap | None
    curves: Mapping[str, tuple[ClassCurve, ClassCurve | None]]

    def as_json(self) -> dict[str, Any]:
        """Plain lists and dictionaries."""
        return asdict(self)


def analyse(
    encoder: DualEncoder,
    data: ClassificationData,
    *,
    contents: Vectors,
    contents_of: Callable[[str], Vectors],
    languages: Sequence[str],
    method: Method = "umap",
    seed: int = 0,
    cache: VectorCache | None = None,
) -> ClassAnalysis:
    """Analyse a model, with a pack or without, on a classification task.

    Args:
        encoder: The model; its pack, if it has one, is what is analysed.
        data: The task, asked in one way, on its items.
        contents: Float32 (M, D), unit, by the model alone, in the order of `data.item_ids`.
        contents_of: Those that texts of a language are compared with (`run.contents_by_language`).
        languages: Which of its languages.
        method: Of the maps.
        seed: Of layouts and draws.
        cache: Keeps what towers gave.

    Raises:
        LanguageError: For a language that the task lacks.
        InputError: For too few images.
        ConfigError: For a seed that there is not.

    Source: uCLIP, figure 5; Babel-ImageNet, figure 2.
    """
    seeds.require(seed, name="seed")
    lacking = [language for language in languages if language not in data.languages]
    if lacking or not languages:
        raise errors.LanguageError(
            f"{data.task} has nothing in {', '.join(lacking) or 'no language'}; it has "
            f"{', '.join(sorted(data.languages))}",
            hint="leave those out",
        )
    shown = image_map.shown_images(data.classes, seed=seed)
    numbers, class_of = np.unique(data.classes[shown], return_inverse=True)

    def mapped(vectors: Vectors) -> ImageMap:
        return image_map.image_map(vectors[shown], classes=class_of, method=method, seed=seed)

    pack = encoder.pack
    by_pack = next((who for who in languages if encoder.router.speaker(who) == "pack"), None)
    moved = pack is not None and pack.manifest.content != "unchanged" and by_pack is not None
    alone = DualEncoder(encoder.content, encoder.text, encoder.reference)
    curves = {}
    for language in languages:
        own = _curve(alone, data, language, contents=contents, seed=seed, cache=cache)
        if own is not None:
            curves[language] = (
                own,
                None
                if pack is None
                else _curve(
                    encoder, data, language, contents=contents_of(language), seed=seed, cache=cache
                ),
            )
    return ClassAnalysis(
        task=data.task,
        prompts=data.variant,
        classes=tuple(data.names[number] for number in numbers.tolist()),
        num_classes=len(np.unique(data.classes)),
        item_ids=tuple(data.item_ids[place] for place in shown.tolist()),
        class_of=tuple(class_of.tolist()),
        raw=mapped(contents),
        projected=mapped(contents_of(by_pack)) if moved and by_pack is not None else None,
        curves=curves,
    )


def _curve(
    encoder: DualEncoder,
    data: ClassificationData,
    language: str,
    *,
    contents: Vectors,
    seed: int,
    cache: VectorCache | None,
) -> ClassCurve | None:
    """Accuracy by number of the classes that a language names and an image is of."""
    best = classification.best_guesses(
        encoder, data, language=language, contents=contents, cache=cache
    )
    if best is None:
        return None
    present, truth = np.unique(best.guesses.truth, return_inverse=True)
    count = len(present)
    if count < FEWEST_CLASSES:
        return None
    least = max(2, min(10, count // 10))
    sizes = np.unique(np.geomspace(least, count, NUM_SIZES).round().astype(int)).tolist()
    try:
        return classes.class_curve(
            contents[best.rows], best.weights[present], truth, sizes=sizes, seed=seed
        )
    except errors.InputError:  # the same accuracy everywhere: there is no line
        return None
