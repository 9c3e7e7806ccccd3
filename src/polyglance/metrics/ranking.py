"""Exact ranks: how many candidates stand before each query's best positive, in tiles.

Legend: N queries, M candidates, D width, P pairs of a query and a positive.

Scores are dot products as float64 would have them, of whatever is given: unit-norm rows make them
cosines, raw rows are taken as they are. Two scores are *tied* where they differ by less than the
rounding of a float64 sum of D products can make of equal ones (for unit rows of 512 about 1e-13).

How it is exact and quick. The tiles come from float32 matrix products, which decide every
candidate whose score differs from the best positive's by more than float32 rounding can explain;
the few that do not are scored again in float64. So the result does not depend on how a BLAS
orders its sums: identical candidates tie although an edge kernel may have given them other bits,
and a positive's score, needed before the first tile for the column direction, need not be
bit-equal to the product's. (The plain ways around that are a second pass of products, twice
the time, or trust in one BLAS's kernels.)

By hand, since libraries sort whole rows of scores and break ties by order or by name.

Measured on two cores of an AMD EPYC, 25,000 x 5,000, D = 512: tile after tile, with two BLAS
threads, 0.95 s, of which the products take 0.66; a tile a core, with one BLAS thread each, 0.79 s.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from polyglance import errors
from polyglance.metrics.relevance import Integers, Relevance
from polyglance.metrics.ties import tie_width
from polyglance.vectors import AnyVectors

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
WithoutPositive = Literal["refuse", "leave out"]

# A tile of 512 x 2560 float32 scores is 5 MB, with two masks 8 MB; each core has one. From 256 to
# 1024 rows the times are within a tenth.
BLOCK_ROWS = 512
TILE_COLUMNS = 2560
NUM_WORKERS = min(8, os.cpu_count() or 1)
# Above this share of undecided cells a whole tile in float64 is cheaper than single pairs.
DENSE_SHARE = 1 / 64
# Numbers turned into float64 at a time: 128 KB. Pieces of 4 MB came from fresh pages each time and
# took 8 times as long (norms of 1,000 x 512: 4.3 against 0.5 ms).
PAIR_BUDGET = 1 << 14
SHOWN_ROWS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class RankStatistics:
    """Where the best positive of each query stands; every rank metric follows from it.

    Attributes:
        num_candidates: M, whatever is excluded.
        query_rows: (Q,) which of the N queries: all, unless some without a positive were left out.
        above: (Q,) candidates that score higher than the best positive; none is a positive.
        tied_negatives: (Q,) candidates that are no positives and tie with the best positive.
        tied_positives: (Q,) positives that tie with the best one, itself included; 1 or more.
    """

    num_candidates: int
    query_rows: Integers
    above: Integers
    tied_negatives: Integers
    tied_positives: Integers


def rank_statistics(
    queries: AnyVectors,
    candidates: AnyVectors,
    *,
    relevance: Integers | Relevance,
    without_positive: WithoutPositive = "refuse",
    excluded: Integers | None = None,
    block_rows: int = BLOCK_ROWS,
) -> RankStatistics:
    """Count, for each query, the candidates above and level with its best positive.

    Args:
        queries: (N, D), finite; unit-norm for cosines, else raw dot products.
        candidates: (M, D), finite.
        relevance: The one positive of each query, (N,), or a map.
        without_positive: What to do with a query that has no positive.
        excluded: (N,) a candidate that the query does not look among, as itself; no positive.
        block_rows: Rows of a tile of scores, 1 or more.

    Raises:
        VectorError: For vectors that are not finite or do not fit each other.
        InputError: For relevance or exclusions that do not fit, or a query without a positive.

    >>> found = rank_statistics(np.eye(2), np.eye(2), relevance=np.array([1, 1]))
    >>> found.above.tolist(), found.tied_positives.tolist()
    ([1, 0], [1, 1])
    """
    problem = _Problem.of(queries, candidates, relevance=relevance)
    rows = problem.side(0)
    if excluded is not None:
        problem.check_excluded(excluded)
    _count_tiles(problem, sides=(rows,), block_rows=block_rows)
    if excluded is not None:
        rows.leave_out(problem, excluded)
    return rows.statistics(problem, without_positive=without_positive)


def rank_statistics_both_ways(
    texts: AnyVectors,
    contents: AnyVectors,
    *,
    relevance: Integers | Relevance,
    without_positive: WithoutPositive = "refuse",
    block_rows: int = BLOCK_ROWS,
) -> tuple[RankStatistics, RankStatistics]:
    """Count text-to-content and content-to-text in one pass over the tiles of scores.

    Args:
        texts: (N, D), finite; unit-norm for cosines, else raw dot products.
        contents: (M, D), finite.
        relevance: From texts to contents; the other direction is its transpose.
        without_positive: What to do with a text or content that has no positive.
        block_rows: Rows of a tile of scores, 1 or more.

    Returns:
        Statistics with texts as queries, then with contents as queries.

    Raises:
        VectorError: For vectors that are not finite or do not fit each other.
        InputError: For relevance that does not fit, or a query without a positive.
    """
    problem = _Problem.of(texts, contents, relevance=relevance)
    rows, columns = problem.side(0), problem.side(1)
    _count_tiles(problem, sides=(rows, columns), block_rows=block_rows)
    return (
        rows.statistics(problem, without_positive=without_positive),
        columns.statistics(problem, without_positive=without_positive),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """Checked input: vectors, their norms, and the float64 scores of all positive pairs."""

    queries: AnyVectors
    candidates: AnyVectors
    query_norms: Doubles  # (N,)
    candidate_norms: Doubles  # (M,)
    pair_rows: Integers  # (P,)
    pair_columns: Integers  # (P,)
    pair_scores: Doubles  # (P,)

    @staticmethod
    def of(
        queries: AnyVectors, candidates: AnyVectors, *, relevance: Integers | Relevance
    ) -> _Problem:
        """Check everything that can be wrong before the work begins."""
        query_norms = _finite_norms(queries, name="queries")
        candidate_norms = _finite_norms(candidates, name="candidates")
        if queries.shape[1] != candidates.shape[1]:
            raise errors.VectorError(
                f"queries are {queries.shape[1]} wide and candidates {candidates.shape[1]}",
                hint="encode both with the towers of one space",
            )
        known = relevance if isinstance(relevance, Relevance) else Relevance.of(relevance)
        known.check(num_queries=len(queries), num_candidates=len(candidates))
        rows, columns = known.rows, known.indices
        return _Problem(
            queries=queries,
            candidates=candidates,
            query_norms=query_norms,
            candidate_norms=candidate_norms,
            pair_rows=rows,
            pair_columns=columns,
            pair_scores=_pair_scores(queries, candidates, rows=rows, columns=columns),
        )

    def side(self, axis: int) -> _Side:
        """Best positives and thresholds; axis 0 asks with queries, axis 1 with candidates."""
        own, other = self.query_norms, self.candidate_norms
        pairs = self.pair_rows
        if axis == 1:
            own, other, pairs = other, own, self.pair_columns
        size = own * other.max(initial=0.0)  # (n,): no score of a query exceeds it
        width = self.queries.shape[1]
        tie = tie_width(width, size)
        best = np.full(len(own), -np.inf)
        np.maximum.at(best, pairs, self.pair_scores)
        level = self.pair_scores >= (best - tie)[pairs]
        tied_positives = np.bincount(pairs[level], minlength=len(own))
        # Nothing reaches infinity: a query without a positive counts nothing.
        best[tied_positives == 0] = np.inf
        # The float32 product: rounding of both inputs and of D sums, and what underflows.
        slack = tie + (width + 8) * 2.0**-24 * size
        scale = self.query_scale * self.candidate_scale
        tiny = width * float(np.finfo(np.float32).tiny)
        low, high = (best - slack) * scale - tiny, (best + slack) * scale + tiny
        return _Side(
            axis=axis,
            best=best,
            tie=tie,
            low=np.nextafter(low.astype(np.float32), np.float32(-np.inf)),
            high=np.nextafter(high.astype(np.float32), np.float32(np.inf)),
            tied_positives=tied_positives,
            above=np.zeros(len(own), dtype=np.int64),
            tied=np.zeros(len(own), dtype=np.int64),
        )

    def check_excluded(self, excluded: Integers) -> None:
        """Refuse exclusions of another number, out of range, or of a positive."""
        fits = excluded.shape == (len(self.queries),) and bool(
            ((excluded >= 0) & (excluded < len(self.candidates))).all()
        )
        if not fits or (excluded[self.pair_rows] == self.pair_columns).any():
            raise errors.InputError(
                f"excluded {excluded.shape} of {len(self.queries)} queries; it names one candidate "
                f"a query, from 0 to {len(self.candidates) - 1}, and none that is right",
                hint="give the place of each query itself among the candidates",
            )

    @property
    def query_scale(self) -> float:
        """A power of two that brings the queries near length 1."""
        return _scale(self.query_norms)

    @property
    def candidate_scale(self) -> float:
        """A power of two that brings the candidates near length 1."""
        return _scale(self.candidate_norms)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One direction of asking: its thresholds, and the counts that the tiles add to."""

    axis: int
    best: Doubles  # (n,) score of the best positive; inf where there is none
    tie: Doubles  # (n,) how near a score is level with it
    low: Singles  # (n,) a float32 score below it is certainly lower
    high: Singles  # (n,) a float32 score above it is certainly higher
    tied_positives: Integers  # (n,)
    above: Integers  # (n,)
    tied: Integers  # (n,) positives included
    counting: threading.Lock = field(default_factory=threading.Lock)  # held while adding to them

    def leave_out(self, problem: _Problem, excluded: Integers) -> None:
        """Take one candidate a query out of the counts, by the scores that counted it."""
        rows = np.arange(len(excluded))
        scores = _pair_scores(problem.queries, problem.candidates, rows=rows, columns=excluded)
        difference = scores - self.best
        self.above[:] -= difference > self.tie
        self.tied[:] -= np.abs(difference) <= self.tie

    def statistics(self, problem: _Problem, *, without_positive: WithoutPositive) -> RankStatistics:
        """What was counted, once all tiles are done."""
        asked = self.tied_positives > 0
        if without_positive == "refuse" and not asked.all():
            lacking = np.flatnonzero(~asked)
            kind = ("queries", "candidates")[self.axis]
            raise errors.InputError(
                f"{len(lacking)} of {len(asked)} {kind} have no positive, "
                f"the first are {lacking[:SHOWN_ROWS].tolist()}",
                hint="drop them, or pass without_positive='leave out'",
            )
        rows = np.flatnonzero(asked)
        positives = self.tied_positives[rows]
        return RankStatistics(
            num_candidates=len((problem.candidates, problem.queries)[self.axis]),
            query_rows=rows,
            above=self.above[rows],
            tied_negatives=np.maximum(self.tied[rows] - positives, 0),
            tied_positives=positives,
        )


