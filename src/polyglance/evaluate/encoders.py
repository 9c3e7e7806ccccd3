"""What can be scored? Anything that turns texts into unit vectors of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from polyglance import errors
from polyglance.affine import Vectors
from polyglance.embed import VectorCache

# Half precision keeps lengths to about 0.001.
LENGTH_TOLERANCE = 0.01


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


def unit_vectors(
    encoder: Encoder,
    texts: Sequence[str],
    *,
    languages: Sequence[str],
    cache: VectorCache | None,
) -> Vectors:
    """What an encoder gives for N texts, float32 (N, D), once it was seen to be that.

    Raises:
        VectorError: For another shape, or rows whose length is not one: products of those are no
            cosines, and the score would be that of another model.
    """
    vectors = np.asarray(encoder.encode_texts(texts, languages=languages, cache=cache), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise errors.VectorError(
            f"encode_texts gave {vectors.shape} for {len(texts)} texts; (N, D) is wanted",
            hint="return one vector a text",
        )
    lengths = np.sqrt(np.vecdot(vectors, vectors))
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_TOLERANCE))
    if len(bad):
        raise errors.VectorError(
            f"encode_texts gave {len(bad)} of {len(texts)} vectors whose length is not 1, the "
            f"first {lengths[bad[0]]:.3g} for {texts[int(bad[0])][:60]!r}",
            hint="return polyglance.metrics.unit_rows(vectors)",
        )
    return vectors
