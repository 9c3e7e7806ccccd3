"""Fingerprints of data and weights: short digests that differ where these do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyglance import errors


def fingerprint(*parts: Any) -> str:
    """A digest of data, for `RunFolder.data`: order, types and shapes count.

    Args:
        parts: Text, bytes, numbers, None, arrays, tensors; sequences (rows of `records` are named
            tuples or dataclasses: give their fields) and mappings of those.

    Raises:
        TrainingError: For a part of another type.

    >>> fingerprint("a", ["b", "c"]) == fingerprint("a", ["b", "c"])
    True
    >>> fingerprint(["a", "bc"]) == fingerprint(["ab", "c"])
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, parts)
    return digest.hexdigest()


def _feed(digest: hashlib.blake2b, value: Any) -> None:
    """Add a value to a digest, with its type and length, so that no two values look alike."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        digest.update(f"tensor {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        digest.update(f"{type(value).__name__} {len(data)};".encode() + data)
    elif value is None or isinstance(value, bool | int | float):
        digest.update(f"{value!r};".encode())
    elif isinstance(value, Mapping):
        _feed(digest, list(value.items()))
    elif isinstance(value, Sequence):
        digest.update(f"sequence {len(value)};".encode())
        for each in value:
            _feed(digest, each)
    else:
        raise errors.TrainingError(
            f"no fingerprint of a {type(value).__name__}; text, numbers, arrays, tensors, and "
            "sequences and mappings of those have one",
            hint="give the parts of it that matter",
        )
