"""Where are the pictures, as vectors? Open an index, and find the nearest rows.

Legend: Q queries, M indexed items, D width of the space.

An index is a store of unit vectors in the model's space, so that a search is one product. It notes
the model it was made with: without a pack, that model's own text side answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from polyglance import errors
from polyglance.affine import Vectors
from polyglance.model import TextSpeakers, load_side
from polyglance.packs import LanguagePack
from polyglance.search import columns
from polyglance.spaces import require_equivalent
from polyglance.store import Store


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One answer.

    Attributes:
        rank: From 1.
        id: Which item.
        score: Cosine with the query.
        path: The file, where the item is one.
    """

    rank: int
    id: str
    score: float
    path: str


class Index:
    """An index that is open for search.

    Args:
        path: The folder that `indexing.build` wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.store = Store.open(self.path)
        self._columns: dict[str, Vectors] = {}

    @property
    def space_id(self) -> str:
        """The space that its vectors lie in."""
        return self.store.facts.space_id

    @property
    def model(self) -> str:
        """Reference of the model it was made with."""
        return str(self.store.extra_facts["model"])

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the M items, in the order of `vectors`."""
        return self.store.ids()

    @cached_property
    def vectors(self) -> Vectors:
        """Float32 (M, D), unit."""
        return self.store.vectors()

    @cached_property
    def paths(self) -> list[str]:
        """Files of the M items."""
        return [str(path) for path in self.store.columns(["path"])["path"]]

    def speakers(self, pack: LanguagePack | None) -> TextSpeakers:
        """Who answers queries to this index; the teacher's tower is loaded only if it must speak.

        Args:
            pack: A pack of this space, or None.

        Raises:
            SpaceMismatchError: For a pack of another space.
        """
        teacher = cache(lambda: load_side(self.model, "text"))
        if pack is not None and pack.manifest.space_id != self.space_id:
            alone = TextSpeakers(self.store.facts.dim, teacher, None)
            require_equivalent(
                self.model,
                pack.manifest.teacher,
                probes=pack.probes,
                encode=lambda texts: alone.encode_texts(texts, languages=None),
            )
        return TextSpeakers(self.store.facts.dim, teacher, pack)

    def vectors_for(self, pack: LanguagePack | None) -> Vectors:
        """What the queries of a pack are compared with: the base column, or the pack's own.

        A pack with a content head has its column made on its first query, block by block.

        Args:
            pack: The pack that spoke; None where the teacher did.

        Returns:
            Float32 (M, E), unit, in the order of `ids`.
        """
        if pack is None or pack.manifest.content == "unchanged":
            return self.vectors
        if pack.column_id not in self._columns:
            self._columns[pack.column_id] = columns.column_vectors(self.store, pack)
        return self._columns[pack.column_id]

    def search(
        self, queries: Vectors, *, top: int = 10, pack: LanguagePack | None = None
    ) -> list[list[Hit]]:
        """The nearest items of each query, best first; equal scores in the order of the ids.

        Args:
            queries: Float32 (Q, D), unit.
            top: How many answers a query, at least 1.
            pack: The pack that encoded the queries; None where the teacher did.

        Raises:
            ConfigError: For `top` below 1.
        """
        if top < 1:
            raise errors.ConfigError(f"top {top}; it must be at least 1", hint="try --top 10")
        scores = queries @ self.vectors_for(pack).T  # (Q, M)
        return [self._hits(row, top) for row in scores]

    def _hits(self, scores: Vectors, top: int) -> list[Hit]:
        top = min(top, len(scores))
        best = np.argpartition(-scores, top - 1)[:top] if top < len(scores) else np.arange(top)
        ordered = sorted(best, key=lambda i: (-scores[i], self.ids[i]))
        return [
            Hit(rank=rank, id=self.ids[i], score=float(scores[i]), path=self.paths[i])
            for rank, i in enumerate(ordered, 1)
        ]
