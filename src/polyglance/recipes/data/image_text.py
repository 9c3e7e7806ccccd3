"""Image-caption training data: captions joined to their contents.

Batches are drawn from them in `sampling`.

Legend: M contents, N captions, L languages, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Caption
from polyglance.vectors import Vectors

Rows = NDArray[np.int64]

# Fewer captions than this leave a language unlearnt; it is named in the pack.
LEAST_CAPTIONS_A_LANGUAGE = 10
MIN_CONTENTS = 2
UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What joining left out, by reason.

    Attributes:
        captions_without_content: Their content is not among those given.
        contents_without_caption: They have no caption.
        empty_texts: Nothing but blanks.
        repeated_captions: The same text of the same content in the same language again.
    """

    captions_without_content: int = 0
    contents_without_caption: int = 0
    empty_texts: int = 0
    repeated_captions: int = 0


@dataclass(frozen=True, eq=False)
class ImageText:
    """Contents, encoded once, and what is said of them in several languages; made by `join`.

    Attributes:
        item_ids: M ids, each with a caption or more.
        contents: Float32 (M, D), unit, in the teacher's space.
        captions: N captions of those contents.
        features: Float32 (M, D'), in front of the teacher's image projection, where a recipe
            trains that one.
        left_out: What joining left out.
        content_keys: What the contents are, M content keys, whatever encoded them; or none.
    """

    item_ids: tuple[str, ...]
    contents: Vectors
    captions: tuple[Caption, ...]
    features: Vectors | None = None
    left_out: LeftOut = LeftOut()
    content_keys: tuple[str, ...] = ()

    @property
    def num_contents(self) -> int:
        """M."""
        return len(self.item_ids)

    @cached_property
    def content_of(self) -> Rows:
        """int64 (N,), which content each caption is about."""
        number = {item_id: row for row, item_id in enumerate(self.item_ids)}
        return np.array([number[caption.item_id] for caption in self.captions], np.int64)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """L language ids, sorted."""
        return tuple(sorted({caption.language for caption in self.captions}))

    @cached_property
    def language_of(self) -> Rows:
        """int64 (N,), which of `languages` each caption is in."""
        number = {language: row for row, language in enumerate(self.languages)}
        return np.array([number[caption.language] for caption in self.captions], np.int64)

    @property
    def texts(self) -> list[str]:
        """N texts."""
        return [caption.text for caption in self.captions]

    @property
    def caption_languages(self) -> list[str]:
        """N language ids, one a caption."""
        return [caption.language for caption in self.captions]

    def take(self, rows: Rows) -> ImageText:
        """Some of the contents, with their captions."""
        kept = set(rows.tolist())
        captions = tuple(
            caption
            for caption, row in zip(self.captions, self.content_of.tolist(), strict=True)
            if row in kept
        )
        return replace(
            self,
            item_ids=tuple(self.item_ids[row] for row in rows.tolist()),
            contents=self.contents[rows],
            captions=captions,
            features=None if self.features is None else self.features[rows],
            content_keys=tuple(np.array(self.content_keys)[rows].tolist())
            if self.content_keys
            else (),
        )

    def speaking(self, *languages: str) -> ImageText:
        """The captions in some languages only, and the contents that have one.

        Raises:
            InputError: Where fewer than two contents do.
        """
        captions = [caption for caption in self.captions if caption.language in languages]
        return join(
            captions, item_ids=self.item_ids, contents=self.contents, features=self.features
        )

    def thin_languages(self) -> list[str]:
        """Languages with too few captions to be learnt."""
        count = Counter(self.caption_languages)
        return sorted(name for name, n in count.items() if n < LEAST_CAPTIONS_A_LANGUAGE)

    def facts(self) -> dict[str, Any]:
        """Counts and languages, for a pack's manifest."""
        return {
            "kind": "image-text",
            "num_contents": len(self.item_ids),
            "num_captions": len(self.captions),
            "num_languages": len(self.languages),
            "captions_by_language": dict(sorted(Counter(self.caption_languages).items())),
            "languages_with_too_little_text": self.thin_languages(),
            "left_out": vars(self.left_out),
        }


