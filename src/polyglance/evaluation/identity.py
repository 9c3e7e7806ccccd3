"""Fingerprints of scores: model, texts, contents, prompts, and the code that scores.

A result in a file stands for the next run only where nothing of this has changed. The code counts
by its own text and not by a version number, which nobody raises for a mended rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from polyglance.storage import digests
from polyglance.tasks import TaskData
from polyglance.vectors import Vectors

# Files and folders of the package whose code a score passes through.
SCORING = (
    "evaluation",
    "metrics",
    "heads",
    "vectors.py",
    "model/dual_encoder.py",
    "model/side.py",
)


def score_id(data: TaskData, *, language: str, model_id: str, contents_id: str) -> str:
    """Fingerprint of all that the scores of one language are computed from.

    Args:
        data: The task; its fingerprint covers texts, prompts, splits and names of contents.
        language: One of its languages.
        model_id: Fingerprint of model and pack.
        contents_id: Fingerprint of the contents themselves; empty for tasks of texts alone.
    """
    parts = [data.task, data.policy, data.data_id(language), model_id, contents_id, scoring_id()]
    return _digest(part.encode() for part in parts)


def keys_id(keys: Iterable[str]) -> str:
    """Fingerprint of contents by their content keys, in order."""
    return _digest(key.encode() for key in keys)


def vectors_id(vectors: Vectors) -> str:
    """Fingerprint of contents that are known as vectors alone, (M, D)."""
    return _digest([repr(vectors.shape).encode(), np.ascontiguousarray(vectors).tobytes()])


@cache
def scoring_id() -> str:
    """Fingerprint of the code that scores."""
    source = Path(__file__).parents[1]
    found = [source / name for name in SCORING]
    paths = [file for path in found for file in (sorted(path.glob("*.py")) or [path])]
    return _digest(path.read_bytes() for path in paths)


def _digest(parts: Iterable[bytes]) -> str:
    return digests.of_parts(len(part).to_bytes(8, "little") + part for part in parts)
