"""Training data: all that there is to learn from, and its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from polyglance.recipes.data.image_text import ImageText
from polyglance.recipes.data.pseudo_pairs import Banks
from polyglance.records import Pair


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """All that there is to learn from; each recipe takes its part.

    Attributes:
        english: English texts.
        parallel: English texts and their translations.
        related: English texts and what only belongs to them, as keywords do.
        image_text: Contents and what is said of them.
        banks: Images and texts that nobody paired.
    """

    english: Sequence[str] = ()
    parallel: Sequence[Pair] = ()
    related: Sequence[Pair] = ()
    image_text: ImageText | None = None
    banks: Banks | None = None

    def fingerprint(self) -> str:
        """Which texts and contents these are: every field, by what it was made from.

        Of contents the keys are taken where they are known, not the vectors: the same images
        encoded again, on another machine or after the cache went, differ in the last bits.
        """
        digest = hashlib.blake2b(digest_size=16)
        _take_in(self, digest)
        return digest.hexdigest()


def _take_in(value: Any, digest: Any) -> None:
    """Add a value to a digest: texts, rows and lists of them, told apart by kind and length."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        digest.update(b"s%d:" % len(data) + data)
    elif is_dataclass(value) and not isinstance(value, type):
        digest.update(f"{type(value).__name__}{{".encode())
        has_keys = bool(getattr(value, "content_keys", ()))
        for each in fields(value):
            digest.update(each.name.encode() + b"=")
            part = getattr(value, each.name)
            if has_keys and isinstance(part, np.ndarray):
                part = str(part.shape)
            _take_in(part, digest)
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, Sequence):
        digest.update(b"[%d:" % len(value))
        for each in value:
            _take_in(each, digest)
    else:
        digest.update(f"{value!r};".encode())
