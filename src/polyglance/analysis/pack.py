"""All analyses of one pack on one task, with every text encoded once.

*Before* is the pack's text tower alone, where the pack has a head: the input of the head. A pack
without a head is a tower of its own; there *before* is the teacher's text tower.

Legend: N texts, M content items, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.analysis import classes, cosines, spectrum, spread, text_map
from polyglance.analysis.classes import ClassCurve
from polyglance.analysis.cosines import CosineMatrix
from polyglance.analysis.spectrum import Spectrum
from polyglance.analysis.spread import Spread
from polyglance.analysis.text_map import Method, TextMap
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.records import Caption
from polyglance.tasks.retrieval import RetrievalData
from polyglance.training import seeds
from polyglance.vectors import Vectors, unit

FEWEST_PAIRS = 2
NUM_PAIRS = 50
# Texts of one language whose spread is measured, and content items of the curve: enough for an
# interval, and few enough for a minute.
MOST_TEXTS, MOST_CLASSES = 2000, 1000

Before = Literal["tower", "teacher"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A text on the maps.

    Attributes:
        language: Its language; `teacher` for English by the teacher's own text tower.
        cluster: Number of its cluster of images.
        item_id: The image it was written for.
        text: What it says.
    """

    language: str
    cluster: int
    item_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LanguageChange:
    """What a pack changes in one language.

    Attributes:
        with_images: Cosines of texts and their images: the teacher, then the pack.
        with_english: Cosines of texts and English ones of the same images: before, then after
            (there the English ones by the teacher). None for English, or where an image has no
            English text.
        spread: Distances between texts of one image, before and after; None where no two images
            have two texts.
        texts: Those of the matrices.
        item_ids: Their images.
        english_texts: Their English ones; empty where there is no `with_english`.
        beside: Cosines of the same texts and images by other models, by what they are called.
    """

    with_images: tuple[CosineMatrix, CosineMatrix]
    with_english: tuple[CosineMatrix, CosineMatrix] | None
    spread: tuple[Spread, Spread] | None
    texts: tuple[str, ...]
    item_ids: tuple[str, ...]
    english_texts: tuple[str, ...]
    beside: Mapping[str, CosineMatrix]


@dataclass(frozen=True, kw_only=True, eq=False)
class OtherModel:
    """A model whose cosines stand beside the pack's.

    Attributes:
        name: What it is called.
        encoder: The model, with its pack if it has one.
        contents_of: Float32 (M, D), unit: what its texts of a language are compared with, in the
            order of the task's content ids.
    """

    name: str
    encoder: DualEncoder
    contents_of: Callable[[str], Vectors]


@dataclass(frozen=True, kw_only=True)
class PackAnalysis:
    """All that was found.

    Attributes:
        task: Name of the task.
        before: What the first of each pair is.
        points: N texts of the maps.
        map_before: Where they lie before.
        map_after: Where they lie after.
        languages: By language.
        teacher_spread: Of English texts by the teacher; None without.
        head: The spectrum of the head; None without a head, or for a nonlinear one.
        curve: Share of images whose own English text is the first, by the number of texts, with
            the teacher; None with fewer than 20 images. See `classes`.
    """

    task: str
    before: Before
    points: tuple[Point, ...]
    map_before: TextMap
    map_after: TextMap
    languages: Mapping[str, LanguageChange]
    teacher_spread: Spread | None
    head: Spectrum | None
    curve: ClassCurve | None

    def as_json(self) -> dict[str, Any]:
        """Plain lists and dictionaries."""
        return asdict(self)


