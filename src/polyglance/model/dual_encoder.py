"""Dual encoders: a content side, a text side, and perhaps a pack.

Legend: N rows, D width of the space.

Normalisation happens here and nowhere else: towers give raw vectors, this file unit ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polyglance import errors, towers
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import affine
from polyglance.languages.registry import ENGLISH
from polyglance.model import same_space, shipped
from polyglance.model.manifest import Speaker
from polyglance.model.pack import LanguagePack
from polyglance.model.shipped import MODEL_FILE as MODEL_FILE
from polyglance.model.side import HeadInput, Side, load_tower_beside
from polyglance.records import Languages, Modality
from polyglance.storage import atomic, manifests, tensor_files
from polyglance.storage.manifest_fields import Name
from polyglance.towers import load_tower
from polyglance.vectors import Vectors, unit

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """What a model folder says of one of its sides.

    Attributes:
        tower: Its reference.
        head_input: As of `Side`.
        fingerprint: What the side's must be; "" where an older version wrote the folder.
    """

    tower: Name
    head_input: HeadInput = "unit"
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a model folder says of itself.

    Attributes:
        content, text: Its sides.
        modality: What the content side reads.
        space_id: Its space.
    """

    content: SideFacts
    text: SideFacts
    modality: Modality
    space_id: Name


@dataclass(frozen=True, eq=False)
class DualEncoder:
    """A content side and a text side that share a space; with a pack, in more languages.

    Attributes:
        content: Image or audio side; its space is the space.
        text: The teacher's own text side.
        reference: How the model is named.
        pack: Answers in the languages that it does better.
    """

    content: Side
    text: Side
    reference: str
    pack: LanguagePack | None = None

    @property
    def space_id(self) -> str:
        """The content side's space."""
        return self.content.space_id

    @property
    def dim(self) -> int:
        """Width D of the space."""
        return self.content.dim

    def with_pack(self, pack: LanguagePack, *, reencode: bool = False) -> DualEncoder:
        """The same model with a pack on it.

        Args:
            pack: Of this model's space.
            reencode: Whether contents may be encoded anew, for a pack that has another content
                tower.

        Raises:
            SpaceMismatchError: For a pack of another space, or of another model under its name, or
                one that needs `reencode`.
        """
        if pack.manifest.content == "new-tower" and not reencode:
            raise errors.SpaceMismatchError(
                f"the pack brings another content tower ({pack.manifest.content_tower}); vectors "
                "that exist are of no use to it",
                hint="allow encoding every item again: --reencode; or take a pack whose content "
                "side is unchanged or a head",
            )
        if pack.manifest.space_id != self.space_id:
            same_space.require_equivalent(
                self.reference,
                pack.manifest.teacher,
                probes=pack.probes,
                encode=lambda texts: self.with_no_pack().encode_texts(
                    texts, languages=[ENGLISH] * len(texts)
                ),
                look=self.encode_items,
            )
        elif known := self._known_probes(pack):
            same_space.require_same_vectors(
                self.reference,
                self.space_id,
                probes=pack.probes[[row for row, _ in known]],
                encode=lambda: self.with_no_pack().encode_texts(
                    [text for _, text in known], languages=[ENGLISH] * len(known)
                ),
            )
        return DualEncoder(self.content, self.text, self.reference, pack)

    def _known_probes(self, pack: LanguagePack) -> list[tuple[int, str]]:
        """Rows of a pack's own probe texts that this model has a vector of."""
        texts = pack.manifest.probe_texts
        lacking = set(self.text.lacking(texts))
        return [(row, text) for row, text in enumerate(texts) if text not in lacking]

    def with_no_pack(self) -> DualEncoder:
        """The teacher alone."""
        return DualEncoder(self.content, self.text, self.reference)

    def encode_texts(
        self, texts: Sequence[str], *, languages: Languages, cache: VectorCache | None = None
    ) -> Vectors:
        """Texts to float32 (N, D), unit; see `TextRouter.encode_texts`."""
        return self.router.encode_texts(texts, languages=languages, cache=cache)

    @property
    def router(self) -> TextRouter:
        """Who answers in which language."""
        return TextRouter(self.dim, lambda: self.text, self.pack)

    def encode_items(self, items: Sequence[Any]) -> Vectors:
        """Encode images or sounds: float32 (N, D), unit."""
        return self.items_from_raw(self.content.tower.encode(items, output=self.content.output))

    def items_from_raw(self, raw: Vectors) -> Vectors:
        """The content tower's stored vectors as unit vectors of the space."""
        return unit(self.content.through_head(raw))

    def save(self, path: Path) -> None:
        """Write a model folder: towers that are ours inside it, others by reference."""
        with atomic.folder_in_one_step(path, marker=MODEL_FILE) as folder:
            facts: dict[str, Any] = {}
            for name, side in (("content", self.content), ("text", self.text)):
                facts[name] = {
                    "tower": side.reference,
                    "head_input": side.head_input,
                    "fingerprint": side.fingerprint,
                }
                side.save_tower(folder)
                if side.head is not None:
                    file = folder / f"{name}_head.safetensors"
                    tensor_files.write(file, affine.narrowed(affine.tensors_of(side.head)))
            facts["modality"], facts["space_id"] = self.content.tower.modality, self.space_id
            manifests.write_manifest(
                folder / MODEL_FILE,
                facts,
                kind="dual-encoder",
                schema_version=SCHEMA_VERSION,
                seal=True,
            )

    @classmethod
    def load(cls, reference: str | Path) -> DualEncoder:
        """Load a model folder, a shipped model, or both towers of `library:location`.

        Raises:
            UnavailableError: Where it cannot be had.
            ConfigError: Its sides have other widths, and so no space in common.
        """
        content, text = load_side(reference, "content"), load_side(reference, "text")
        if content.dim != text.dim:
            raise errors.ConfigError(
                f"{reference} is no dual encoder: its {content.tower.modality} side gives vectors "
                f"of width {content.dim}, its text side of {text.dim}",
                hint="name a model whose two sides share a space; of vectors, take both behind the "
                "projections",
            )
        return cls(content, text, str(reference))


