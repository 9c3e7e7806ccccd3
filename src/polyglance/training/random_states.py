"""States of the global random generators, saved and restored for an exact resume."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


class RandomStates:
    """The global generators of torch, NumPy and Python, as one part of a run's state."""

    def state_dict(self) -> State:
        """The current states of all of them."""
        _, keys, position, has_normal, normal = np.random.get_state(legacy=True)
        version, integers, gauss = random.getstate()
        state: State = {
            "torch": torch.get_rng_state(),
            # int64: safetensors of every version can write it.
            "numpy": torch.from_numpy(np.asarray(keys, np.int64)),
            "numpy_rest": [int(position), int(has_normal), float(normal)],
            "python": torch.tensor(integers, dtype=torch.int64),
            "python_rest": [version, gauss],
        }
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            # Of every accelerator: a tower may have been put on another one than the first.
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state: State) -> None:
        """Set them to what `state_dict` gave."""
        torch.set_rng_state(state["torch"])
        keys = state["numpy"].numpy().astype(np.uint32)
        np.random.set_state(("MT19937", keys, *state["numpy_rest"]))
        version, gauss = state["python_rest"]
        random.setstate((version, tuple(state["python"].tolist()), gauss))
        for number, each in enumerate(state.get("cuda", ())):
            if number < torch.cuda.device_count():
                torch.cuda.set_rng_state(each, number)