def analyse(
    encoder: DualEncoder,
    data: RetrievalData,
    *,
    contents: Vectors,
    languages: Sequence[str],
    method: Method = "tsne",
    num_pairs: int = NUM_PAIRS,
    seed: int = 0,
    cache: VectorCache | None = None,
    beside: Sequence[OtherModel] = (),
) -> PackAnalysis:
    """Analyse a pack.

    Args:
        encoder: A teacher with a pack on it.
        data: The task that the texts and images are of.
        contents: Float32 (M, D), unit, in the teacher's space, in the order of the content ids.
        languages: Which of its languages, as many as can be told apart by colour.
        method: Of the maps.
        num_pairs: Pairs in each matrix of cosines, or as many as there are.
        seed: Of clusters, layouts and draws.
        cache: Keeps what towers gave.
        beside: Other models, for cosines of the same pairs (uCLIP, figure 4).

    Raises:
        ConfigError: For an encoder without a pack, or a pack that brings another content tower; a
            seed or a number of pairs that there is not.
        LanguageError: For a language that the task lacks.
        InputError: For too few captions or images.
    """
    seeds.require(seed, name="seed")
    require_pairs(num_pairs)
    pack = encoder.pack
    if pack is None or pack.content_side is not None:
        raise errors.ConfigError(
            "there is no pack to analyse"
            if pack is None
            else "the pack brings another content tower; before and after have no image in common",
            hint="give a pack whose content side is unchanged or a head: --pack FOLDER",
        )
    require_enough(data, languages)
    texts = _Texts(encoder=encoder, pack=pack, cache=cache)
    images = (contents, pack.project(contents))
    english = data.captions.get(ENGLISH, ())
    points, before, after = _points(
        texts, data, languages, clusters=text_map.image_clusters(contents, seed=seed)
    )
    names, clusters = [p.language for p in points], [p.cluster for p in points]
    changes = {
        language: _change(
            texts, data, language, images=images, num_pairs=num_pairs, seed=seed, beside=beside
        )
        for language in languages
    }
    head = pack.side.head
    return PackAnalysis(
        task=data.task,
        before=texts.before,
        points=points,
        map_before=text_map.text_map(
            before, languages=names, clusters=clusters, method=method, seed=seed
        ),
        map_after=text_map.text_map(
            after, languages=names, clusters=clusters, method=method, seed=seed
        ),
        languages=changes,
        teacher_spread=_spread(texts.by_teacher, english[:MOST_TEXTS], seed=seed),
        head=spectrum.spectrum(head) if isinstance(head, AffineMap) else None,
        curve=_curve(texts, data, contents, seed=seed),
    )


def require_pairs(num_pairs: int) -> None:
    """Refuse matrices of cosines in which a pair has no other beside it.

    Raises:
        ConfigError: For fewer than 2.
    """
    if num_pairs < FEWEST_PAIRS:
        raise errors.ConfigError(
            f"--pairs {num_pairs}: at least {FEWEST_PAIRS}, a pair and another one",
            hint=f"give another number, as --pairs {NUM_PAIRS}",
        )


