"""What can be scored? Anything that turns texts into unit vectors of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from polyglance.affine import Vectors
from polyglance.embed import VectorCache


class Encoder(Protocol):
    """What can be scored: our dual encoders, and anyone's model in two lines."""

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str] | None,
        cache: VectorCache | None = None,
    ) -> Vectors:
        """Texts to unit vectors (N, D)."""
        ...
