"""Weights of a checkpoint: its safetensors, and the fingerprint that names them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from polyglance.errors import PolyglanceError, UnavailableError
from polyglance.storage import atomic, digests, locations, made_once, tensor_files

if TYPE_CHECKING:
    from torch import Tensor

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def fingerprint(
    tensors: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]], *, facts: Mapping[str, Any]
) -> str:
    """Name a set of tensors and the facts that decide what they compute.

    Tensors are taken in the order of their names, as float32 bytes, with their shapes. Every half
    precision value is a float32 value, so a file and its exact widening have one fingerprint; a
    model *rounded* to half precision has another, as it gives other vectors.

    Args:
        tensors: Name to tensor; or pairs already in the order of their names, which need not be
            in memory at the same time.
        facts: What else matters: preprocessing, pooling, length. Must be JSON.

    Returns:
        32 hexadecimal characters.

    >>> import torch
    >>> one = {"w": torch.ones(2)}
    >>> fingerprint(one, facts={}) == fingerprint({"w": torch.ones(2).half()}, facts={})
    True
    >>> fingerprint(one, facts={}) == fingerprint(one, facts={"pooling": "mean"})
    False
    """
    pairs = sorted(tensors.items()) if isinstance(tensors, Mapping) else tensors
    return digests.of_parts(_parts(pairs, facts))


def fingerprint_of_folder(folder: Path, *, facts: Mapping[str, Any]) -> str:
    """The fingerprint of all tensors of a checkpoint folder, under the names of its files.

    Of a folder that the cache made once it is noted beside it, and found by the manifest, by the
    sizes and times of the weights, and by the facts: hashing 470 MB takes longer than reading them.

    Args:
        folder: The checkpoint.
        facts: As `fingerprint`.

    Raises:
        UnavailableError, StoreError: As `stored_tensors`.
    """
    if not _is_of_cache(folder):
        return fingerprint(stored_tensors(folder), facts=facts)
    note = folder.parent / "fingerprints" / f"{_state_of(folder, facts)}.json"
    with contextlib.suppress(PolyglanceError, OSError, KeyError, TypeError):
        return str(atomic.read_json(note)["fingerprint"])
    found = fingerprint(stored_tensors(folder), facts=facts)
    # A cache that cannot be written costs time and nothing else.
    with contextlib.suppress(PolyglanceError, OSError):
        note.parent.mkdir(exist_ok=True)
        atomic.write_json(note, {"fingerprint": found, "folder": folder.name})
    return found


def _is_of_cache(folder: Path) -> bool:
    """Whether the cache made a folder, and it lies there still: nothing is noted beside others."""
    try:
        cache = locations.cache_folder().resolve()
    except UnavailableError:
        return False
    return (folder / made_once.MANIFEST).is_file() and folder.resolve().is_relative_to(cache)


def _state_of(folder: Path, facts: Mapping[str, Any]) -> str:
    """A digest of the facts, and of which files the weights are, how large and how old."""
    seen = [(file.name, file.stat()) for file in weight_files(folder)]
    files = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in seen]
    manifest = (folder / made_once.MANIFEST).read_bytes()
    return digests.of_parts([manifest, json.dumps([files, facts], sort_keys=True)])


def _parts(
    pairs: Iterable[tuple[str, Tensor]], facts: Mapping[str, Any]
) -> Iterator[str | NDArray[Any]]:
    yield json.dumps(facts, sort_keys=True, ensure_ascii=True)
    for name, tensor in pairs:
        yield f"\n{name}{list(tensor.shape)}"
        # Integers (stored position ids) keep their kind: float32 would merge large ones.
        value = tensor.float() if tensor.is_floating_point() else tensor.long()
        yield value.detach().cpu().numpy()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder.

    Raises:
        UnavailableError: Where there are none; a pickled checkpoint is named but not opened.
    """
    if (folder / _INDEX).is_file():
        names = set(json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"].values())
        files = [folder / name for name in sorted(names)]
    else:
        files = [folder / _SINGLE]
    absent = [file.name for file in files if not file.is_file()]
    if not absent:
        for file in files:
            tensor_files.require_weights(file)
        return files
    pickled = sorted(path.name for path in [*folder.glob("*.bin"), *folder.glob("*.pt")])
    if pickled:
        raise UnavailableError(
            f"{folder} holds its weights as {pickled[0]}, which can run code when it is read; "
            "only safetensors are read",
            hint="take a revision with model.safetensors (?revision=...), or convert it where you "
            "trust it: load it with transformers and call save_pretrained (M-CLIP: docs/towers.md)",
        )
    raise UnavailableError(
        f"{folder} lacks {', '.join(absent[:3])}; a checkpoint has its weights as safetensors",
        hint="download the whole model again: hf download OWNER/NAME",
    )


def stored_tensors(
    folder: Path, *, prefixes: tuple[str, ...] = ("",)
) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a checkpoint whose names begin so, in the order of their names, one at a time.

    They are read under the names of the file, not of the loaded module: libraries rename modules
    between versions, and a fingerprint must outlive that.
    """
    where: dict[str, Path] = {}
    for file in weight_files(folder):
        with tensor_files.opened(file) as handle:
            where.update({name: file for name in handle.keys() if name.startswith(prefixes)})  # noqa: SIM118
    opened = {file: tensor_files.opened(file) for file in set(where.values())}
    for name in sorted(where):
        tensor: Tensor = opened[where[name]].get_tensor(name)
        yield name, tensor


def file_digest(paths: Iterable[Path]) -> str:
    """Name the content of files, in the order of their names; absent ones are left out.

    >>> file_digest([]) == file_digest([Path("no-such-file")])
    True
    """
    return digests.of_parts(_content(paths))


def _content(paths: Iterable[Path]) -> Iterator[str | bytes]:
    for path in sorted(paths):
        if path.is_file():
            yield f"\n{path.name}\n"
            with path.open("rb") as handle:
                while block := handle.read(1 << 24):
                    yield block
