"""Tuned text towers: another tower changed by training, its base by reference.

    tuned:/a/folder         tower.json: the base, what was trained; weights.safetensors: only that
    tuned:./tower           the same inside a language pack

Methods: `weights` (parameters with other values), `adapters` (a bottleneck a language behind every
block), `lora` (low-rank changes of the attention, one a language) and `shared-lora` (one for all of
them). But for the first, texts of any other language get the base's vectors, bit for bit. Adapters
may stand on a tower of changed weights, which is then saved inside the folder.

Legend: N texts, D width.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.records import Languages, Modality, Output
from polyglance.storage import atomic, manifests, tensor_files
from polyglance.storage.manifest_fields import Name
from polyglance.towers import (
    Tower,
    TowerReference,
    beside,
    load_tower,
    note_places,
)
from polyglance.towers.runtime import batching, weights
from polyglance.towers.trainable import adapters
from polyglance.towers.trainable.assembled import TorchTextTower
from polyglance.vectors import Vectors

Method = Literal["weights", "adapters", "lora", "shared-lora"]

SCHEMA_VERSION = 1
MANIFEST, WEIGHTS, INNER_BASE = "tower.json", "weights.safetensors", "base"
# How a base that was tuned itself is named: it lies inside the folder.
INSIDE = f"tuned:./{INNER_BASE}"
_LIBRARIES = ("torch", "transformers", "peft", "open_clip_torch")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What was done to a base.

    Attributes:
        base: Its reference.
        base_fingerprint: The fingerprint that it must have.
        method: Which tensors the folder holds.
        languages: Ids that have an adapter or low-rank change; none for `weights`.
        settings: Of `adapters` the `reduction`, of low-rank changes `rank` and `alpha`.
    """

    base: Name
    base_fingerprint: Name
    method: Method
    languages: tuple[str, ...] = ()
    settings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TunedFacts(Tuning):
    """What the folder of a tuned tower says.

    Attributes:
        libraries: The versions that named the tensors.
    """

    libraries: Mapping[str, str]


class TunedTower(Tower):
    """A text tower that is its base but for some tensors.

    Args:
        tower: What encodes; its names are the base's.
        tuning: What was done.
        tensors: What differs from the base, by name.
        base: Encodes texts of languages without an adapter; None for `weights`.
    """

    modality: Modality = "text"
    trainable = True
    pre_projection_dim: int

    def __init__(
        self,
        tower: TorchTextTower,
        *,
        tuning: Tuning,
        tensors: Mapping[str, Tensor],
        base: Tower | None = None,
    ) -> None:
        self.tower, self.tuning, self.tensors, self.base = tower, tuning, tensors, base
        self.module, self.token_rows = tower.module, tower.token_rows
        self.dim, self.pre_projection_dim = tower.dim, tower.pre_projection_dim
        self.uses_language, self.languages = tower.uses_language, tower.languages
        facts = asdict(tuning)
        # Where the base lies is not what it is.
        del facts["base"]
        self.fingerprint = weights.fingerprint(tensors, facts=facts)
        # Adapters are trained towards the base's own vectors; other weights make another space.
        self.space_id = self.fingerprint if base is None else base.space_id

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D), raw; see the protocol."""
        if self.base is None or languages is None:
            return self.tower.encode(items, languages=languages, output=output)
        adapted = np.array([language in self.tuning.languages for language in languages], bool)
        width = self.dim if output == "embedding" else self.pre_projection_dim
        vectors = np.empty((len(items), width), dtype=np.float32)  # (N, D)
        # The base's batches for its rows: another batch would round them otherwise.
        for tower, rows in ((self.tower, adapted), (self.base, ~adapted)):
            chosen = np.flatnonzero(rows).tolist()
            if chosen:
                vectors[chosen] = tower.encode(
                    [items[row] for row in chosen],
                    languages=[languages[row] for row in chosen],
                    output=output,
                )
        return vectors

    def tokenize(
        self, texts: Sequence[str], languages: Sequence[str] | None = None
    ) -> batching.Batch:
        """Texts to one padded batch for `forward`."""
        return self.tower.tokenize(texts, languages)

    def forward(self, batch: batching.Batch, *, output: Output = "embedding") -> Tensor:
        """A batch of `tokenize` to (B, D), with gradient; mixed languages in one pass."""
        return self.tower.forward(batch, output=output)

    def save(self, folder: Path) -> None:
        """Write what differs from the base, and the base too where it was tuned itself."""
        with atomic.folder_in_one_step(folder, marker=MANIFEST) as making:
            tensor_files.write_torch(making / WEIGHTS, self.tensors)
            facts = asdict(self.tuning)
            if isinstance(self.base, TunedTower):
                self.base.save(making / INNER_BASE)
                facts["base"] = INSIDE
            else:
                note_places(self.tuning.base)
            facts["libraries"] = _libraries()
            manifests.write_manifest(
                making / MANIFEST,
                facts,
                kind="tuned-tower",
                schema_version=SCHEMA_VERSION,
                seal=True,
            )


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load `tuned:FOLDER`: the base by its reference, then what differs.

    Raises:
        UnavailableError: No such folder, or no such base.
        ConfigError: For an option.
        StoreError: Where the base is another one, or the tensors do not fit it.
    """
    folder = Path(reference.location)
    del modality
    if reference.options:
        raise errors.ConfigError(
            f"{reference}; tuned towers have no options",
            hint="options belong to the base, in tower.json",
        )
    facts = manifests.read_manifest_as(
        TunedFacts,
        folder / MANIFEST,
        kind="tuned-tower",
        schema_version=SCHEMA_VERSION,
        hint="fetch or train the tower again",
    )
    libraries = facts.libraries
    tuning = Tuning(**{each.name: getattr(facts, each.name) for each in fields(Tuning)})
    base = _load_base(folder, tuning)
    tensors = tensor_files.read_torch(folder / WEIGHTS)
    if tuning.method == "weights":
        tower = torch_tower(base)
        _put(dict(tower.module.named_parameters()), tensors, folder=folder, libraries=libraries)
        return TunedTower(tower, tuning=tuning, tensors=tensors)
    routed = insert(
        base, method=tuning.method, languages=tuning.languages, settings=tuning.settings
    )
    bank = dict(routed.bank.named_parameters())
    _put(bank, tensors, folder=folder, libraries=libraries, all_of_them=True)
    return TunedTower(routed.tower, tuning=tuning, tensors=tensors, base=base)