def _count_tiles(problem: _Problem, *, sides: tuple[_Side, ...], block_rows: int) -> None:
    """Compute each tile of scores once and add what it says to the counts of each side."""
    if block_rows < 1:
        raise errors.ConfigError(
            f"block_rows is {block_rows}; it is 1 or more", hint=f"leave it at {BLOCK_ROWS}"
        )
    candidates = _singles(problem.candidates, scale=problem.candidate_scale)
    blocks = list(_even_slices(len(problem.queries), largest=block_rows))
    cells = min(block_rows, len(problem.queries)) * min(TILE_COLUMNS, len(candidates))
    own = threading.local()

    def count(rows: slice) -> None:
        if not hasattr(own, "buffer"):
            own.buffer, own.masks = np.empty(cells, np.float32), np.empty((2, cells), np.bool_)
        block = _singles(problem.queries[rows], scale=problem.query_scale)
        for columns in _even_slices(len(candidates), largest=TILE_COLUMNS):
            part = candidates[columns]
            shape = (len(block), len(part))
            used = shape[0] * shape[1]
            scores = np.matmul(block, part.T, out=own.buffer[:used].reshape(shape))
            masks = own.masks[:, :used].reshape(2, *shape)
            for side in sides:
                _tally(problem, scores, side=side, tile=(rows, columns), masks=masks)

    if len(blocks) == 1:
        count(blocks[0])
        return
    # A BLAS with threads of its own would have them wait, spinning, while the others count.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(NUM_WORKERS) as pool:
        list(pool.map(count, blocks))


