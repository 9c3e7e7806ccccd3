"""Target vectors of captions: the English caption's before any training, or the image's.

Legend: N texts, G targets, D width of the space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.languages.registry import ENGLISH
from polyglance.model.side import Side
from polyglance.recipes.data.image_text import ImageText
from polyglance.recipes.data.parallel_text import LEAST_TEXTS_A_LANGUAGE
from polyglance.records import Pair
from polyglance.vectors import Vectors


@dataclass(frozen=True, eq=False)
class Lessons:
    """Texts, and the target vector of each.

    Attributes:
        texts: N.
        languages: N ids.
        groups: int64 (N,), which target each text has.
        targets: Float32 (G, D), raw from parallel text, unit from images.
        english: G English texts, where the targets are their vectors.
        thin: Languages left out for too little text.
        source: Where the targets are from, for the manifest.
        images: Float32 (I, D), unit: second targets, where there are two; None else.
        image_of: int64 (N,), which of them each text has.
    """

    texts: list[str]
    languages: list[str]
    groups: NDArray[np.int64]
    targets: Vectors
    english: list[str]
    thin: list[str]
    source: Mapping[str, Any]
    images: Vectors | None = None
    image_of: NDArray[np.int64] | None = None

    def facts(self) -> dict[str, Any]:
        """Counts and languages, for a pack's manifest."""
        return {
            **self.source,
            "num_texts": len(self.texts),
            "num_languages": len(set(self.languages)),
            "texts_by_language": dict(sorted(Counter(self.languages).items())),
            "languages_with_too_little_text": self.thin,
        }


def gather(
    pairs: Sequence[Pair],
    images: ImageText | None,
    *,
    side: Side,
    objective: str,
    cache: VectorCache | None,
) -> Lessons:
    """The lessons of an objective, from the data that it needs.

    Args:
        pairs: English captions and their translations.
        images: Captions and contents, or None.
        side: The text side before training.
        objective: `lit` aims at images, `lit+mse` at images and the English captions' vectors, any
            other at these alone.
        cache: Keeps what the tower gave.

    Raises:
        TrainingError: Where that data is absent, too little, or of another width.
    """
    if objective not in ("lit", "lit+mse"):
        return from_pairs(pairs, side=side, cache=cache)
    if images is None:
        raise errors.TrainingError(
            f"no images were given; the objective {objective} aims at them",
            hint="give captions of images, or choose mse or contrastive for parallel text",
        )
    if images.contents.shape[1] != side.dim:
        raise errors.TrainingError(
            f"the images' vectors have width {images.contents.shape[1]}, the texts' {side.dim}",
            hint="encode the images with this teacher: teacher.encode_items",
        )
    if objective == "lit":
        return from_images(images)
    return from_both(images, side=side, cache=cache)


def from_pairs(pairs: Sequence[Pair], *, side: Side, cache: VectorCache | None = None) -> Lessons:
    """Translations, aimed at the vectors that the side gives the English texts: each once.

    Args:
        pairs: English captions and their translations; English ones and repeats are dropped.
        side: The text side before training.
        cache: Keeps what the tower gave.

    Raises:
        TrainingError: Where no language has text enough.
    """
    rows = list(
        dict.fromkeys(
            (pair.text_b, pair.language_b, pair.text_a)
            for pair in pairs
            if pair.language_b != ENGLISH and pair.text_b.strip() and pair.text_a.strip()
        )
    )
    kept, thin = _with_text_enough([row[1] for row in rows])
    rows = [rows[i] for i in kept]
    english = list(dict.fromkeys(row[2] for row in rows))
    raw = text_vectors(english, side.tower, languages=[ENGLISH] * len(english), cache=cache)
    number = {text: i for i, text in enumerate(english)}
    return Lessons(
        [row[0] for row in rows],
        [row[1] for row in rows],
        np.array([number[row[2]] for row in rows], np.int64),
        side.through_head(raw),
        english,
        thin,
        {"kind": "parallel text", "num_english_texts": len(english)},
    )


def from_images(images: ImageText) -> Lessons:
    """Captions, aimed at their images' vectors.

    Args:
        images: Captions and contents; English captions are dropped.

    Raises:
        TrainingError: Where no language has text enough.
    """
    other = [row for row, name in enumerate(images.caption_languages) if name != ENGLISH]
    kept, thin = _with_text_enough([images.caption_languages[row] for row in other])
    rows = [other[i] for i in kept]
    return Lessons(
        [images.captions[row].text for row in rows],
        [images.captions[row].language for row in rows],
        images.content_of[rows],
        images.contents,
        [],
        thin,
        {"kind": "image-text", "num_contents": len(images.item_ids)},
    )


def from_both(images: ImageText, *, side: Side, cache: VectorCache | None = None) -> Lessons:
    """Captions, aimed at their images' vectors and at those of the images' English captions.

    The k-th caption of an image in a language goes with its k-th English one, so that translated
    captions meet their originals; where there are fewer, these come round again.

    Args:
        images: Captions and contents, English captions among them.
        side: The text side before training.
        cache: Keeps what the tower gave.

    Raises:
        TrainingError: Where no language has text enough whose image has an English caption.
    """
    english_of: dict[str, list[str]] = {}
    for caption in images.captions:
        if caption.language == ENGLISH:
            english_of.setdefault(caption.item_id, []).append(caption.text)
    found: list[tuple[int, str]] = []
    said: Counter[tuple[str, str]] = Counter()
    num_without = 0
    for row, caption in enumerate(images.captions):
        if caption.language == ENGLISH:
            continue
        known = english_of.get(caption.item_id)
        if known is None:
            num_without += 1
            continue
        place = caption.item_id, caption.language
        found.append((row, known[said[place] % len(known)]))
        said[place] += 1
    kept, thin = _with_text_enough([images.captions[row].language for row, _ in found])
    chosen = [found[i] for i in kept]
    english = list(dict.fromkeys(text for _, text in chosen))
    raw = text_vectors(english, side.tower, languages=[ENGLISH] * len(english), cache=cache)
    number = {text: i for i, text in enumerate(english)}
    return Lessons(
        [images.captions[row].text for row, _ in chosen],
        [images.captions[row].language for row, _ in chosen],
        np.array([number[text] for _, text in chosen], np.int64),
        side.through_head(raw),
        english,
        thin,
        {
            "kind": "image-text",
            "num_contents": len(images.item_ids),
            "num_english_texts": len(english),
            "num_captions_without_english": num_without,
        },
        images.contents,
        images.content_of[[row for row, _ in chosen]],
    )


def _with_text_enough(languages: Sequence[str]) -> tuple[list[int], list[str]]:
    """Rows of languages that have ten texts or more, and the languages that have not."""
    count = Counter(languages)
    thin = sorted(name for name, n in count.items() if n < LEAST_TEXTS_A_LANGUAGE)
    kept = [row for row, name in enumerate(languages) if name not in thin]
    if not kept:
        found = ", ".join(f"{name} {count[name]}" for name in thin[:5])
        raise errors.TrainingError(
            f"no language but English has {LEAST_TEXTS_A_LANGUAGE} texts or more ({found or '0'})",
            hint="give captions in the languages to learn",
        )
    return kept, thin
