"""Encoders that can be scored: anything that turns texts into unit vectors of a space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from polyglance import errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.records import Languages, Modality, Output
from polyglance.towers.base import Tower
from polyglance.vectors import Vectors, unit

# Half precision keeps lengths to about 0.001.
LENGTH_TOLERANCE = 0.01


class Encoder(Protocol):
    """An encoder that can be scored: a dual encoder, or a user's own model."""

    def encode_texts(
        self, texts: Sequence[str], *, languages: Languages, cache: VectorCache | None = None
    ) -> Vectors:
        """Texts to unit vectors (N, D)."""
        ...


class FunctionEncoder:
    """A user's function from texts to vectors, scored like a model of ours.

    Args:
        encode: A list of N texts to (N, D), of any length; what `SentenceTransformer.encode` is.
        model_id: Says which model it is: where it stays the same, a cache is read and results that
            exist are not measured again.

    >>> mine = FunctionEncoder(lambda texts: [[len(text), 1.0] for text in texts], model_id="mine")
    >>> mine.encode_texts(["", "a"], languages=None).round(2).tolist()
    [[0.0, 1.0], [0.7099999785423279, 0.7099999785423279]]
    """

    def __init__(self, encode: Callable[[list[str]], ArrayLike], *, model_id: str) -> None:
        self.tower = _FunctionTower(encode, model_id=model_id)

    def encode_texts(
        self, texts: Sequence[str], *, languages: Languages, cache: VectorCache | None = None
    ) -> Vectors:
        """Texts to unit vectors (N, D); with a cache each text is encoded once."""
        del languages
        return unit(text_vectors(texts, self.tower, cache=cache))


class _FunctionTower(Tower):
    """A function as a tower, so that a cache knows whose vectors it keeps."""

    modality: Modality = "text"

    def __init__(self, function: Callable[[list[str]], ArrayLike], *, model_id: str) -> None:
        self.function = function
        self.space_id = self.fingerprint = f"function {model_id}"
        self.dim = int(self.encode(["a"]).shape[1])

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D).

        Raises:
            ConfigError: For an output in front of a projection, which a function does not show.
            VectorError: Where the function gives anything else.
        """
        del languages
        if output != "embedding":
            raise errors.ConfigError(
                f"output {output!r} of a function; it has its own alone", hint="ask for 'embedding'"
            )
        vectors = np.asarray(self.function(list(items)), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(items):
            raise errors.VectorError(
                f"the function gave {vectors.shape} for {len(items)} texts; (N, D) is wanted",
                hint="return one vector a text",
            )
        return vectors


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
            hint="return polyglance.vectors.unit(vectors)",
        )
    return vectors


def require_one_space(texts: Vectors, contents: Vectors) -> None:
    """Refuse vectors of texts and contents that cannot be compared.

    Raises:
        VectorError: Where they differ in width.
    """
    if texts.shape[1] != contents.shape[1]:
        raise errors.VectorError(
            f"texts of width {texts.shape[1]} and contents of width {contents.shape[1]}; "
            "they must share a space",
            hint="encode both with the same model",
        )