@dataclass(frozen=True, eq=False)
class TextRouter:
    """The text encoders of a space: a pack, and the teacher's own text side.

    Attributes:
        dim: Width D of the space.
        load_teacher: Gives the teacher's text side; called only where the teacher speaks.
        pack: The pack, if there is one.
    """

    dim: int
    load_teacher: Callable[[], Side]
    pack: LanguagePack | None

    def speaker(self, language: str | None) -> Speaker:
        """Who answers in a language; None where it is not known."""
        return "teacher" if self.pack is None else self.pack.speaker(language)

    def encode_texts(
        self, texts: Sequence[str], *, languages: Languages, cache: VectorCache | None = None
    ) -> Vectors:
        """Encode texts, each by the side that answers in its language.

        Args:
            texts: N texts.
            languages: N language ids, or None where they are not known: the pack then answers,
                or the teacher where there is no pack.
            cache: Keeps what towers gave, so that each tower encodes a text once.

        Returns:
            Float32 (N, D), unit; of the pack's width where it has a content head and speaks.

        Raises:
            LanguageError: Where a tower needs the language and it is not given, or where some of
                the languages are answered in the teacher's space and some in the pack's own.
        """
        known = languages if languages is not None else [None] * len(texts)
        by_pack = np.array([self.speaker(language) == "pack" for language in known], bool)
        dim = self.dim
        if self.pack is not None and self.pack.manifest.content != "unchanged" and by_pack.any():
            if not by_pack.all():
                raise errors.LanguageError(
                    "some of these languages are answered by the teacher and some by a pack that "
                    "re-projects the contents; their vectors do not compare",
                    hint="encode the languages one by one",
                )
            dim = self.pack.dim
        vectors = np.empty((len(texts), dim), np.float32)
        for rows, load in (
            (np.flatnonzero(by_pack), self._pack_side),
            (np.flatnonzero(~by_pack), self.load_teacher),
        ):
            if not len(rows):
                continue
            side = load()
            chosen = None if languages is None else [languages[i] for i in rows.tolist()]
            asked = [texts[i] for i in rows.tolist()]
            raw = text_vectors(asked, side.tower, languages=chosen, cache=cache, output=side.output)
            vectors[rows] = unit(side.through_head(raw, languages=chosen))
        return vectors

    def _pack_side(self) -> Side:
        assert self.pack is not None
        return self.pack.side


