"""Heads from class names alone: class probabilities of an image network, and vectors of the names.

An item is the mean of the vectors of the names, weighed by the probabilities of its classes; a text
is its own vector. Nothing is trained, and no caption takes part.

Source: Norouzi et al. (2014), Zero-shot learning by convex combination of semantic embeddings
(ConSE), equation 3; the centre is not in the paper.

Legend: C classes, D width of the text tower.
"""

from __future__ import annotations

import numpy as np

from polyglance.heads.affine import AffineMap
from polyglance.vectors import Vectors, unit


def convex_combination(names: Vectors) -> tuple[AffineMap, AffineMap]:
    """The heads of items and of texts.

    Both are centred by the mean of the names: all names of things have much in common, and what a
    text shares with it says nothing of one photo.

    Args:
        names: Float32 (C, D), the text tower's vectors of the class names.

    Returns:
        From probabilities (N, C), which sum to 1, to (N, D); and from unit vectors of texts (N, D)
        to (N, D).

    >>> items, texts = convex_combination(np.eye(2, dtype=np.float32))
    >>> items(np.array([[0.75, 0.25]], np.float32))
    array([[ 0.25, -0.25]], dtype=float32)
    >>> texts(np.array([[1.0, 0.0]], np.float32))
    array([[ 0.5, -0.5]], dtype=float32)
    """
    vectors = unit(names)
    centre = vectors.mean(axis=0)
    return AffineMap(np.ascontiguousarray(vectors.T), -centre), AffineMap(
        np.eye(vectors.shape[1], dtype=np.float32), -centre
    )