def require_enough(data: RetrievalData, languages: Sequence[str]) -> None:
    """Refuse a task with too few texts or images for a map, before anything is encoded.

    Args:
        data: The task that the texts and images are of.
        languages: Which of its languages.

    Raises:
        LanguageError: For a language that the task lacks.
        InputError: For fewer captions than a map needs, or fewer images than clusters do.
    """
    lacking = [language for language in languages if language not in data.captions]
    if lacking or not languages:
        raise errors.LanguageError(
            f"{data.task} has nothing in {', '.join(lacking) or 'no language'}; it has "
            f"{', '.join(sorted(data.captions))}",
            hint="leave those out",
        )
    there = set(data.item_ids)
    text_map.require_images(len(there))
    # English stands on the map a second time, by the teacher.
    listed = [*languages, *([ENGLISH] if ENGLISH in data.captions else [])]
    counts = {who: len({c.item_id for c in data.captions[who]} & there) for who in listed}
    text_map.require_texts(sum(counts[who] for who in listed))
    for who in languages:
        if counts[who] < FEWEST_PAIRS:
            raise errors.InputError(
                f"{data.task} has captions of {counts[who]} images in {who}; "
                f"{FEWEST_PAIRS} or more are needed for cosines of pairs",
                hint="leave that language out, or give more of its captions and images",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Texts:
    """The encoders of texts, before and after."""

    encoder: DualEncoder
    pack: LanguagePack
    cache: VectorCache | None

    @property
    def before(self) -> Before:
        return "teacher" if self.pack.side.head is None else "tower"

    def by_tower(self, captions: Sequence[Caption]) -> Vectors:
        """What the head is given; the teacher's where there is no head."""
        if self.pack.side.head is None:
            return self.by_teacher(captions)
        return unit(self._raw(captions, self.pack.side))

    def by_pack(self, captions: Sequence[Caption]) -> Vectors:
        """The pack's, whoever answers in that language in a search."""
        return self._in_space(captions, self.pack.side)

    def by_teacher(self, captions: Sequence[Caption]) -> Vectors:
        """The teacher's own."""
        return self._in_space(captions, self.encoder.text)

    def _in_space(self, captions: Sequence[Caption], side: Side) -> Vectors:
        languages = [caption.language for caption in captions]
        return unit(side.through_head(self._raw(captions, side), languages=languages))

    def _raw(self, captions: Sequence[Caption], side: Side) -> Vectors:
        return text_vectors(
            [caption.text for caption in captions],
            side.tower,
            languages=[caption.language for caption in captions],
            cache=self.cache,
            output=side.output,
        )


def _points(
    texts: _Texts, data: RetrievalData, languages: Sequence[str], *, clusters: NDArray[np.int64]
) -> tuple[tuple[Point, ...], Vectors, Vectors]:
    """Texts of the shown images, one a language, then English by the teacher; both their vectors.

    Source: M2M, figure 4: the teacher's English beside the tower's before, beside the pack's after.
    """
    shown = {
        item_id: int(cluster)
        for item_id, cluster in zip(data.item_ids, clusters, strict=True)
        if cluster >= 0
    }
    own = [
        caption
        for language in languages
        for caption in _first(data.captions[language])
        if caption.item_id in shown
    ]
    english = [c for c in _first(data.captions.get(ENGLISH, ())) if c.item_id in shown]
    listed = [*((c.language, c) for c in own), *(("teacher", c) for c in english)]
    points = tuple(
        Point(language=who, cluster=shown[c.item_id], item_id=c.item_id, text=c.text)
        for who, c in listed
    )
    before, after = texts.by_tower(own), texts.by_pack(own)
    if english:
        taught = texts.by_teacher(english)
        before, after = (text_map.side_by_side(rows, taught) for rows in (before, after))
    return points, before, after


def _change(
    texts: _Texts,
    data: RetrievalData,
    language: str,
    *,
    images: tuple[Vectors, Vectors],
    num_pairs: int,
    seed: int,
    beside: Sequence[OtherModel],
) -> LanguageChange:
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    english = {c.item_id: c for c in _first(data.captions.get(ENGLISH, ()))}
    listed = [c for c in _first(data.captions[language]) if c.item_id in row_of][:num_pairs]
    rows = [row_of[caption.item_id] for caption in listed]
    in_english = [english[c.item_id] for c in listed if c.item_id in english]
    with_english = None
    if language != ENGLISH and len(in_english) == len(listed):
        with_english = (
            cosines.cosine_matrix(texts.by_tower(listed), texts.by_tower(in_english)),
            cosines.cosine_matrix(texts.by_pack(listed), _matching(texts, in_english)),
        )
    captions = data.captions[language][:MOST_TEXTS]
    before = _spread(texts.by_tower, captions, seed=seed)
    after = _spread(texts.by_pack, captions, seed=seed)
    return LanguageChange(
        with_images=(
            cosines.cosine_matrix(texts.by_teacher(listed), images[0][rows]),
            cosines.cosine_matrix(texts.by_pack(listed), images[1][rows]),
        ),
        with_english=with_english,
        spread=None if before is None or after is None else (before, after),
        texts=tuple(caption.text for caption in listed),
        item_ids=tuple(caption.item_id for caption in listed),
        english_texts=tuple(caption.text for caption in in_english) if with_english else (),
        beside={
            other.name: cosines.cosine_matrix(
                other.encoder.encode_texts(
                    [caption.text for caption in listed],
                    languages=[language] * len(listed),
                    cache=texts.cache,
                ),
                other.contents_of(language)[rows],
            )
            for other in beside
        },
    )


def _matching(texts: _Texts, english: Sequence[Caption]) -> Vectors:
    """English texts where the pack's lie: by the teacher, through the pack's content head if any.

    A pack with a content head (uCLIP) has a space of its own, to which the teacher's space leads.
    """
    return texts.pack.project(texts.by_teacher(english))


def _spread(
    encode: Callable[[Sequence[Caption]], Vectors], captions: Sequence[Caption], *, seed: int
) -> Spread | None:
    sizes: dict[str, int] = {}
    for caption in captions:
        sizes[caption.item_id] = sizes.get(caption.item_id, 0) + 1
    if sum(size > 1 for size in sizes.values()) < 2:
        return None
    owners = [caption.item_id for caption in captions]
    return spread.cluster_spread(encode(captions), owners, seed=seed)


def _curve(
    texts: _Texts, data: RetrievalData, contents: Vectors, *, seed: int
) -> ClassCurve | None:
    """Each English text as a class with one image: accuracy by the number of texts."""
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    english = [c for c in _first(data.captions.get(ENGLISH, ())) if c.item_id in row_of]
    listed = english[:MOST_CLASSES]
    if len(listed) < 20:
        return None
    rows = contents[[row_of[caption.item_id] for caption in listed]]
    count = len(listed)
    sizes = np.unique(np.geomspace(10, count, 6).round().astype(int)).tolist()
    named = texts.by_teacher(listed)
    return classes.class_curve(rows, named, np.arange(count), sizes=sizes, seed=seed)


def _first(captions: Sequence[Caption]) -> list[Caption]:
    """The first text of each image."""
    return list({c.item_id: c for c in reversed(captions)}.values())[::-1]
