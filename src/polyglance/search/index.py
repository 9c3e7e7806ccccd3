"""An open index of unit vectors, and its nearest-neighbour search.

Legend: Q queries, M indexed items, D width of the space.

An index is a store of unit vectors in the model's space, so that a search is one product; a large
one has a vector index (`vector_index`), which looks at the likely part of them, and is not read
into memory. It notes the model it was made with: without a pack, its own text side answers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import TextRouter, load_side
from polyglance.model.pack import LanguagePack
from polyglance.model.same_space import require_equivalent
from polyglance.model.side import Side, SpaceTower
from polyglance.search import relocation
from polyglance.search.filters import Filters
from polyglance.search.folders import Folders
from polyglance.search.fusion import Candidates, Hit
from polyglance.search.item_ids import IdMap, PackedTexts
from polyglance.search.pack_columns import Column
from polyglance.search.request import require_top
from polyglance.storage import schema
from polyglance.storage.ann_index import Nearest, Rows
from polyglance.storage.schema import require_unit
from polyglance.storage.store import Store
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    import pyarrow

BLOCK_SCORES = 2**24  # in memory at a time
# A product differs by so much with what else is computed beside it: copies must not change places.
SAME_SCORE_PLACES = 6
KEPT_FILES = 4096
SHOWN_LETTERS = 80


class ItemFile(NamedTuple):
    """Where the file of an item is.

    Attributes:
        key: Of its content.
        path: Empty where the index holds the vector alone.
        size: Bytes.
        offset: Where it begins in a file that holds several; None where it is the whole file.
    """

    key: str
    path: str
    size: int
    offset: int | None

    @property
    def span(self) -> tuple[int, int] | None:
        """Offset and length of its bytes inside the file; None for all."""
        return None if self.offset is None else (self.offset, self.size)


class Index:
    """An index that is open for search.

    Args:
        path: The folder that `indexing.build` wrote, or the address of a copy on object storage.

    Raises:
        UnavailableError: There is none.
        StoreError: It is damaged, or a store of vectors that is no index.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.store = Store.open(path)
        relocation.require_index(self.store)
        self._lock = threading.Lock()
        self._columns: dict[str, Column] = {}
        self._files: dict[str, ItemFile] = {}

    def reopened(self) -> Index:
        """What lies in its place now: with rows that were written since, or another index.

        Raises:
            UnavailableError: Nothing any more.
            SpaceMismatchError: An index of another space, in which this one's queries mean nothing.
        """
        found = Index(self.path)
        if found.space_id != self.space_id:
            raise errors.SpaceMismatchError(
                f"the index {self.path} was replaced by one of the space {found.space_id}; it was "
                f"opened as one of {self.space_id}",
                hint="open it again: what asks it (a running server) must load the other model",
            )
        return found

    @property
    def space_id(self) -> str:
        """The space that its vectors lie in."""
        return self.store.facts.space_id

    @property
    def is_current(self) -> bool:
        """Whether nothing was written since it was opened, and it is the same index still.

        Raises:
            UnavailableError: It is not there any more.
        """
        return self.store.is_current

    @property
    def model(self) -> str:
        """Reference of the model it was made with, where that is now.

        Raises:
            UnavailableError: It is not at its old place any more.
        """
        return relocation.model_of(self.store)

    def side(self, name: Literal["content", "text"]) -> Side:
        """A side of the model it was made with, which must be that model still.

        Raises:
            UnavailableError: As for `model`.
            SpaceMismatchError: There is another model in its place by now, or one of another width.
        """
        model = self.model
        side = load_side(model, name, space_id=relocation.model_space(self.store))
        if side.dim != self.store.facts.dim:
            raise errors.SpaceMismatchError(
                f"the index {self.path} has vectors of width {self.store.facts.dim}; the model "
                f"{model} has {side.dim}",
                hint="ask with the model or pack that the vectors are of, or index them again with "
                "the right --model",
            )
        return side

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the M items, in the order of `vectors`."""
        return self._texts("id")

    @cached_property
    def paths(self) -> Sequence[str]:
        """Files of the M items; empty for one that has none."""
        return self._texts("path")

    @cached_property
    def id_map(self) -> IdMap:
        """The row of each id."""
        return IdMap(self.ids)

    @cached_property
    def contents(self) -> NDArray[np.int32]:
        """A number for the content of each of the M items, the same for copies: (M,)."""
        keys = self._column_of("key").combine_chunks()
        numbers: NDArray[np.int32] = keys.dictionary_encode().indices.to_numpy()
        return numbers

    @cached_property
    def nearest(self) -> Nearest:
        """The base column with its vector index, if it has one."""
        return Nearest(self.store.table)

    @cached_property
    def vectors(self) -> Vectors:
        """Float32 (M, D), unit.

        Raises:
            StoreError: Some are damaged.
        """
        return require_unit(self.store.vectors(), place=self.path)

    @cached_property
    def folders(self) -> Folders:
        """Where its items lie."""
        return Folders(self.ids, self.paths)

    def require_filters(self, filters: Filters | None) -> None:
        """Refuse filters that cannot be decided here.

        Raises:
            ConfigError: They ask what the index does not hold.
            InputError: A folder holds nothing of it.
        """
        self._condition(filters)

    def num_passing(self, filters: Filters | None) -> int:
        """How many items pass; all of them where there is no filter."""
        where = self._condition(filters)
        return len(self.store) if where is None else len(self.nearest.passing(where))

    def router(self, pack: LanguagePack | None) -> TextRouter:
        """Who answers queries to this index; the teacher's tower is loaded only if it must answer.

        Args:
            pack: A pack of this space, or None.

        Raises:
            SpaceMismatchError: For a pack of another space.
        """
        teacher = cache(lambda: self.side("text"))
        if pack is not None and pack.manifest.space_id != self.space_id:
            self._require_model_space(pack)
            alone = TextRouter(self.store.facts.dim, teacher, None)
            require_equivalent(
                self.model,
                pack.manifest.teacher,
                probes=pack.probes,
                encode=lambda texts: alone.encode_texts(texts, languages=[ENGLISH] * len(texts)),
                look=lambda items: SpaceTower(self.side("content")).encode(items),
            )
        return TextRouter(self.store.facts.dim, teacher, pack)

    def _require_model_space(self, pack: LanguagePack) -> None:
        """Refuse a pack of another space where the vectors lie in one that their owner named.

        The model says nothing of such vectors, so that no comparison of models helps.

        Raises:
            SpaceMismatchError: Names both spaces.
        """
        if relocation.model_space(self.store) != self.space_id:
            theirs = pack.manifest.space_id
            raise errors.SpaceMismatchError(
                f"the index's vectors lie in the space {self.space_id!r}; the pack speaks to the "
                f"space {theirs!r}, of {pack.manifest.teacher}",
                hint="if that model made the vectors, index them again into another --out with "
                f"--space {theirs}; else take a pack of their space",
            )

    def warm_up(self) -> None:
        """Read now what the first search would wait for."""
        _ = self.id_map, self.contents, self.paths
        if self.nearest.facts is not None:
            self.nearest.warm_up()
        else:
            _ = self._order_of_ids, self.vectors

    def _column(self, pack: LanguagePack | None) -> Column | None:
        """The derived column that a pack's queries are compared with; None for the base column.

        A pack with a content head has its column made on its first query, block by block.
        """
        if pack is None or pack.manifest.content == "unchanged":
            return None
        with self._lock:  # two threads would both make the column
            if pack.column_id not in self._columns:
                self._columns[pack.column_id] = Column(self.store, pack)
            return self._columns[pack.column_id]

    def search(
        self, queries: Vectors, *, top: int = 10, pack: LanguagePack | None = None
    ) -> list[list[Hit]]:
        """The nearest items of each query, best first; equal scores in the order of the ids.

        Args:
            queries: Float32 (Q, D), unit.
            top: How many answers a query; see `SearchRequest`.
            pack: The pack that encoded the queries; None where the teacher did.

        Raises:
            ConfigError: For `top` out of range.
        """
        require_top(top)
        return [
            [
                Hit(rank, *found)
                for rank, found in enumerate(
                    zip(listed.ids, listed.scores, listed.paths, strict=True), 1
                )
            ]
            for listed in self.candidates(queries, count=top, pack=pack)
        ]

    def candidates(
        self,
        queries: Vectors,
        *,
        count: int,
        pack: LanguagePack | None = None,
        filters: Filters | None = None,
    ) -> list[Candidates]:
        """The nearest items of each query that pass the filters, best first.

        Args:
            queries: Float32 (Q, D), unit.
            count: How many at most, 1 or more.
            pack: The pack that encoded the queries; None where the teacher did.
            filters: What they must satisfy.

        Raises:
            ConfigError: For filters that ask what the index does not hold.
        """
        column, where = self._column(pack), self._condition(filters)
        if self.nearest.facts is not None if column is None else column.nearest is not None:
            return self._probed(queries, count=count, where=where, column=column)
        vectors = self.vectors if column is None else column.vectors
        rows = None if where is None else self.nearest.passing(where)
        compared = vectors if rows is None else vectors[rows]
        block = max(1, BLOCK_SCORES // max(1, len(compared)))
        return [
            self._best(scores, count=count, rows=rows)
            for start in range(0, len(queries), block)
            for scores in queries[start : start + block] @ compared.T  # (B, M)
        ]

    def vectors_at(self, rows: Sequence[int]) -> Vectors:
        """Float32 (rows, D), unit, in the model's space: of these rows, in their order."""
        if self.nearest.facts is not None:
            return self.nearest.vectors_at(np.asarray(rows, np.int64))
        return self.vectors[rows]

    def vector_of(self, identity: str) -> Vectors:
        """Float32 (D,), unit, of one item in the model's space.

        Raises:
            InputError: The index has no such item.
        """
        found: Vectors = self.vectors_at([self._row_of(identity)])[0]
        return found

    def file_of(self, identity: str) -> ItemFile:
        """Where the file of an item is; kept for those that are asked for again and again.

        Raises:
            InputError: The index has no such item.
        """
        found = self._files.get(identity)
        if found is None:
            row = self._row_of(identity)
            names = [name for name in ItemFile._fields if name in self.store.table.schema.names]
            known = {name: values[0] for name, values in self.columns_at([row], names).items()}
            found = ItemFile(
                key=known["key"],
                path=known.get("path") or "",
                size=known.get("size") or 0,
                offset=known.get("offset"),
            )
            if len(self._files) >= KEPT_FILES:
                self._files.clear()
            self._files[identity] = found
        return found

    def columns_at(self, rows: Sequence[int], names: Sequence[str]) -> dict[str, list[Any]]:
        """Values of these rows, in their order, by the name of the column; read from the table.

        Raises:
            StoreError: They cannot be read.
        """
        with schema.reading(self.store.address or self.path):
            taken = self.store.table.take(list(rows), columns=list(names))
            return {name: taken[name].to_pylist() for name in names}

    def _row_of(self, identity: str) -> int:
        (row,) = self.id_map.rows([identity]).tolist()
        if row < 0:
            shown = identity if len(identity) <= SHOWN_LETTERS else identity[:SHOWN_LETTERS] + "..."
            raise errors.InputError(
                f"the index has no item {shown!r}", hint="take ids from a search"
            )
        return int(row)

    def _probed(
        self, queries: Vectors, *, count: int, where: str | None, column: Column | None
    ) -> list[Candidates]:
        """As `candidates`, through the vector index of the base column or of a pack's."""
        if column is None:
            found = self.nearest.search(queries, top=count, where=where)
            return [self._named(each.rows, each.scores) for each in found]
        allowed = None if where is None else self.nearest.passing(where)
        near = column.near(queries, count=count, allowed=allowed)
        return [self._named(rows, scores) for rows, scores in near]

    def _named(self, rows: Rows, scores: Vectors) -> Candidates:
        """Rows that were found, with their names."""
        listed = rows.tolist()
        return Candidates(
            rows=listed,
            ids=[self.ids[row] for row in listed],
            contents=self.contents[rows].tolist(),
            paths=[self.paths[row] for row in listed],
            scores=scores.tolist(),
        )

    def _texts(self, name: str) -> Sequence[str]:
        """A column of texts: packed where there are many; a list is quicker, and larger."""
        packed = PackedTexts(self._column_of(name))
        return list(packed) if self.nearest.facts is None else packed

    def _column_of(self, name: str) -> pyarrow.ChunkedArray:
        with schema.reading(self.store.address or self.path):
            return self.store.table.to_table(columns=[name])[name]

    def _best(self, scores: Vectors, *, count: int, rows: NDArray[np.intp] | None) -> Candidates:
        """The best of the scores, in order; of equal ones, to six places, whose id comes first.

        Args:
            scores: Float32, of all rows or of some.
            count: How many at most.
            rows: Which rows the scores are of; None for all.
        """
        worst = len(scores) - min(count, len(scores))
        least = np.partition(scores, worst)[worst] if len(scores) else np.inf
        # All that are as good as the last one: the ids decide among them, not where they lie.
        among = np.flatnonzero(scores >= least - 10.0**-SAME_SCORE_PLACES)
        at = among if rows is None else rows[among]
        rounded = np.round(scores[among], SAME_SCORE_PLACES)
        order = np.lexsort((self._order_of_ids[at], -rounded))[:count]
        return self._named(at[order], scores[among[order]])

    @cached_property
    def _order_of_ids(self) -> NDArray[np.int64]:
        """The place of each row's id among all of them, sorted: (M,)."""
        order = np.empty(len(self.ids), np.int64)
        order[sorted(range(len(self.ids)), key=self.ids.__getitem__)] = np.arange(len(self.ids))
        return order

    def _condition(self, filters: Filters | None) -> str | None:
        """What rows must meet; None where all may answer."""
        if filters is None:
            return None
        filters.require(("id", *self.store.extra_columns))
        return filters.condition(self.store.extra_columns, folders=self.folders)
