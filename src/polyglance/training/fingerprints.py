"""Fingerprints of data and weights: short digests that differ where these do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyglance import errors
from polyglance.storage import digests


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
    return digests.of_parts(_parts(parts))


def _parts(value: Any) -> Iterator[str | bytes | NDArray[Any]]:
    """A value with its type and length, so that no two values look alike."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        yield f"tensor {value.dtype} {tuple(value.shape)};"
        yield value.reshape(-1).view(torch.uint8).numpy()
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"array {value.dtype.str} {value.shape};"
        yield value
    elif isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        yield f"{type(value).__name__} {len(data)};"
        yield data
    elif value is None or isinstance(value, bool | int | float):
        yield f"{value!r};"
    elif isinstance(value, Mapping):
        yield from _parts(list(value.items()))
    elif isinstance(value, Sequence):
        yield f"sequence {len(value)};"
        for each in value:
            yield from _parts(each)
    else:
        raise errors.TrainingError(
            f"no fingerprint of a {type(value).__name__}; text, numbers, arrays, tensors, and "
            "sequences and mappings of those have one",
            hint="give the parts of it that matter",
        )