def join(
    captions: Sequence[Caption],
    *,
    item_ids: Sequence[str],
    contents: Vectors,
    features: Vectors | None = None,
    content_keys: Sequence[str] = (),
) -> ImageText:
    """Join captions to contents; what does not fit is left out and counted.

    Args:
        captions: Of the contents, in any languages and any order.
        item_ids: M different ids.
        contents: Float32 (M, D), unit: `teacher.encode_items` or `items_from_raw`.
        features: Float32 (M, D') in front of the image projection, or None.
        content_keys: M content keys, where they are known.

    Raises:
        InputError: Where an id comes twice, or fewer than two contents have a caption.
        VectorError: Where the vectors do not fit the ids, or are not of length one.
    """
    _check_vectors(item_ids, contents, features)
    known = set(item_ids)
    with_content = [caption for caption in captions if caption.item_id in known]
    with_text = [caption for caption in with_content if caption.text.strip()]
    distinct = tuple(dict.fromkeys(with_text))
    spoken_of = {caption.item_id for caption in distinct}
    rows = [row for row, item_id in enumerate(item_ids) if item_id in spoken_of]
    if len(rows) < MIN_CONTENTS:
        raise errors.InputError(
            f"{len(rows)} of {len(item_ids)} contents have a caption ({len(captions)} captions "
            f"given); {MIN_CONTENTS} or more are needed",
            hint="check that captions and contents use the same ids, such as 1000.jpg",
        )
    return ImageText(
        item_ids=tuple(item_ids[row] for row in rows),
        contents=np.ascontiguousarray(contents[rows], dtype=np.float32),
        captions=distinct,
        features=None if features is None else np.asarray(features[rows], np.float32),
        left_out=LeftOut(
            captions_without_content=len(captions) - len(with_content),
            contents_without_caption=len(item_ids) - len(rows),
            empty_texts=len(with_content) - len(with_text),
            repeated_captions=len(with_text) - len(distinct),
        ),
        content_keys=tuple(content_keys[row] for row in rows) if content_keys else (),
    )


def split(
    data: ImageText, *, dev_fraction: float, seed: int, most: int | None = 1000
) -> tuple[ImageText, ImageText | None]:
    """Set contents aside, with all their captions, to choose by.

    Args:
        data: All of it.
        dev_fraction: Share of the contents, in [0, 0.5]; with 0 none are set aside.
        seed: Fixes which.
        most: Contents set aside at most; None for all of that share.

    Raises:
        ConfigError: For a share out of its range.
    """
    if not 0 <= dev_fraction <= 0.5:
        raise errors.ConfigError(
            f"dev_fraction {dev_fraction}; it must be from 0 to 0.5", hint="try 0.1"
        )
    num_dev = int(len(data.item_ids) * dev_fraction)
    num_dev = num_dev if most is None else min(most, num_dev)
    if num_dev < MIN_CONTENTS:
        return data, None
    order = np.random.default_rng(seed).permutation(len(data.item_ids))
    return data.take(np.sort(order[num_dev:])), data.take(np.sort(order[:num_dev]))


def _check_vectors(item_ids: Sequence[str], contents: Vectors, features: Vectors | None) -> None:
    repeated = [item_id for item_id, n in Counter(item_ids).items() if n > 1]
    if repeated:
        raise errors.InputError(
            f"{len(repeated)} content ids come twice, first {repeated[0]!r}; each may come once",
            hint="give every image or sound an id of its own",
        )
    for name, vectors in (("contents", contents), ("features", features)):
        if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(item_ids)):
            raise errors.VectorError(
                f"{name} of shape {vectors.shape} for {len(item_ids)} ids; (M, D) is needed",
                hint="give one row an id, in the same order",
            )
    lengths = np.linalg.norm(contents, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < UNIT_TOLERANCE))
    if len(wrong):
        raise errors.VectorError(
            f"{len(wrong)} contents are not of length one, first row {wrong[0]} "
            f"({lengths[wrong[0]]:.3g}); unit vectors of the teacher's space are needed",
            hint="take them from teacher.encode_items, or items_from_raw of a store's",
        )
