"""Rank fusion of a query's candidates, with duplicates folded.

Legend: C candidates, D width.

Scores of different packs do not compare, ranks do: where a query was read in several ways, an
item scores the sum of `share / (60 + rank)` over the readings (reciprocal rank fusion; Cormack,
Clarke and Buettcher 2009, with their constant).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyglance.vectors import Vectors

FUSION_RANK = 60


class Hit(NamedTuple):
    """One answer.

    Attributes:
        rank: From 1.
        id: Which item.
        score: Cosine with the query; where several readings were fused, of the one that put the
            item highest.
        path: The file, where the item is one.
        num_folded: How many further items that are the same were folded into this one.
    """

    rank: int
    id: str
    score: float
    path: str
    num_folded: int = 0


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Items that may be answers to one query, best first; C values in each list.

    Attributes:
        rows: Where in the index.
        ids: Which.
        contents: A number for the content of each, the same for copies.
        paths: Their files, or empty texts.
        scores: Cosines with the query.
    """

    rows: Sequence[int]
    ids: Sequence[str]
    contents: Sequence[int]
    paths: Sequence[str]
    scores: Sequence[float]

    def __len__(self) -> int:
        """C."""
        return len(self.rows)


def fuse(readings: Sequence[Candidates], *, shares: Sequence[float]) -> Candidates:
    """One order of several; of one reading, that one.

    Args:
        readings: The candidates of each, best first.
        shares: How much each counts, above 0.
    """
    if len(readings) == 1:
        return readings[0]
    sums: dict[str, float] = {}
    best: dict[str, tuple[int, Candidates]] = {}  # by id: the best place, and in which reading
    for found, share in zip(readings, shares, strict=True):
        for place, identity in enumerate(found.ids):
            sums[identity] = sums.get(identity, 0.0) + share / (FUSION_RANK + place + 1)
            if identity not in best or place < best[identity][0]:
                best[identity] = place, found
    ordered = sorted(sums, key=lambda identity: (-sums[identity], identity))
    places = [best[identity] for identity in ordered]
    return Candidates(
        rows=[found.rows[place] for place, found in places],
        ids=ordered,
        contents=[found.contents[place] for place, found in places],
        paths=[found.paths[place] for place, found in places],
        scores=[found.scores[place] for place, found in places],
    )


def fold(
    found: Candidates,
    *,
    top: int,
    alike: float | None,
    vectors_at: Callable[[Sequence[int]], Vectors],
    without: Collection[str] = (),
) -> list[Hit]:
    """The first `top` that differ, each with the count of the candidates that are the same.

    Args:
        found: Best first.
        top: How many.
        alike: Cosine from which two images count as the same; 1 folds the same content only,
            None folds nothing.
        vectors_at: The unit vectors of rows, float32 (rows, D); asked only for an `alike` below 1.
        without: Ids that are left out.
    """
    vectors = vectors_at(found.rows) if alike is not None and alike < 1 and len(found) else None
    differ = alike is None or len(set(found.contents)) == len(found)
    if vectors is None and not without and differ:
        # All differ, as nearly always.
        first = itertools.islice(zip(found.ids, found.scores, found.paths, strict=True), top)
        return [Hit(rank, *one) for rank, one in enumerate(first, 1)]
    kept: list[int] = []
    num_folded: list[int] = []
    place_of: dict[int, int] = {}
    for candidate, (identity, content) in enumerate(zip(found.ids, found.contents, strict=True)):
        if identity in without:
            continue
        place = None if alike is None else place_of.get(content)
        if place is None and vectors is not None and kept:
            cosines = vectors[kept] @ vectors[candidate]
            nearest = int(np.argmax(cosines))
            place = nearest if cosines[nearest] >= alike else None
        if place is not None:
            num_folded[place] += 1
        elif len(kept) < top:
            place_of[content] = len(kept)
            kept.append(candidate)
            num_folded.append(0)
    return [
        Hit(rank, found.ids[one], found.scores[one], found.paths[one], count)
        for rank, (one, count) in enumerate(zip(kept, num_folded, strict=True), 1)
    ]
