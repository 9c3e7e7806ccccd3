"""One side of a dual encoder: a frozen tower with the head behind it.

Legend: N rows, D width of the space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from polyglance import errors
from polyglance.heads import affine
from polyglance.heads.affine import Head
from polyglance.heads.language_means import LanguageMeans
from polyglance.records import Languages, Modality, Output
from polyglance.storage import digests
from polyglance.towers import (
    Tower,
    beside,
    load_tower,
    note_places,
    parse_reference,
)
from polyglance.vectors import Vectors, unit

HeadInput = Literal["raw", "unit"]


@dataclass(frozen=True, eq=False)
class Side:
    """One tower with the head behind it, if it has one.

    Attributes:
        tower: Frozen encoder.
        reference: How the tower is named, so that it can be loaded again.
        head: Maps the tower's vectors into the space; None where they lie in it already.
        head_input: Whether the head takes the tower's vectors raw or at length one.
        output: What is asked of the tower; `pre_projection` where the head is the projection.
        means: Of languages, by which what the head takes is moved first; None where it is not.
    """

    tower: Tower
    reference: str
    head: Head | None = None
    head_input: HeadInput = "unit"
    output: Output = "embedding"
    means: LanguageMeans | None = None

    @property
    def uses_language(self) -> bool:
        """Whether the language of a text changes its vector."""
        return self.means is not None or self.tower.uses_language

    @property
    def dim(self) -> int:
        """Width of what `through_head` gives."""
        return self.head.dim_out if self.head else self.tower.dim

    @property
    def before_head(self) -> int:
        """Width of what the head takes: of the tower's vectors, or of its features."""
        if self.output == "embedding":
            return self.tower.dim
        return self.tower.pre_projection_dim or self.tower.dim

    @property
    def fingerprint(self) -> str:
        """Which tower this is and what stands behind it, whatever space it leads to."""
        return self._through_head(self.tower.fingerprint)

    @property
    def space_id(self) -> str:
        """The tower's own space, or the one that its head leads to."""
        return self._through_head(self.tower.space_id)

    def _through_head(self, name: str) -> str:
        """What a name of the tower becomes behind the head."""
        if self.head is None:
            return name
        output = "" if self.output == "embedding" else self.output
        tensors = affine.tensors_of(self.head).values()
        means: tuple[Any, ...] = ()
        if self.means is not None:
            means = (*self.means.languages, self.means.offsets)
        return digests.of_parts([name, *tensors, self.head_input, output, *means])

    def lacking(self, texts: Iterable[str]) -> list[str]:
        """Which of some texts it has no vector of: none, unless its tower only looks them up."""
        there = self.tower.ids
        return [] if there is None else [text for text in texts if text not in there]

    def head_inputs(self, raw: Vectors) -> Vectors:
        """The tower's vectors as the head takes them, before they are moved: float32 (N, D)."""
        return unit(raw) if self.head_input == "unit" else raw

    def through_head(self, raw: Vectors, *, languages: Languages = None) -> Vectors:
        """The tower's vectors brought into the space: (N, D_tower) to (N, D), raw.

        Args:
            raw: What the tower gave.
            languages: N language ids; required where there are means of languages.

        Raises:
            LanguageError: The vectors are moved by language and none was given.
        """
        if self.head is None:
            return raw
        taken = self.head_inputs(raw)
        if self.means is not None:
            if languages is None:
                raise errors.LanguageError(
                    "this text side moves vectors by the mean of their language, and no languages "
                    "were given; one a text is wanted",
                    hint="give languages, or --language on the command line",
                )
            taken = self.means.moved(taken, languages)
        return self.head(taken)

    def in_language(self, language: str) -> Side:
        """The same for texts of one language alone, with its mean in the head."""
        if self.means is None or self.head is None:
            return self
        return replace(self, head=self.means.folded(self.head, language), means=None)

    def save_tower(self, folder: Path) -> None:
        """Write the tower into `folder` if its reference says that it lives there (`./...`).

        Raises:
            StoreError: For a tower of a kind that cannot be written.
        """
        location = parse_reference(self.reference).location
        if not location.startswith("./"):
            note_places(self.reference)
            return
        self.tower.save(folder / location)


def load_tower_beside(folder: Path, reference: str, *, modality: Modality) -> Tower:
    """Load a tower whose location may be inside `folder`, as in `tiny:./tower`.

    Raises:
        StoreError: For a location that leads out of `folder`.
    """
    return load_tower(beside(folder, reference), modality=modality)


class SpaceTower(Tower):
    """A side seen as one tower whose vectors are unit and in the space: what an index stores.

    Args:
        side: The tower and the head behind it.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.modality, self.uses_language = side.tower.modality, side.uses_language
        self.dim = side.dim
        self.space_id = side.space_id
        self.fingerprint = side.space_id

    @property
    def encodes_in_threads(self) -> bool:
        """As the tower's."""
        return self.side.tower.encodes_in_threads

    def preprocess(self, item: Any) -> Any:
        """As the tower does it."""
        return self.side.tower.preprocess(item)

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Encode items to float32 (N, D), unit.

        Raises:
            ConfigError: For an output other than the embedding: a head has nothing in front of it.
        """
        if output != "embedding":
            raise errors.ConfigError(
                f"output {output!r} of a space; only 'embedding' lies in it",
                hint="ask the tower itself for what is in front of its projection",
            )
        raw = self.side.tower.encode(items, languages=languages, output=self.side.output)
        return unit(self.side.through_head(raw, languages=languages)) if len(raw) else raw