def from_trained(tower: TorchTextTower, *, base: str, also: Collection[str] = ()) -> TunedTower:
    """A tower trained in place, as its base and the parameters that learnt.

    Args:
        tower: Its module holds the trained weights, its names are still the base's.
        base: The reference it was loaded by.
        also: Names of parameters that differ from the base although they did not learn now.

    Raises:
        TrainingError: Where nothing learnt.
    """
    tensors = {
        name: parameter.detach().cpu().clone()
        for name, parameter in tower.module.named_parameters()
        if parameter.requires_grad or name in also
    }
    if not tensors:
        raise errors.TrainingError(
            "no parameter of the tower learnt", hint="unfreeze a part of it before training"
        )
    tuning = Tuning(base=base, base_fingerprint=tower.fingerprint, method="weights")
    return TunedTower(tower, tuning=tuning, tensors=tensors)


def from_adapted(routed: adapters.Routed, *, base: Tower, tuning: Tuning) -> TunedTower:
    """A base with the adapters or low-rank changes that learnt.

    Args:
        routed: Trained; made by `insert` on `base`.
        base: As it was.
        tuning: What was done.
    """
    tensors = {
        name: parameter.detach().cpu().clone() for name, parameter in routed.bank.named_parameters()
    }
    return TunedTower(routed.tower, tuning=tuning, tensors=tensors, base=base)


def insert(
    base: Tower, *, method: Method, languages: Sequence[str], settings: Mapping[str, int]
) -> adapters.Routed:
    """New adapters or low-rank changes around a tower.

    Args:
        base: Of hf:, sentence: or openclip:, or one of changed weights.
        method: `adapters`, `lora` or `shared-lora`.
        languages: Ids.
        settings: As in `Tuning`.
    """
    trunk = torch_tower(base)
    if method == "adapters":
        return adapters.insert(trunk, languages=languages, reduction=settings["reduction"])
    from polyglance.towers.trainable import lora

    own = method == "lora"
    change_of = {language: language if own else "shared" for language in languages}
    return lora.insert(trunk, change_of=change_of, rank=settings["rank"], alpha=settings["alpha"])


def torch_tower(tower: Tower) -> TorchTextTower:
    """The trainable modules of a tower.

    Raises:
        ConfigError: Where it has none that can be trained, or has adapters already.
    """
    if isinstance(tower, TorchTextTower):
        return tower
    if isinstance(tower, TunedTower) and tower.tuning.method == "weights":
        return tower.tower
    if isinstance(tower, TunedTower):
        raise errors.ConfigError(
            f"the tower has {tower.tuning.method} of {', '.join(tower.tuning.languages[:5])}; it "
            "cannot be trained on",
            hint=f"take its base, {tower.tuning.base}, and the data of all languages",
        )
    raise errors.ConfigError(
        f"{type(tower).__name__} is no transformer that can be trained on",
        hint="take a text tower of hf:, sentence: or openclip:, without the option runtime=onnx",
    )


def _load_base(folder: Path, tuning: Tuning) -> Tower:
    base = load_tower(beside(folder, tuning.base), modality="text")
    if base.fingerprint != tuning.base_fingerprint:
        raise errors.StoreError(
            f"the base {tuning.base} has fingerprint {base.fingerprint}; {folder} was trained on "
            f"{tuning.base_fingerprint}",
            hint="get the base's version that it was trained on, or train again",
        )
    return base


def _put(
    places: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
    *,
    folder: Path,
    libraries: Mapping[str, str],
    all_of_them: bool = False,
) -> None:
    """Copy tensors into the parameters of their names."""
    misfits = [
        name
        for name, tensor in tensors.items()
        if name not in places or places[name].shape != tensor.shape
    ]
    misfits += [name for name in places if all_of_them and name not in tensors]
    if misfits:
        # Libraries rename the parts of their models now and then.
        written = ", ".join(f"{name} {number}" for name, number in libraries.items())
        raise errors.StoreError(
            f"{len(misfits)} tensors of {folder} do not fit the base, first {misfits[0]}; they "
            f"were written with {written}",
            hint="install those versions, or train the tower again",
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            places[name].copy_(tensor)


def _libraries() -> dict[str, str]:
    """The versions that name the tensors."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
