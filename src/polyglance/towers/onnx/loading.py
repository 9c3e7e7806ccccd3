"""Loading of text towers for ONNX Runtime: from the cache, where their graphs are made once.

    sentence:NAME?runtime=onnx            8-bit weights
    sentence:NAME?runtime=onnx-float32    the weights as they are

The graph is made from torch's own tower the first time, and found again by the sizes and times of
the checkpoint's files, without importing torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyglance import errors
from polyglance.records import Modality
from polyglance.storage import atomic, digests, locations, made_once, manifest_fields
from polyglance.towers import Tower, TowerReference, load_tower, without_runtime
from polyglance.towers.libraries import places
from polyglance.towers.onnx.tower import (
    HINT,
    VERSION,
    GraphFacts,
    OnnxTextTower,
    Precision,
    require_installed,
)

PRECISIONS: Mapping[str, Precision] = MappingProxyType({"onnx": "int8", "onnx-float32": "float32"})
# What decides a checkpoint's vectors.
_SOURCES = frozenset({".safetensors", ".json", ".txt", ".model"})


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load a text tower in ONNX Runtime; the first time its graph is made.

    Args:
        reference: With the option `runtime`, one of `PRECISIONS`.
        modality: `text`.

    Raises:
        ConfigError: For another modality, an encoder that has no graph, a graph whose vectors are
            too far from torch's, or an option that has no meaning here.
        MissingExtraError: onnxruntime is not installed, or onnx, which makes the graph.
        UnavailableError: The checkpoint cannot be had.
    """
    runtime, base = reference.options["runtime"], without_runtime(reference)
    if modality != "text":
        raise errors.ConfigError(
            f"{reference} as {modality} tower; runtime={runtime} runs text towers",
            hint="leave the option runtime out",
        )
    for name, meant in (("device", "cpu"), ("dtype", "float32")):
        if base.options.get(name, meant) != meant:
            raise errors.ConfigError(
                f"{reference} has {name}={base.options[name]} beside runtime={runtime}; a graph "
                "runs on the CPU, in the precision that runtime names",
                hint=f"leave {name} or runtime out",
            )
    require_installed("onnxruntime")
    precision = PRECISIONS[runtime]
    torch_tower = cache(lambda: load_tower(str(base), modality="text"))
    fingerprint = _known_fingerprint(base, torch_tower)
    made = made_once.Made(
        place=locations.cache_folder() / "onnx" / f"{fingerprint}-{precision}-{VERSION}",
        kind="onnx-tower",
        schema_version=1,
        what=f"the graph of {base} for ONNX Runtime ({precision}) is made once",
    )

    def fill(folder: Path) -> Mapping[str, Any]:
        from polyglance.towers.onnx import making

        return making.fill(folder, torch_tower(), reference=base, precision=precision)

    said = made_once.folder(made, fill)
    facts = manifest_fields.read(GraphFacts, said, place=made.place, hint=HINT)
    return OnnxTextTower(made.place, facts)


def _known_fingerprint(base: TowerReference, torch_tower: Callable[[], Tower]) -> str:
    """The fingerprint of torch's tower: noted beside the graphs, since reading weights takes long.

    It is found by the options and by the sizes and times of the checkpoint's files.
    """
    folder = places.folder_of(base)
    if folder is None:
        raise errors.ConfigError(
            f"{base} keeps no checkpoint that runtime=onnx could read",
            hint="leave the option runtime out",
        )
    note = locations.cache_folder() / "onnx" / "seen" / f"{_state_of(folder, base)}.json"
    try:
        fingerprint = str(atomic.read_json(note)["fingerprint"])
    except (errors.PolyglanceError, OSError, KeyError, TypeError):
        fingerprint = torch_tower().fingerprint
        with atomic.disk_errors(str(note)):
            note.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(note, {"fingerprint": fingerprint, "tower": str(base)})
    return fingerprint


def _state_of(folder: Path, base: TowerReference) -> str:
    """A digest of a reference's options, and of where its files are, how large and how old."""
    parts = [str(folder.resolve()), *(f"{k}={v}" for k, v in sorted(base.options.items()))]
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SOURCES and path.is_file():
            stat = path.stat()
            parts.append(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}")
    return digests.of_parts(["\0".join(parts)])
