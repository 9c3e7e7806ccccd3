"""Approximate nearest neighbours: Lance's vector index in a store's table.

Legend: Q queries, M rows, D width, K answers of a query.

A table without an index is read into memory once, and every row compared. In one with an index
partitions are probed, and the best candidates compared again with their exact vectors: scores are
exact, and what is missed is said by the index's facts, which `ann_build` measured. Rows that
were added since the index was built are all compared; rows that are gone never answer.

The index and its facts lie inside the Lance table, and go with it to object storage.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.storage import manifest_fields, schema
from polyglance.storage.manifest_fields import Count, Name, Share, at_least
from polyglance.vectors import Vectors, check_shape

if TYPE_CHECKING:
    import lance
    import pyarrow

Rows = NDArray[np.int64]

INDEX_NAME = "nearest"
FACTS_KEY = "polyglance.vector_index"
# Five bits a number find the right ones among half as many candidates again (1,000,000 x 512: from
# 15 to 300 candidates for the 10 to 200 nearest miss nothing that a quarter more would find); to
# fetch a candidate's exact vector costs about 0.03 ms.
CANDIDATES = 1.5
LEAST_CANDIDATES = 20
# What a filter lets through is compared row by row up to here; above, so many times the partitions
# are looked into.
EXACT_ROWS = 5_000
FILTERED_PROBES = 4
# Rows that are compared at a time, and conditions whose rows are kept.
COMPARED_ROWS = 65_536
KEPT_CONDITIONS = 64


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """What an index is, and how well it finds.

    Attributes:
        space_id: The space its vectors lie in.
        num_trained: Rows when its partitions were chosen.
        num_partitions: Into so many.
        num_probes: Partitions that a query looks into.
        num_rows: Rows when it was measured.
        recall_rows: Share of the ten nearest that it finds, for rows of the table as queries.
        recall_texts: The same for texts; None where no text side was at hand.
        seconds: What it took to build or extend and to measure.
    """

    space_id: Name
    num_trained: Count
    num_partitions: Annotated[int, at_least(1)]
    num_probes: Annotated[int, at_least(1)]
    num_rows: Count
    recall_rows: Share
    recall_texts: Share | None
    seconds: Annotated[float, at_least(0)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """The answers of one query, best first.

    Attributes:
        rows: Int64 (K,), positions in the order of the table, as of `Store.ids`.
        scores: Float32 (K,), exact products with the query.
    """

    rows: Rows
    scores: Vectors


def facts_of(table: lance.LanceDataset) -> IndexFacts | None:
    """The facts of a table's index; None where it has none."""
    noted = table.config().get(FACTS_KEY)
    if noted is None or all(one.name != INDEX_NAME for one in table.describe_indices()):
        return None
    return manifest_fields.read(
        IndexFacts,
        json.loads(noted),
        place=f"the vector index of {table.uri}",
        hint="build it again: polyglance index, or polyglance check-index --repair",
    )


