"""Tuned image towers: another tower trained further, its base by reference.

    tuned-image:./image     tower.json: the base; weights.safetensors: parameters and statistics

Training the whole tower moves every tensor, so all are kept, not what differs.

Legend: N images, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

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
from polyglance.towers.runtime import weights
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.vectors import Vectors

SCHEMA_VERSION = 1
MANIFEST, WEIGHTS = "tower.json", "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class TunedImageFacts:
    """What the folder says.

    Attributes:
        base: The reference of the base.
        base_fingerprint: The fingerprint that it must have.
    """

    base: Name
    base_fingerprint: Name


class TunedImageTower(Tower):
    """An image tower of a published model with other weights.

    Args:
        tower: What encodes; its `fingerprint` is still the base's.
        base: The reference of the base.
    """

    modality: Modality = "image"
    pre_projection_dim: int

    def __init__(self, tower: TorchImageTower, *, base: str) -> None:
        self.tower, self.base = tower, base
        self.dim, self.pre_projection_dim = tower.dim, tower.pre_projection_dim
        facts = {"base": tower.fingerprint}
        self.fingerprint = self.space_id = weights.fingerprint(self.tensors(), facts=facts)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and statistics by name; counters are left out."""
        return {
            name: value.detach().cpu().contiguous()
            for name, value in self.tower.module.state_dict().items()
            if value.is_floating_point()
        }

    @property
    def encodes_in_threads(self) -> bool:
        """As the base's."""
        return self.tower.encodes_in_threads

    def preprocess(self, item: Any) -> NDArray[Any]:
        """One PIL image to its array; thread-safe."""
        return self.tower.preprocess(item)

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """PIL images or preprocessed arrays to float32 (N, D), raw; see the protocol."""
        return self.tower.encode(items, languages=languages, output=output)

    def save(self, folder: Path) -> None:
        """Write the tensors, and the base's reference."""
        with atomic.folder_in_one_step(folder, marker=MANIFEST) as making:
            note_places(self.base)
            tensor_files.write_torch(making / WEIGHTS, self.tensors())
            facts = {"base": self.base, "base_fingerprint": self.tower.fingerprint}
            manifests.write_manifest(
                making / MANIFEST,
                facts,
                kind="tuned-image-tower",
                schema_version=SCHEMA_VERSION,
                seal=True,
            )


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load `tuned-image:FOLDER`: the base by its reference, then the tensors.

    Raises:
        StoreError: Where the base is another one, or the tensors do not fit it.
    """
    del modality
    folder = Path(reference.location)
    facts = manifests.read_manifest_as(
        TunedImageFacts,
        folder / MANIFEST,
        kind="tuned-image-tower",
        schema_version=SCHEMA_VERSION,
        hint="fetch or train the tower again",
    )
    tower = load_tower(beside(folder, facts.base), modality="image")
    if not isinstance(tower, TorchImageTower) or tower.fingerprint != facts.base_fingerprint:
        raise errors.StoreError(
            f"the base {facts.base} has fingerprint {tower.fingerprint}; {folder} was trained "
            f"on {facts.base_fingerprint}",
            hint="get the base's version that it was trained on, or train again",
        )
    tensors = tensor_files.read_torch(folder / WEIGHTS)
    own = {n: v.shape for n, v in tower.module.state_dict().items() if v.is_floating_point()}
    if own != {name: value.shape for name, value in tensors.items()}:
        raise errors.StoreError(
            f"the tensors of {folder} do not fit {facts.base}",
            hint="install the versions it was written with, or train again",
        )
    tower.module.load_state_dict(tensors, strict=False)
    return TunedImageTower(tower, base=facts.base)
