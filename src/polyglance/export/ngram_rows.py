"""Inputs of a small n-gram tower's graph: rows of its table and weights, by NumPy alone.

Legend: N texts, F n-grams of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance.towers.tiny import ngrams


def rows(texts: Sequence[str], *, num_buckets: int) -> dict[str, NDArray[Any]]:
    """Hash texts into the inputs of `text/model.onnx`.

    Args:
        texts: N texts, one or more.
        num_buckets: Rows of the tower's table; `export.json` says it.

    Returns:
        `ids` int64 and `weights` float32, both (N, F); where a text has fewer, the weight is 0.

    >>> found = rows(["chien", "un chien rouge"], num_buckets=1000)
    >>> found["ids"].shape == found["weights"].shape
    True
    >>> bool(np.allclose(np.square(found["weights"]).sum(axis=1), 1))
    True
    """
    features = ngrams.featurise(texts)
    ids = ngrams.buckets(features, num_buckets=num_buckets)
    lengths = np.diff(features.offsets)
    filled = np.arange(lengths.max()) < lengths[:, None]  # (N, F), true where there is an n-gram
    batch: dict[str, NDArray[Any]] = {
        "ids": np.zeros(filled.shape, np.int64),
        "weights": np.zeros(filled.shape, np.float32),
    }
    batch["ids"][filled], batch["weights"][filled] = ids, features.weights
    return batch
