"""Ties: which scores are level, and which candidates share the first place of a query.

Scores are dot products as float64 has them. Two are level where they differ by less than rounding
makes of equal ones, so that no result depends on the order in which a BLAS adds.

Legend: N queries, M candidates, D width, P first places.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from polyglance.vectors import AnyVectors

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Size = TypeVar("Size", float, Doubles)

BLOCK_QUERIES = 512
BLOCK_CANDIDATES = 4096
BLOCK_PAIRS = 1 << 16


def tie_width(width: int, size: Size) -> Size:
    """How far two float64 scores of equal products may lie apart.

    Args:
        width: D, how many products are added.
        size: The length of the one vector times that of the other; (N,) for N queries.

    Each of the two is off by at most (D + 2) roundings of its size.
    """
    return 2 * (width + 2) * 2.0**-53 * size


def first_places(queries: AnyVectors, candidates: AnyVectors) -> tuple[Integers, Integers]:
    """The candidates that are level at the top of each query.

    What comes within float32's rounding of the best is compared again in float64.

    Args:
        queries: (N, D), finite; N may be 0.
        candidates: (M, D), finite, one or more.

    Returns:
        Queries and candidates of the P first places, by rising query; each query has one or more.

    >>> points = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> [part.tolist() for part in first_places(points[:2], points)]
    [[0, 0, 1], [0, 2, 1]]
    """
    longest = float(np.sqrt(np.vecdot(candidates, candidates, dtype=np.float64).max()))
    found = []
    for start in range(0, len(queries) or 1, BLOCK_QUERIES):
        asked = queries[start : start + BLOCK_QUERIES]
        size = np.sqrt(np.vecdot(asked, asked, dtype=np.float64)) * longest  # (B,)
        rows, columns = _near_pairs(asked, candidates, size=size)
        level = _level(asked, candidates, rows=rows, columns=columns, size=size)
        found.append((rows[level] + start, columns[level]))
    rows, columns = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]


def _near_pairs(
    queries: AnyVectors, candidates: AnyVectors, *, size: Doubles
) -> tuple[Integers, Integers]:
    """Queries and candidates that are near enough to be the best: (P,) each."""
    width = queries.shape[1]
    slack = 4 * (width + 8) * 2.0**-24 * size  # of two float32 products
    asked = np.ascontiguousarray(queries, np.float32)
    best = np.full(len(asked), -np.inf)
    parts = []
    for start in range(0, len(candidates), BLOCK_CANDIDATES):
        block = np.ascontiguousarray(candidates[start : start + BLOCK_CANDIDATES], np.float32)
        scores = asked @ block.T  # (B, block)
        best = np.maximum(best, scores.max(axis=1))
        rows, columns = np.nonzero(scores >= (best - slack)[:, None])
        parts.append((rows, columns + start, scores[rows, columns]))
    rows, columns, near = (np.concatenate(part) for part in zip(*parts, strict=True))
    still = near >= (best - slack)[rows]
    return rows[still], columns[still]


def _level(
    queries: AnyVectors, candidates: AnyVectors, *, rows: Integers, columns: Integers, size: Doubles
) -> NDArray[np.bool_]:
    """Which pairs have the best score of their query, in float64, (P,)."""
    exact = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK_PAIRS):
        part = slice(start, start + BLOCK_PAIRS)
        exact[part] = np.vecdot(
            queries[rows[part]].astype(np.float64), candidates[columns[part]].astype(np.float64)
        )
    best = np.full(len(queries), -np.inf)
    np.maximum.at(best, rows, exact)
    tie = tie_width(queries.shape[1], size)
    return np.asarray(exact >= (best - tie)[rows], bool)