def load_side(
    reference: str | Path, name: Literal["content", "text"], *, space_id: str | None = None
) -> Side:
    """Load one side of a dual encoder, and not the other.

    Args:
        reference: A model folder, the name of a shipped one, or `library:location`.
        name: Which side.
        space_id: The space that the model must speak to; None takes any.

    Raises:
        SpaceMismatchError: It is of another space.
        StoreError: A folder whose side is not the one that it was saved with.
    """
    folder = shipped.folder_of(reference)
    if (folder / MODEL_FILE).is_file():
        facts = read_facts(folder)
        # Before anything is loaded: it shows that another model was put in the place of this one.
        require_space(reference, facts.space_id, wanted=space_id)
        return _side_in(folder, facts, name)
    modality: Modality = "text" if name == "text" else towers.items_of(str(reference))
    tower = load_tower(str(reference), modality=modality)
    require_space(reference, tower.space_id, wanted=space_id)
    return Side(tower, str(reference))


def modality_of(reference: str | Path) -> Modality:
    """What the items of a dual encoder are, without loading it.

    Args:
        reference: A model folder, the name of a shipped one, or `library:location`.

    Raises:
        StoreError: As `read_facts`.
        UnknownNameError: No such library.
    """
    folder = shipped.folder_of(reference)
    if (folder / MODEL_FILE).is_file():
        return read_facts(folder).modality
    return towers.items_of(str(reference))


def read_facts(folder: Path) -> ModelFacts:
    """What a model folder says of itself.

    Raises:
        StoreError: Something that is not allowed, or not what was written.
    """
    return manifests.read_manifest_as(
        ModelFacts,
        folder / MODEL_FILE,
        kind="dual-encoder",
        schema_version=SCHEMA_VERSION,
        hint="get the folder from a copy, or save the model again",
    )


def require_space(reference: str | Path, found: str, *, wanted: str | None) -> None:
    """Refuse a model of another space.

    Raises:
        SpaceMismatchError: Names both.
    """
    if wanted is not None and found != wanted:
        raise errors.SpaceMismatchError(
            f"the model {reference} has the space {found} by now, and {wanted} is needed: what was "
            "made with the one says nothing to the other",
            hint=f"make the index anew: polyglance index FOLDER --model {reference}"
            if shipped.is_shipped(reference)
            else "put the model back, or its revision (hf:NAME?revision=...), or index the "
            "images again with this one, into another folder",
        )


def _side_in(folder: Path, facts: ModelFacts, name: Literal["content", "text"]) -> Side:
    """A side of a model folder, which must be what the folder says."""
    said = facts.content if name == "content" else facts.text
    modality: Modality = facts.modality if name == "content" else "text"
    head_file = folder / f"{name}_head.safetensors"
    head = affine.head_of(tensor_files.read(head_file)) if head_file.is_file() else None
    side = Side(
        load_tower_beside(folder, said.tower, modality=modality), said.tower, head, said.head_input
    )
    other = (
        (side.space_id, facts.space_id)
        if name == "content"
        else (side.fingerprint, said.fingerprint or side.fingerprint)
    )
    if other[0] != other[1]:
        raise errors.StoreError(
            f"the {name} side of {folder}, {said.tower}, is {other[0]}; the model was saved with "
            f"{other[1]}",
            hint="get the folder from a copy, install the version of the tower that it was saved "
            "with, or save the model again",
        )
    return side
