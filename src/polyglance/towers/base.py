"""The base of every tower: what it must say and do, and what it may, with defaults.

Legend: N rows, D width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import Languages, Modality, Output
from polyglance.vectors import Vectors


class Tower(ABC):
    """A frozen encoder of one modality.

    A subclass gives what stands first and `encode`; the rest has defaults, which it overrides where
    it can do more. Nothing else asks a tower whether it has a method.

    Attributes:
        modality: What it reads.
        dim: Width D of its embeddings.
        space_id: Which space its embeddings lie in. The text tower of a dual encoder has the
            `space_id` of its item tower; a text encoder alone has one of its own.
        fingerprint: Which tower this is: canonical tensors and preprocessing. Keys the store.
        uses_language: Whether `encode` needs `languages`.
        pre_projection_dim: Width of its `pre_projection`; None where it is D.
        encodes_in_threads: Whether several threads may ask it at once, and that pays.
        worth_storing: Whether a store is faster than to encode again.
        languages: Ids of the languages that it declares; empty where it says nothing.
        ids: What can be asked for, of a tower that looks its vectors up; None for all others.
        trainable: Whether a recipe can train it further.
    """

    modality: Modality
    dim: int
    space_id: str
    fingerprint: str
    uses_language: bool = False
    pre_projection_dim: int | None = None
    worth_storing: bool = True
    languages: Sequence[str] = ()
    trainable: bool = False

    @property
    def encodes_in_threads(self) -> bool:
        """False: one batch after the other."""
        return False

    @property
    def ids(self) -> Collection[str] | None:
        """None: it encodes what it is given."""
        return None

    @abstractmethod
    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Encode items.

        Args:
            items: N texts; or N images or sounds, decoded (a PIL image, a `Sound`) or as
                `preprocess` gives them.
            languages: N language ids, one a row; required where `uses_language`.
            output: `pre_projection` asks for the features in front of the last projection.

        Returns:
            float32 (N, D), raw: not normalised, evaluation mode, no gradient.
        """

    def require_encoder(self) -> None:  # noqa: B027 - most towers encode
        """Refuse a tower that only looks up what was encoded elsewhere.

        Raises:
            ConfigError: It is one.
        """

    def preprocess(self, item: Any) -> Any:
        """One decoded item in the form that `encode` takes in its place; threads run it ahead."""
        return item

    def save(self, folder: Path) -> None:
        """Write the tower into a new folder.

        Raises:
            StoreError: A tower of this kind cannot be written.
        """
        raise errors.StoreError(
            f"{type(self).__name__} cannot be written into a folder as {folder.name}; "
            "only towers with a save() can",
            hint="refer to it by name instead, as in hf:NAME",
        )
