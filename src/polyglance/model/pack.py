"""Language packs: the text side that gives a space new languages, saved, loaded, routed.

Legend: P probe texts, D width of the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from polyglance import errors
from polyglance.heads import affine
from polyglance.heads.affine import Head
from polyglance.heads.language_means import LanguageMeans
from polyglance.model import card, shipped
from polyglance.model.manifest import PackManifest, Speaker
from polyglance.model.shipped import PACK_FILE as PACK_FILE
from polyglance.model.side import Side, load_tower_beside
from polyglance.storage import atomic, digests, locations, manifests, tensor_files
from polyglance.vectors import Vectors, unit

SCHEMA_VERSION = 1
HEAD_FILE = "head.safetensors"
MEANS = "language_means"  # a tensor of the head's file

DAMAGED = "fetch or train the pack again"


@dataclass(frozen=True, eq=False)
class LanguagePack:
    """The text side that gives a space new languages.

    Attributes:
        manifest: What it is, and how well it does.
        side: Its tower and head.
        probes: Float32 (P, D): the teacher's unit vectors of `same_space.PROBE_TEXTS`, and of its
            images behind them, by which the same teacher from another library is recognised; of
            the manifest's `probe_texts` where it exists only as vectors.
        content_head: What the index's unit vectors go through, where the manifest says `head`.
        content_side: The other content side, where it says `new-tower`.
    """

    manifest: PackManifest
    side: Side
    probes: Vectors
    content_head: Head | None = None
    content_side: Side | None = None

    def __post_init__(self) -> None:
        effects = {"head": self.content_head, "new-tower": self.content_side}
        for effect, part in effects.items():
            if (part is not None) != (self.manifest.content == effect):
                raise errors.ConfigError(
                    f"a pack whose content effect is {self.manifest.content!r} and that has "
                    f"{'no' if part is None else 'a'} part for {effect!r}",
                    hint="content_head goes with 'head', content_side with 'new-tower'",
                )

    @property
    def dim(self) -> int:
        """Width of the vectors that its text side gives."""
        return self.side.dim

    @property
    def column_id(self) -> str:
        """Which derived column of an index answers it: a hash of its content side and space."""
        content = "" if self.content_side is None else self.content_side.space_id
        tensors = affine.tensors_of(self.content_head).values()
        return digests.of_parts([self.manifest.space_id, content, *tensors], num_bytes=8)

    def project(self, contents: Vectors) -> Vectors:
        """What an index's unit vectors become for this pack.

        Args:
            contents: Float32 (M, D), unit, in the teacher's space.

        Returns:
            Float32 (M, dim), unit; the very same where the content side is unchanged.
        """
        return contents if self.content_head is None else unit(self.content_head(contents))

    def speaker(self, language: str | None) -> Speaker:
        """Who answers a query: the pack, unless its dev score in that language was no better.

        Args:
            language: A language id; None where the language is not known.
        """
        if language is None:
            return "pack"
        score = self.manifest.languages.get(language)
        if score is not None:
            return score.speaks
        return self.manifest.speaker(language, pack=None, teacher=None)

    def rounded(self) -> LanguagePack:
        """The pack with head and means in half precision, so that its file is half as large.

        Raises:
            VectorError: A value is too large for it.
        """
        head, means = self.side.head, self.side.means
        side = replace(
            self.side,
            head=None if head is None else affine.rounded(head),
            means=None if means is None else means.rounded(),
        )
        return replace(self, side=side)

    def save(self, path: Path) -> None:
        """Write the folder: weights, model card, manifest last.

        Tensors are written in half precision where that keeps every value.

        Raises:
            DiskFullError: Where there is no room; nothing is left at `path` then.
        """
        with atomic.folder_in_one_step(path, marker=PACK_FILE) as folder:
            tensors = {"probes": self.probes, **affine.tensors_of(self.side.head)}
            tensors |= affine.tensors_of(self.content_head, prefix="content_")
            self.side.save_tower(folder)
            if self.side.means is not None:
                tensors[MEANS] = self.side.means.offsets
            if self.content_side is not None:
                tensors |= affine.tensors_of(self.content_side.head, prefix="content_")
                self.content_side.save_tower(folder)
            tensor_files.write(folder / HEAD_FILE, affine.narrowed(tensors))
            (folder / "README.md").write_text(card.render(self.manifest), encoding="utf-8")
            manifests.write_manifest(
                folder / PACK_FILE,
                asdict(self.manifest),
                kind="language-pack",
                schema_version=SCHEMA_VERSION,
                seal=True,
            )

    @classmethod
    def load(cls, location: str | Path) -> LanguagePack:
        """Read a pack from a folder, by the name of a shipped one, or from the hub by its id.

        Raises:
            UnavailableError: Where there is no such pack.
            StoreError: For another schema, or a tower that is not the one it was trained with.
        """
        folder = locations.local_folder(
            shipped.pack_location(location), kind="language pack", marker=PACK_FILE
        )
        manifest = manifests.read_manifest_as(
            PackManifest,
            folder / PACK_FILE,
            kind="language-pack",
            schema_version=SCHEMA_VERSION,
            hint=DAMAGED,
        )
        tensors = {
            name: tensor.astype(np.float32, copy=False)
            for name, tensor in tensor_files.read(folder / HEAD_FILE).items()
        }
        tower = load_tower_beside(folder, manifest.tower, modality="text")
        if tower.fingerprint != manifest.tower_fingerprint:
            raise errors.StoreError(
                f"the text tower {manifest.tower} has fingerprint {tower.fingerprint}; "
                f"the pack was made with {manifest.tower_fingerprint}",
                hint="install the version of the tower that the pack's README names",
            )
        side = Side(
            tower,
            manifest.tower,
            affine.head_of(tensors),
            manifest.head_input,
            means=_means_of(tensors, manifest, place=folder / HEAD_FILE),
        )
        content = affine.head_of(tensors, prefix="content_")
        content_side = None
        if manifest.content == "new-tower":
            content_side = Side(
                load_tower_beside(
                    folder, manifest.content_tower, modality=manifest.content_modality
                ),
                manifest.content_tower,
                content,
                manifest.content_input,
                manifest.content_output,
            )
        _require_fitting(tensors, folder, side=side, content=content_side)
        return cls(
            manifest,
            side,
            tensors["probes"],
            content_head=None if content_side else content,
            content_side=content_side,
        )


def _means_of(
    tensors: Mapping[str, Vectors], manifest: PackManifest, *, place: Path
) -> LanguageMeans | None:
    """The means of the languages that a manifest names.

    Raises:
        StoreError: The file holds no row for each of them, as wide as what the head takes.
    """
    names = tuple(manifest.language_means)
    if not names:
        return None
    found, head = tensors.get(MEANS), affine.head_of(tensors)
    wanted = (len(names), 0 if head is None else head.dim_in)
    if found is None or found.shape != wanted:
        raise errors.StoreError(
            f"{place} holds {'no means' if found is None else f'means of shape {found.shape}'} of "
            f"languages; {PACK_FILE} names {len(names)} and the head takes a width of {wanted[1]}",
            hint=DAMAGED,
        )
    return LanguageMeans(names, found)


def _require_fitting(
    tensors: Mapping[str, Vectors], folder: Path, *, side: Side, content: Side | None
) -> None:
    """Refuse tensors that are absent, not finite, or of other widths than the towers.

    Raises:
        StoreError: Names the tensor or the widths.
    """
    place = folder / HEAD_FILE
    said = ""
    if "probes" not in tensors or tensors["probes"].ndim != 2:
        said = f"{place} holds no probes (P, D)"
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            said = f"{place}: {name} holds numbers that are not finite"
    for one in (side, content):
        if one is not None and one.head is not None and one.head.dim_in != one.before_head:
            said = (
                f"{place}: the head takes vectors of width {one.head.dim_in}, and the tower "
                f"{one.reference} gives {one.before_head}"
            )
    if said:
        raise errors.StoreError(said, hint=DAMAGED)