def _tally(
    problem: _Problem,
    scores: Singles,
    *,
    side: _Side,
    tile: tuple[slice, slice],
    masks: NDArray[np.bool_],
) -> None:
    """Add one tile to the counts of one side."""
    span = tile[side.axis]
    shape = (-1, 1) if side.axis == 0 else (1, -1)
    higher, undecided = masks
    np.greater(scores, side.high[span].reshape(shape), out=higher)
    certain = _count_along(higher, axis=1 - side.axis)
    with side.counting:
        side.above[span] += certain
    np.greater_equal(scores, side.low[span].reshape(shape), out=undecided)
    np.not_equal(undecided, higher, out=undecided)  # `higher` lies inside the other
    cells = np.flatnonzero(undecided)
    if len(cells) > DENSE_SHARE * scores.size:
        # Many level scores, a collapsed model say. In strips, as float64 takes twice the room.
        for strip in _even_slices(scores.shape[0], largest=max(1, scores.shape[0] // 4)):
            _tally_dense(problem, undecided[strip], side=side, tile=tile, strip=strip)
        return
    rows, columns = np.divmod(cells, scores.shape[1])
    rows += tile[0].start
    columns += tile[1].start
    exact = _pair_scores(problem.queries, problem.candidates, rows=rows, columns=columns)
    asked = (rows, columns)[side.axis]
    difference = exact - side.best[asked]
    tie = side.tie[asked]
    with side.counting:
        np.add.at(side.above, asked[difference > tie], 1)
        np.add.at(side.tied, asked[np.abs(difference) <= tie], 1)


def _tally_dense(
    problem: _Problem,
    undecided: NDArray[np.bool_],
    *,
    side: _Side,
    tile: tuple[slice, slice],
    strip: slice,
) -> None:
    """Decide the undecided cells of a strip of a tile by its whole product in float64."""
    rows = slice(tile[0].start + strip.start, tile[0].start + strip.stop)
    columns = tile[1]
    span = (rows, columns)[side.axis]
    shape = (-1, 1) if side.axis == 0 else (1, -1)
    left = problem.queries[rows].astype(np.float64)
    difference = left @ problem.candidates[columns].astype(np.float64).T
    # A query without a positive has an infinite best and no undecided cell.
    difference -= side.best[span].reshape(shape)
    tie = side.tie[span].reshape(shape)
    along = 1 - side.axis
    above = np.count_nonzero(undecided & (difference > tie), axis=along)
    level = np.count_nonzero(undecided & (np.abs(difference) <= tie), axis=along)
    with side.counting:
        side.above[span] += above
        side.tied[span] += level


def _count_along(mask: NDArray[np.bool_], *, axis: int) -> Integers:
    """Count what is true; numpy's own count along an axis is 4 to 10 times slower."""
    if axis == 1:
        found: Integers = np.bitwise_count(np.packbits(mask, axis=1)).sum(axis=1, dtype=np.int64)
        return found
    total = np.zeros(mask.shape[1], dtype=np.int64)
    ones = mask.view(np.uint8)
    for start in range(0, len(ones), 255):  # so many fit a byte
        total += np.add.reduce(ones[start : start + 255], axis=0, dtype=np.uint8)
    return total


def _pair_scores(
    queries: AnyVectors, candidates: AnyVectors, *, rows: Integers, columns: Integers
) -> Doubles:
    """Float64 scores of single pairs, (P,)."""
    scores = np.empty(len(rows), dtype=np.float64)
    step = max(1, PAIR_BUDGET // max(1, queries.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        left = queries[rows[part]].astype(np.float64)
        right = candidates[columns[part]].astype(np.float64)
        scores[part] = np.vecdot(left, right)
    return scores


def _finite_norms(vectors: AnyVectors, *, name: str) -> Doubles:
    """Length of each row, (n,); refuses what is no finite matrix."""
    if vectors.ndim != 2 or vectors.size == 0 or not np.issubdtype(vectors.dtype, np.floating):
        raise errors.VectorError(
            f"{name} are {vectors.dtype} {vectors.shape}; they are a matrix of floats, one row "
            "or more",
            hint="encode them with a tower, or stack them with numpy.stack",
        )
    norms = np.empty(len(vectors), dtype=np.float64)
    step = max(1, PAIR_BUDGET // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step].astype(np.float64)
        largest = np.abs(part).max(axis=1, initial=0.0)  # (rows,)
        if not np.isfinite(largest).all():
            bad = start + np.flatnonzero(~np.isfinite(largest))[:SHOWN_ROWS]
            raise errors.VectorError(
                f"{name} hold NaN or infinity, the first in rows {bad.tolist()}; "
                "vectors are finite",
                hint="embed those items again, or drop them",
            )
        norms[start : start + step] = np.sqrt(np.vecdot(part, part))
    return norms


def _scale(norms: Doubles) -> float:
    """The power of two that brings the longest row to a length in [0.5, 1); 1 where near.

    Float32 products of very long or very short rows would overflow or vanish.
    """
    _, exponent = np.frexp(norms.max(initial=0.0))
    return 1.0 if abs(int(exponent)) <= 20 else float(2.0 ** -int(exponent))


def _singles(vectors: AnyVectors, *, scale: float) -> Singles:
    """Rows as float32 for the product; no copy where nothing changes."""
    if scale != 1.0:
        vectors = vectors.astype(np.float64) * scale
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _even_slices(length: int, *, largest: int) -> Iterator[slice]:
    """Cut a length into slices of nearly equal size, none above the largest."""
    parts = max(1, -(-length // largest))
    edges = [length * part // parts for part in range(parts + 1)]
    return (slice(start, stop) for start, stop in itertools.pairwise(edges))
