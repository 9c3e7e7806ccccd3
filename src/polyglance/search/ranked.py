"""In which order do answers come? Candidates of a query, fused by rank, the same ones folded.

Legend: C candidates, D width.

Scores of different packs do not compare, ranks do: where a query was read in several ways, an
item scores the sum of `share / (60 + rank)` over the readings (reciprocal rank fusion; Cormack,
Clarke and Buettcher 2009, with their constant).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyglance.affine import Vectors

FUSION_RANK = 60


@dataclass(frozen=True, kw_only=True)
class Hit:
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
class Candidate:
    """An item that may be an answer.

    Attributes:
        id: Which.
        key: Its content.
        path: Its file, or an empty text.
        score: Cosine with the query.
        vector: Float32 (D,), unit.
    """

    id: str
    key: str
    path: str
    score: float
    vector: Vectors


def fuse(readings: Sequence[Sequence[Candidate]], *, shares: Sequence[float]) -> list[Candidate]:
    """One order of several; of one reading, that one.

    Args:
        readings: The candidates of each, best first.
        shares: How much each counts, above 0.
    """
    if len(readings) == 1:
        return list(readings[0])
    sums: dict[str, float] = {}
    best: dict[str, tuple[int, Candidate]] = {}
    for found, share in zip(readings, shares, strict=True):
        for rank, candidate in enumerate(found, 1):
            sums[candidate.id] = sums.get(candidate.id, 0.0) + share / (FUSION_RANK + rank)
            if candidate.id not in best or rank < best[candidate.id][0]:
                best[candidate.id] = rank, candidate
    ordered = sorted(sums, key=lambda identity: (-sums[identity], identity))
    return [best[identity][1] for identity in ordered]


def fold(found: Sequence[Candidate], *, top: int, alike: float | None) -> list[Hit]:
    """The first `top` that differ, each with the count of the candidates that are the same.

    Args:
        found: Best first.
        top: How many.
        alike: Cosine from which two pictures count as the same; 1 folds the same content only,
            None folds nothing.
    """
    kept: list[Candidate] = []
    num_folded: list[int] = []
    place_of: dict[str, int] = {}
    vectors = np.empty((min(top, len(found)), len(found[0].vector) if found else 0), np.float32)
    for candidate in found:
        place = None if alike is None else place_of.get(candidate.key)
        if place is None and alike is not None and alike < 1 and kept:
            cosines = vectors[: len(kept)] @ candidate.vector
            nearest = int(cosines.argmax())
            place = nearest if cosines[nearest] >= alike else None
        if place is not None:
            num_folded[place] += 1
        elif len(kept) < top:
            vectors[len(kept)] = candidate.vector
            place_of[candidate.key] = len(kept)
            kept.append(candidate)
            num_folded.append(0)
    return [
        Hit(rank=rank, id=one.id, score=one.score, path=one.path, num_folded=count)
        for rank, (one, count) in enumerate(zip(kept, num_folded, strict=True), 1)
    ]
