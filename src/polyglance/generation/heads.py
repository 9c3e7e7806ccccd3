"""Heads for generation: a multilingual text tower in the place of an English encoder.

An image generator that was built on an English text encoder takes this head's vectors in the place
of that encoder's: raw, at their lengths, one a text. Lengths are nothing to a search, so a head for
generation is no language pack, and none is made of it.

    FOLDER/head.safetensors        the layers, named as in the published checkpoints
    FOLDER/generation-head.json    everything else; written last

Legend: N texts, D_in width of the multilingual tower, D of the encoder that is stood in for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from polyglance import __version__, errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import linear
from polyglance.model.side import Side, load_tower_beside
from polyglance.storage import atomic, manifests, tensor_files
from polyglance.vectors import Vectors

SCHEMA_VERSION = 1
KIND = "generation-head"
MANIFEST_FILE = "generation-head.json"
TENSOR_FILE = "head.safetensors"


@dataclass(frozen=True, kw_only=True)
class GenerationManifest:
    """Everything about a head that is not weights.

    Attributes:
        recipe: What made it.
        tower: Reference of the multilingual text tower.
        tower_fingerprint: The fingerprint that this tower must have.
        target: Reference of the text encoder that it stands in for.
        target_fingerprint: Of that encoder; None where a published head does not say.
        target_output: Which of its outputs.
        residual: Whether the layers have skip connections.
        config: The resolved config of the recipe.
        data: What it was trained on, and how near it came on texts that it was not fitted on.
    """

    recipe: str
    tower: str
    tower_fingerprint: str
    target: str
    target_fingerprint: str | None = None
    target_output: str = "embedding"
    residual: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    polyglance_version: str = __version__


@dataclass(frozen=True, eq=False)
class GenerationHead:
    """A multilingual text tower and the layers behind it.

    Attributes:
        manifest: What it is.
        tower: The tower; a head that its side has is not used.
        head: The layers, float32, in evaluation mode.
    """

    manifest: GenerationManifest
    tower: Side
    head: linear.LinearHead

    def encode(
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str] | None = None,
        cache: VectorCache | None = None,
    ) -> Vectors:
        """Vectors for the generator.

        Args:
            texts: N texts.
            languages: N language ids; required where the tower uses the language.
            cache: Keeps what the tower gave.

        Returns:
            Float32 (N, D), raw: their lengths are those of the encoder that is stood in for.
        """
        return self.map(text_vectors(texts, self.tower.tower, languages=languages, cache=cache))

    def map(self, vectors: Vectors) -> Vectors:
        """The tower's raw vectors through the head: (N, D_in) to (N, D)."""
        with torch.no_grad():
            mapped: Vectors = self.head(torch.from_numpy(vectors)).numpy()
        return mapped

    def save(self, path: Path) -> None:
        """Write the folder, manifest last.

        Raises:
            DiskFullError: Where there is no room; nothing is left at `path` then.
        """
        with atomic.folder_in_one_step(path, marker=MANIFEST_FILE) as folder:
            tensor_files.write_torch(folder / TENSOR_FILE, self.head.state_dict())
            self.tower.save_tower(folder)
            manifests.write_manifest(
                folder / MANIFEST_FILE,
                asdict(self.manifest),
                kind=KIND,
                schema_version=SCHEMA_VERSION,
                seal=True,
            )

    @classmethod
    def load(cls, path: Path) -> GenerationHead:
        """Read a folder.

        Raises:
            UnavailableError: Where there is none.
            StoreError: For another kind or schema, or a tower that is not the one it was fitted on.
        """
        path = Path(path)
        manifest = manifests.read_manifest_as(
            GenerationManifest,
            path / MANIFEST_FILE,
            kind=KIND,
            schema_version=SCHEMA_VERSION,
            hint="fit the head again",
        )
        tower = load_tower_beside(path, manifest.tower, modality="text")
        if tower.fingerprint != manifest.tower_fingerprint:
            raise errors.StoreError(
                f"the text tower {manifest.tower} has fingerprint {tower.fingerprint}; the head "
                f"was fitted on {manifest.tower_fingerprint}",
                hint="install the version of the tower that it was fitted on",
            )
        head = linear.head_from_tensors(
            tensor_files.read_torch(path / TENSOR_FILE), residual=manifest.residual
        )
        return cls(manifest, Side(tower, manifest.tower), head.eval())
