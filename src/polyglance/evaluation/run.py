"""Evaluation of a named model on a task's files: everything encoded once, then scored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

from polyglance import errors, evaluation
from polyglance.encoding.cache import MediaCache
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import identity
from polyglance.languages.registry import ENGLISH
from polyglance.model import shipped
from polyglance.model.dual_encoder import DualEncoder, TextRouter, load_side
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side, SpaceTower
from polyglance.records import Modality, Quarantined
from polyglance.results.schema import Result
from polyglance.sources import named_items
from polyglance.sources.formats import FORMATS
from polyglance.storage import digests
from polyglance.tasks import ItemData, TaskData, load_task
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.neighbours import NeighbourData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import beside, declared_languages
from polyglance.vectors import Vectors, unit

Contents = TypeVar("Contents", bound=ItemData)
LoadSide = Callable[[str, Literal["content", "text"]], Side]

# So many of what is dropped are named in every result; all are counted.
NAMED_DROPPED = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Subset(Generic[Contents]):
    """A task on what is at hand of its content.

    Attributes:
        data: The task; what is missing is counted in it.
        vectors: Float32 (M, D), unit, in the order of `data.item_ids`.
        contents_id: Fingerprint of the images' bytes, or of vectors that were given.
        dropped_names: Some of what could not be read, and why, by reason.
    """

    data: Contents
    vectors: Vectors
    contents_id: str
    dropped_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def evaluate(
    model: str,
    task: TaskData | str,
    *,
    data: str | Path | None = None,
    pack: str | Path | None = None,
    images: str | Path | None = None,
    languages: Sequence[str] | None = None,
    out: str | Path | None = None,
    reencode: bool = False,
    prompts: Sequence[str] = (),
    captions: Sequence[str] = (),
    image_vectors: str | None = None,
    load: LoadSide = load_side,
    set_aside: Callable[[Quarantined], None] | None = None,
) -> list[Result]:
    """Measure a model, with a pack or without, on one task.

    Args:
        model: Reference of a dual encoder; of any text tower where the task has texts alone.
        task: The task's texts, or its name.
        data: With a name: the publisher's folder, or the folder in which it stands under its name.
        pack: Folder or hub id of a language pack.
        images: Folder of the images, or of webdataset's tars of them, by file name; None where
            the task brings them or vectors are given. A classification learns the classes from it,
            so that for precomputed vectors too it holds `labels.npy` or `labels.tsv`.
        languages: Which ones; None takes all.
        out: File of results, read first and added to.
        reencode: Whether a pack with another content tower may encode every image again.
        prompts: How classes are asked for, in one way or several (`classification.VARIANTS`);
            each in those of the languages that have such prompts. Other tasks take no notice.
        captions: Which captions of an image ask and are found, in one way or several
            (`metrics.relevance.CAPTION_POLICIES`); none takes the task's own. Other tasks take no
            notice.
        image_vectors: Vectors of the images, in place of the model's image tower:
            `precomputed:FOLDER?space=SPACE`, of the model's own space.
        load: Gives a side of the model; for several tasks, one with a cache.
        set_aside: Told of each language that is left out, and why: the model cannot read it, or
            there are no such prompts. None stops at the first that the model cannot read.

    Raises:
        UnavailableError: Where nothing could be measured in any of the languages.
    """
    texts = load_task(task, data) if isinstance(task, str) else task
    images, out = (None if one is None else Path(one) for one in (images, out))
    task = texts.task
    loaded = None if pack is None else LanguagePack.load(pack)
    cache = VectorCache()
    scored = functools.partial(
        evaluation.evaluate,
        name=model,
        pack="" if pack is None else str(pack),
        out=out,
        cache=cache,
        set_aside=set_aside,
    )
    if not isinstance(texts, ItemData):
        text = load(model, "text")
        router = TextRouter(text.dim, lambda: text, loaded)
        whose = _identity(_text_parts(text, loaded))
        rows = scored(
            router,
            texts,
            languages=languages,
            model_id=whose,
            supported=supported_languages(model, text, loaded),
        )
        return _some(rows, task=task, languages=languages or texts.languages)
    content = load(model, "content")
    if image_vectors is not None:
        content = _given_vectors(image_vectors, space_id=content.space_id)
    encoder = DualEncoder(content, load(model, "text"), model)
    if loaded is not None:
        encoder = encoder.with_pack(loaded, reencode=reencode)
    if isinstance(texts, ClassificationData | NeighbourData):
        texts = texts.with_items(images, content.tower.modality)
    there = subset_at_hand(encoder, texts, images=images)
    found = there.data
    dropped_names = there.dropped_names
    if isinstance(found, ClassificationData):
        aside = found.without_images
        dropped_names = {
            **dropped_names,
            **{reason: _named(items) for reason, items in aside.items() if items},
        }
    rows = []
    for asked in _asked(found, prompts=prompts, captions=captions):
        rows += scored(
            encoder,
            asked,
            languages=_of(languages, asked, set_aside=set_aside),
            contents=contents_by_language(encoder, found, there.vectors, images=images),
            contents_id=there.contents_id,
            model_id=model_id(encoder),
            dropped_names=dropped_names,
            supported=supported_languages(model, encoder.text, loaded),
        )
    return _some(rows, task=task, languages=languages or found.languages)


def supported_languages(model: str, text: Side, pack: LanguagePack | None) -> frozenset[str] | None:
    """The languages that a model is said to know; None where nothing says so.

    Those of its text tower, and with a pack those that the pack lists, English by the teacher
    included.

    Source: M2M, tables 3 and 9 average over the languages that each encoder supports (its table 4).
    """
    folder = shipped.folder_of(model)
    reference = beside(folder, text.reference) if folder.is_dir() else text.reference
    found = set(declared_languages.languages_of(text.tower, reference))
    if pack is not None:
        found |= {*pack.manifest.languages, ENGLISH}
    return frozenset(found) or None


def _some(rows: list[Result], *, task: str, languages: Sequence[str]) -> list[Result]:
    """Results, refused where there are none."""
    if not rows:
        raise errors.UnavailableError(
            f"{task} has nothing to measure in {', '.join(languages)}: the model cannot read "
            "them, or no image at hand is of a class that is named there, or there are no such "
            "prompts",
            hint="choose other languages, give more images, or other --prompts",
        )
    return rows


def _given_vectors(reference: str, *, space_id: str) -> Side:
    """A content side that looks vectors up, in the model's own space.

    Raises:
        ConfigError: For a reference of another kind.
        SpaceMismatchError: For vectors that are declared to lie in another space.
    """
    if not reference.startswith("precomputed:"):
        raise errors.ConfigError(
            f"{reference!r} is no reference to vectors",
            hint=f"precomputed:FOLDER?space={space_id}, with vectors.npy and ids.txt in FOLDER",
        )
    side = load_side(reference, "content")
    if side.space_id != space_id:
        raise errors.SpaceMismatchError(
            f"the vectors are declared to lie in the space {side.space_id!r}; the model's is "
            f"{space_id!r}",
            hint=f"where this very model made them, declare it: ?space={space_id}; else take them "
            "from this model",
        )
    return side


def _asked(
    data: ItemData, *, prompts: Sequence[str], captions: Sequence[str]
) -> Sequence[ItemData]:
    """A classification or retrieval in each way that it is asked, any other task as it is."""
    if isinstance(data, ClassificationData) and prompts:
        return [data.asked_as(variant) for variant in dict.fromkeys(prompts)]
    if isinstance(data, RetrievalData) and captions:
        return [data.asked_with(policy) for policy in dict.fromkeys(captions)]
    return [data]


def _of(
    languages: Sequence[str] | None,
    data: ItemData,
    *,
    set_aside: Callable[[Quarantined], None] | None,
) -> Sequence[str] | None:
    """Which languages to measure: of a classification, those that can be asked in this way."""
    if not isinstance(data, ClassificationData) or len(data.languages) == len(data.labels):
        return languages
    wanted = list(data.labels) if languages is None else languages
    if set_aside is not None:
        for language in wanted:
            if language in data.labels and language not in data.languages:
                set_aside(Quarantined(language, f"they have no --prompts {data.variant}"))
    return [language for language in wanted if language in data.languages]


def content_vectors(
    encoder: DualEncoder, data: Contents, *, images: Path | None
) -> tuple[Contents, Vectors]:
    """The content items at hand and their unit vectors (M, D); see `subset_at_hand`."""
    there = subset_at_hand(encoder, data, images=images)
    return there.data, there.vectors


def subset_at_hand(
    encoder: DualEncoder, data: Contents, *, images: Path | None
) -> Subset[Contents]:
    """The content items at hand and their vectors, each encoded once, ever.

    Raises:
        UnavailableError: Where no image is at hand.
    """
    side = encoder.content
    if side.output != "embedding":
        # A store of images holds embeddings; what this side asks of its tower is brought into the
        # space before it is stored.
        side = Side(SpaceTower(side), side.reference)
    tower = side.tower
    if tower.ids is not None:
        data = data.only(list(tower.ids), reason="vectors_missing")
        given = encoder.encode_items(data.item_ids)
        return Subset(data=data, vectors=given, contents_id=identity.vectors_id(given))
    named = media_files(data, images, modality=tower.modality)
    data = data.only([item.id for item in named.items], reason="items_missing")
    found = MediaCache().encode(named.items, tower)
    if found.quarantined:
        data = data.only(found.ids, reason="items_damaged")
    told = {"tars_damaged": named.damaged_tars, "names_of_several_items": named.ambiguous}
    counts = {reason: len(items) for reason, items in told.items() if items}
    data = replace(data, num_dropped={**data.num_dropped, **counts})
    aside = {"items_damaged": found.quarantined, **told}
    row_of = {name: row for row, name in enumerate(found.ids)}
    rows = [row_of[name] for name in data.item_ids]
    return Subset(
        data=data,
        contents_id=identity.keys_id(found.keys[row] for row in rows),
        vectors=unit(side.through_head(found.vectors[rows])),
        dropped_names={reason: _named(items) for reason, items in aside.items() if items},
    )


def _named(items: Sequence[Quarantined]) -> tuple[str, ...]:
    return tuple(f"{item.id}: {item.reason}" for item in items[:NAMED_DROPPED])


def contents_by_language(
    encoder: DualEncoder, data: ItemData, contents: Vectors, *, images: Path | None
) -> Callable[[str], Vectors]:
    """What texts of each language are compared with: as they are, re-projected, or re-encoded.

    Args:
        encoder: The model with its pack.
        data: The task, as `content_vectors` gave it.
        contents: Float32 (M, D), unit, in the teacher's space.
        images: As for `content_vectors`.
    """

    @functools.cache
    def by_pack() -> Vectors:
        pack = encoder.pack
        if pack is None or pack.content_side is None:
            return contents if pack is None else pack.project(contents)
        other = DualEncoder(pack.content_side, encoder.text, encoder.reference)
        return content_vectors(other, data, images=images)[1]

    return lambda who: by_pack() if encoder.router.speaker(who) == "pack" else contents


def model_id(encoder: DualEncoder) -> str:
    """Fingerprint of everything that a score depends on: both towers, heads and pack."""
    parts = [encoder.space_id, *_text_parts(encoder.text, encoder.pack)]
    if encoder.pack is not None:
        if encoder.pack.content_head is not None:
            parts.append(encoder.pack.column_id)
        if encoder.pack.content_side is not None:
            parts.append(encoder.pack.content_side.space_id)
    return _identity(parts)


def _text_parts(text: Side, pack: LanguagePack | None) -> list[str]:
    """What texts' vectors depend on."""
    parts = [text.tower.fingerprint, text.space_id]
    if pack is not None:
        routed = sorted((k, v.speaks) for k, v in pack.manifest.languages.items())
        parts += [pack.side.tower.fingerprint, pack.side.space_id, repr(routed)]
    return parts


def _identity(parts: Sequence[str]) -> str:
    return digests.of_parts(["\n".join(parts)])


def media_files(data: ItemData, folder: Path | None, *, modality: Modality) -> named_items.Named:
    """Where the items are: the task's own files, or files of those names."""
    if data.media_files:
        return named_items.Named(items=data.media_files, damaged_tars=())
    if folder is None:
        nouns = f"{FORMATS[modality].noun}s"
        raise errors.UnavailableError(
            f"{data.task} does not bring its {len(data.item_ids)} {nouns}",
            hint=f"say where they are: --images FOLDER ({nouns}, or tars of them); or give "
            "their vectors: --image-vectors",
        )
    return named_items.find_named(folder, data.item_ids, modality)
