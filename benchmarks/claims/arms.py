"""What is an arm? One training, or none, whose scores claims compare.

Every paper's file offers `ARMS`; `all_arms` gathers them by name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

BOTH = ("pictograms", "photos")
# Where no picture is needed.
TEXT = (*BOTH, "captions")
# The files of the papers, by the name that `--only` takes.
PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "nllb-clip": "benchmarks.claims.nllb_clip",
        "babel-imagenet": "benchmarks.claims.babel_imagenet",
        "m2m": "benchmarks.claims.m2m",
        "etcl": "benchmarks.claims.etcl",
        "uclip": "benchmarks.claims.uclip",
        "transfer": "benchmarks.claims.transfer",
    }
)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training, or none, that is scored.

    Attributes:
        name: Unique.
        says: What it is, in a few words.
        run: World and seed to scores.
        settings: What the run depends on, as JSON can hold it; a `num_steps` among them is checked
            against the steps that were made.
        data: Worlds that it can be run in.
        seeded: Whether seeds differ.
    """

    name: str
    says: str
    run: Callable[[World, int], Ran]
    settings: Mapping[str, Any]
    data: tuple[str, ...] = BOTH
    seeded: bool = True


@functools.cache
def all_arms() -> Mapping[str, Arm]:
    """Every arm of every paper, by name."""
    found: dict[str, Arm] = {}
    for module in PAPERS.values():
        for arm in importlib.import_module(module).ARMS:
            assert arm.name not in found, arm.name
            found[arm.name] = arm
    return MappingProxyType(found)
