"""Paired comparison of two named models on a task's files, on what both have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from polyglance.encoding import texts
from polyglance.evaluation import paired_test, per_query, run
from polyglance.evaluation.paired_test import Contestant, Correction, Pairing
from polyglance.model.dual_encoder import DualEncoder, TextRouter, load_side
from polyglance.model.pack import LanguagePack
from polyglance.records import Quarantined
from polyglance.tasks import ItemData, TaskData
from polyglance.tasks.classification import ClassificationData


def load_encoder(model: str, *, pack: str | Path | None) -> DualEncoder:
    """A dual encoder by its reference, with a pack or without."""
    encoder = DualEncoder.load(model)
    return encoder if pack is None else encoder.with_pack(LanguagePack.load(pack))


def load_speakers(model: str, *, pack: str | Path | None) -> TextRouter:
    """The text side of a model by its reference, with a pack or without."""
    text = load_side(model, "text")
    return TextRouter(text.dim, lambda: text, None if pack is None else LanguagePack.load(pack))


def difference(
    first: DualEncoder | TextRouter,
    second: DualEncoder | TextRouter,
    *,
    data: TaskData,
    images: Path | None,
    languages: Sequence[str] | None = None,
    k: int = 10,
    correction: Correction = "holm",
    without_images: Callable[[Quarantined], None] | None = None,
) -> list[Pairing]:
    """How much the first model is above the second; see `paired_test.compare_models`.

    Args:
        first: The model in question.
        second: The model that it is compared with.
        data: A task whose items are right or wrong; content items that one of the models lacks drop
            out for both. Both models are dual encoders where it has content.
        images: Folder of the images by file name, as `run.content_vectors` takes it.
        languages: Which ones; None takes all that the task has.
        k: A hit is a right candidate among the first k.
        correction: Of the p-values of the languages.
        without_images: Told of each class without an image and each link that is not followed.

    Raises:
        ConfigError: For a task whose items are not right or wrong.
    """
    per_query.require_asked(data)
    if isinstance(first, DualEncoder) and isinstance(second, DualEncoder):
        assert isinstance(data, ItemData)
        data, contestants = _with_contents(first, second, data=data, images=images)
        if isinstance(data, ClassificationData) and without_images is not None:
            for items in data.without_images.values():
                for item in items:
                    without_images(item)
    else:
        contestants = [Contestant(encoder=encoder, contents=None) for encoder in (first, second)]
    return paired_test.compare_models(
        *contestants,
        data=data,
        languages=list(data.languages if languages is None else languages),
        k=k,
        correction=correction,
        cache=texts.VectorCache(),
    )


def _with_contents(
    first: DualEncoder, second: DualEncoder, *, data: ItemData, images: Path | None
) -> tuple[TaskData, list[Contestant]]:
    """The task on what both models have, and either's vectors of it."""
    if isinstance(data, ClassificationData):
        data = data.with_items(images, first.content.tower.modality)
    data, _ = run.content_vectors(first, data, images=images)
    data, vectors = run.content_vectors(second, data, images=images)
    # The first again, on what both have: its vectors come from the store now.
    data, own = run.content_vectors(first, data, images=images)
    return data, [
        Contestant(
            encoder=encoder,
            contents=run.contents_by_language(encoder, data, contents, images=images),
        )
        for encoder, contents in ((first, own), (second, vectors))
    ]
