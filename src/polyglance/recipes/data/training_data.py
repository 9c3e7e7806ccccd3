"""Training data: all that there is to learn from, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance.recipes.data.image_text import ImageText
from polyglance.recipes.data.pseudo_pairs import Banks
from polyglance.records import MediaFile, Pair
from polyglance.storage import digests


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """All that there is to learn from; each recipe takes its part.

    Attributes:
        english: English texts.
        parallel: English texts and their translations.
        translations: Texts and their translations in any two languages.
        related: English texts and what only belongs to them, as keywords do.
        image_text: Contents and what is said of them.
        banks: Images and texts that nobody paired.
        unpaired: Language ids and texts that belong to nothing: where each language lies.
        files: By content id where it lies, for what learns from the images themselves.
    """

    english: Sequence[str] = ()
    parallel: Sequence[Pair] = ()
    translations: Sequence[Pair] = ()
    related: Sequence[Pair] = ()
    image_text: ImageText | None = None
    banks: Banks | None = None
    unpaired: Sequence[tuple[str, str]] = ()
    files: Mapping[str, MediaFile] | None = None

    def fingerprint(self) -> str:
        """Which texts and contents these are: every field, by what it was made from.

        Of contents the keys are taken where they are known, not the vectors: the same images
        encoded again, on another machine or after the cache went, differ in the last bits. Of
        files the ids are: they may be moved.
        """
        return digests.of_parts(_parts(self))


# A digest names fields as they were called when the first was kept.
FIRST_NAMES = {"item_id": "content_id", "item_ids": "content_ids"}
# Fields that came since; where they are empty, a digest is what it was.
LATER_FIELDS = ("translations", "files", "unpaired")


def _parts(value: Any) -> Iterator[str | bytes | NDArray[Any]]:
    """A value for its digest: texts, rows and lists of them, told apart by kind and length."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        yield b"s%d:" % len(data) + data
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}{{"
        has_keys = bool(getattr(value, "content_keys", ()))
        for each in fields(value):
            part = getattr(value, each.name)
            if each.name in LATER_FIELDS and (part is None or not len(part)):
                continue
            yield f"{FIRST_NAMES.get(each.name, each.name)}="
            if has_keys and isinstance(part, np.ndarray):
                part = str(part.shape)
            yield from _parts(part)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}"
        yield value
    elif isinstance(value, Mapping):
        yield from _parts(sorted(value))
    elif isinstance(value, Sequence):
        yield f"[{len(value)}:"
        for each in value:
            yield from _parts(each)
    else:
        yield f"{value!r};"
