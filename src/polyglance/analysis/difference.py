"""How do two named models differ on a task's files? Each encoded once, on what both have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyglance import embed, errors, files, measure
from polyglance.evaluate import pairing
from polyglance.evaluate.pairing import Contestant, Correction, Pairing
from polyglance.model import DualEncoder
from polyglance.packs import LanguagePack
from polyglance.tasks import TaskData
from polyglance.tasks.retrieval import RetrievalData


def load_encoder(model: str, *, pack: str | Path | None) -> DualEncoder:
    """A dual encoder by its reference, with a pack or without."""
    encoder = DualEncoder.load(model)
    return encoder if pack is None else encoder.with_pack(LanguagePack.load(pack))


def difference(
    first: DualEncoder,
    second: DualEncoder,
    *,
    data: TaskData,
    images: Path | None,
    languages: Sequence[str] | None = None,
    k: int = 10,
    correction: Correction = "holm",
) -> list[Pairing]:
    """How much the first model is above the second; see `pairing.compare_models`.

    Args:
        first: The model in question.
        second: What it is held against.
        data: A retrieval task; content items that one of the models lacks drop out for both.
        images: Folder of the pictures by file name, as `measure.content_vectors` takes it.
        languages: Which ones; None takes all that the task has.
        k: A hit is a right candidate among the first k.
        correction: Of the p-values of the languages.

    Raises:
        ConfigError: For a task of another kind.
    """
    if not isinstance(data, RetrievalData):
        raise errors.ConfigError(
            f"{data.task} is no retrieval task; models are compared query by query on those",
            hint="choose one of kind retrieval: polyglance eval --list",
        )
    data, _ = measure.content_vectors(first, data, images=images)
    data, vectors = measure.content_vectors(second, data, images=images)
    # The first again, on what both have: its vectors come from the store now.
    data, own = measure.content_vectors(first, data, images=images)
    contestants = [
        Contestant(
            encoder=encoder,
            contents=measure.contents_by_language(encoder, data, contents, images=images),
        )
        for encoder, contents in ((first, own), (second, vectors))
    ]
    return pairing.compare_models(
        *contestants,
        data=data,
        languages=list(data.languages if languages is None else languages),
        k=k,
        correction=correction,
        cache=embed.VectorCache(files.cache_folder() / "texts"),
    )