class Nearest:
    """A table that is open for search, as it was when it was opened; safe to share by threads.

    Args:
        table: The Lance table of a store: unit vectors in the column `vector`.
        facts: Of its index; None for those that stand in the table.

    Attributes:
        facts: Of its index; None where every row is compared.
    """

    def __init__(self, table: lance.LanceDataset, *, facts: IndexFacts | None = None) -> None:
        self._table = table
        self._width = int(table.schema.field("vector").type.list_size)
        self._passing: dict[str, NDArray[np.uint8]] = {}  # a bit a row
        self.facts = facts or facts_of(table)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds beside vectors and index: numbers of rows, what conditions let by."""
        first_numbers, first_rows = self._runs
        conditions = sum(kept.nbytes for kept in self._passing.values())
        return conditions + first_numbers.nbytes + first_rows.nbytes

    def warm_up(self) -> None:
        """Read the index, or the vectors where there is none, so that the first query is quick."""
        if self.facts is None:
            _ = self._matrix
        else:
            self._table.prewarm_index(INDEX_NAME)
            _ = self._runs

    def search(
        self,
        queries: Vectors,
        *,
        top: int,
        where: str | None = None,
        num_probes: int | None = None,
    ) -> list[Found]:
        """The nearest rows of each query, best first; of equal scores the earlier row.

        Args:
            queries: Float32 (Q, D), unit.
            top: K, 1 or more; fewer come back where fewer rows pass.
            where: A condition of Lance that rows must meet; decided before anything is ranked.
            num_probes: Partitions to look into; None for what was measured to be enough.

        Raises:
            ConfigError: `top` below 1.
            VectorError: Queries of another type or width.
        """
        self._check(queries, top=top)
        if where is not None:
            return self._among(queries, top=top, allowed=self.passing(where), where=where)
        if self.facts is None:
            return self._compare(queries, top=top, allowed=None)
        count = max(math.ceil(CANDIDATES * top), LEAST_CANDIDATES)
        probes = num_probes or self.facts.num_probes
        return [self._probe(query, top=top, count=count, num_probes=probes) for query in queries]

    def search_among(self, queries: Vectors, *, top: int, allowed: Rows) -> list[Found]:
        """As `search`, among some rows.

        Args:
            queries: Float32 (Q, D), unit.
            top: K, 1 or more.
            allowed: Positions of these rows, rising.
        """
        self._check(queries, top=top)
        return self._among(queries, top=top, allowed=allowed, where=None)

    def passing(self, where: str) -> Rows:
        """Positions of the rows that meet a condition of Lance, rising; kept for the next query.

        Raises:
            InputError: It cannot be decided.
        """
        count = self._num_rows
        kept = self._passing.get(where)
        if kept is None:
            try:
                table = self._table.scanner(columns=[], filter=where, with_row_id=True).to_table()
            except (OSError, ValueError) as error:
                raise errors.InputError(
                    f"the condition {where!r} cannot be decided: {errors.first_line(error)}",
                    hint="conditions are Lance's; columns are those of the index",
                ) from error
            passes = np.zeros(count, np.bool_)
            passes[self._positions(table)] = True
            kept = np.packbits(passes)
            if len(self._passing) >= KEPT_CONDITIONS:
                self._passing.clear()
            self._passing[where] = kept
        return np.flatnonzero(np.unpackbits(kept, count=count).view(np.bool_))

    def vectors_at(self, rows: Rows) -> Vectors:
        """The vectors at positions, in their order: float32 (rows, D)."""
        if self.facts is None:
            return self._matrix[rows]
        if not len(rows):
            return np.empty((0, self._width), np.float32)
        taken = self._table.take(rows.tolist(), columns=["vector"])["vector"]
        found = np.concatenate([schema.matrix(chunk) for chunk in taken.chunks])
        return self._sound(found)

    def _sound(self, vectors: Vectors) -> Vectors:
        """Vectors as they were read; damaged ones are refused, however few a search reads."""
        place = os.path.dirname(self._table.uri.removeprefix("file://"))
        return schema.require_unit(vectors, place=place)

    def _check(self, queries: Vectors, *, top: int) -> None:
        if top < 1:
            raise errors.ConfigError(f"top {top}; it must be at least 1", hint="try top=10")
        check_shape(queries, dim=self._width, num_rows=len(queries))

    def _among(
        self, queries: Vectors, *, top: int, allowed: Rows, where: str | None
    ) -> list[Found]:
        """The nearest of the allowed rows, which are those that meet `where` if that is given.

        Many of them are probed as if all were allowed. Where that leaves too few, since they lie
        far from the query, Lance filters first, or every one is compared.
        """
        facts = self.facts
        if facts is None or len(allowed) <= EXACT_ROWS:
            return self._compare(queries, top=top, allowed=allowed)
        probes = min(FILTERED_PROBES * facts.num_probes, facts.num_partitions)
        share = len(allowed) / self._num_rows
        count = math.ceil(max(CANDIDATES * top, LEAST_CANDIDATES) / share)
        found = []
        for query in queries:
            near = self._probe(query, top=count, count=count, num_probes=probes)
            passes = is_among(near.rows, allowed)
            if passes.sum() >= top:
                found.append(Found(rows=near.rows[passes][:top], scores=near.scores[passes][:top]))
            elif where is not None:
                found.append(
                    self._probe(query, top=top, count=2 * top, num_probes=probes, where=where)
                )
            else:
                found += self._compare(query[None], top=top, allowed=allowed)
        return found

    def _probe(
        self, query: Vectors, *, top: int, count: int, num_probes: int, where: str | None = None
    ) -> Found:
        """One query through the index: `count` candidates, compared again, the best of them."""
        found = self._table.scanner(
            columns=["vector", "_distance"],
            filter=where,
            prefilter=where is not None,
            with_row_id=True,
            nearest={
                "column": "vector",
                "q": query,
                "k": count,
                "metric": "cosine",
                "minimum_nprobes": num_probes,
                "maximum_nprobes": None if where is not None else num_probes,
            },
        ).to_table()
        parts = [schema.matrix(chunk) for chunk in found["vector"].chunks]
        vectors = self._sound(
            np.concatenate(parts) if parts else np.empty((0, len(query)), np.float32)
        )
        rows = self._positions(found)
        scores = vectors @ query  # (C,)
        best = np.lexsort((rows, -scores))[:top]
        return Found(rows=rows[best], scores=scores[best])

    def _compare(self, queries: Vectors, *, top: int, allowed: Rows | None) -> list[Found]:
        """Every row, or every allowed one, block by block."""
        rows = np.arange(len(self._matrix)) if allowed is None else allowed
        found = [Found(rows=rows[:0], scores=np.empty(0, np.float32))] * len(queries)
        for start in range(0, len(rows), COMPARED_ROWS):
            block = rows[start : start + COMPARED_ROWS]
            stop = start + COMPARED_ROWS
            vectors = self._matrix[start:stop] if allowed is None else self.vectors_at(block)
            scores = queries @ vectors.T  # (Q, B)
            for q, (before, row) in enumerate(zip(found, scores, strict=True)):
                both = np.concatenate([before.scores, row])
                best = best_of(both, top=top)
                at = np.concatenate([before.rows, block])[best]
                found[q] = Found(rows=at, scores=both[best])
        return found

    def _positions(self, found: pyarrow.Table) -> Rows:
        """Lance's numbers of rows as positions."""
        numbers = found["_rowid"].to_numpy().astype(np.int64)
        first_numbers, first_rows = self._runs
        at = np.searchsorted(first_numbers, numbers, "right") - 1
        rows: Rows = first_rows[at] + (numbers - first_numbers[at])
        return rows

    @cached_property
    def _num_rows(self) -> int:
        return int(self._table.count_rows())

    @cached_property
    def _runs(self) -> tuple[Rows, Rows]:
        """Lance's own numbers of rows, which rise by 1 but where rows went or a piece ends.

        Returns:
            The first number of each run of them, and its position.
        """
        table = self._table.scanner(columns=[], with_row_id=True).to_table()
        numbers = table["_rowid"].to_numpy().astype(np.int64)  # (M,)
        starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
        return numbers[starts], starts

    @cached_property
    def _matrix(self) -> Vectors:
        """All vectors, float32 (M, D)."""
        table = self._table.to_table(columns=["vector"])["vector"]
        parts = [schema.matrix(chunk) for chunk in table.chunks]
        return self._sound(
            np.concatenate(parts) if parts else np.empty((0, self._width), np.float32)
        )


def is_among(rows: Rows, allowed: Rows) -> NDArray[np.bool_]:
    """Which rows are among the allowed ones.

    Args:
        rows: Int64 (K,).
        allowed: Int64 (A,), rising.

    >>> is_among(np.array([7, 2]), np.array([1, 2, 5])).tolist()
    [False, True]
    """
    first, last = (np.searchsorted(allowed, rows, side) for side in ("left", "right"))
    found: NDArray[np.bool_] = first < last
    return found


def best_of(scores: Vectors, *, top: int) -> Rows:
    """Positions of the best scores, in order; of equal ones the earlier.

    Args:
        scores: Float32 (M,).
        top: How many at most.

    >>> best_of(np.array([0.5, 0.9, 0.5, 0.1], np.float32), top=2).tolist()
    [1, 0]
    """
    count = min(top, len(scores))
    if not count:
        return np.empty(0, np.int64)
    worst = np.partition(scores, len(scores) - count)[len(scores) - count]
    among = np.flatnonzero(scores >= worst)
    best: Rows = among[np.argsort(-scores[among], kind="stable")][:count].astype(np.int64)
    return best
