"""Nested training state as files: tensors as safetensors, the rest as JSON; no pickle."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from polyglance import errors


@dataclass(frozen=True)
class Apart:
    """A state taken apart: JSON that names tensors, and those tensors, none sharing memory."""

    skeleton: Any
    tensors: dict[str, Tensor] = field(default_factory=dict)


def take_apart(state: Any) -> Apart:
    """Separate a state into JSON and tensors.

    Args:
        state: Dicts (keys text or whole numbers), lists, tuples (which come back as lists),
            tensors, numbers, text, None.

    Raises:
        TrainingError: For a value of another type.

    >>> take_apart({0: [1, None], "rate": float("inf")}).skeleton
    {'items': [[0, [1, None]], ['rate', {'float': 'inf'}]]}
    """
    tensors: dict[str, Tensor] = {}
    return Apart(_skeleton(state, "", tensors, set()), tensors)


def put_together(apart: Apart) -> Any:
    """The state that was taken apart; its tensors are those of `apart`."""
    return _filled(apart.skeleton, apart.tensors)


def _skeleton(value: Any, name: str, tensors: dict[str, Tensor], seen: set[int]) -> Any:
    """The JSON of a value; its tensors go into `tensors` under the path that leads to them."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        # safetensors refuses tensors that share memory, as tied weights and code books do.
        tensors[name] = value.clone() if place in seen else value
        seen.add(place)
        return {"tensor": name}
    if isinstance(value, dict):
        return {
            "items": [[k, _skeleton(v, f"{name}/{k}", tensors, seen)] for k, v in value.items()]
        }
    if isinstance(value, list | tuple):
        return [_skeleton(each, f"{name}/{i}", tensors, seen) for i, each in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise errors.TrainingError(
        f"{name.lstrip('/')} is a {type(value).__name__}; a checkpoint holds tensors, numbers and "
        "text in dicts and lists",
        hint="make it a buffer of the module, or keep it out of the module's state",
    )


def _filled(skeleton: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(skeleton, list):
        return [_filled(each, tensors) for each in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if "tensor" in skeleton:
        return tensors[skeleton["tensor"]]
    if "float" in skeleton:
        return float(skeleton["float"])
    return {key: _filled(value, tensors) for key, value in skeleton["items"]}
