"""Candidates of search requests, and the first distinct answers to each.

Legend: Q queries, D width of the space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from polyglance.search import fusion
from polyglance.search.filters import Filters
from polyglance.search.fusion import Candidates, Hit
from polyglance.search.index import Index
from polyglance.search.query_vectors import QueryVector, column_of
from polyglance.search.request import SearchRequest

# Candidates of a query: for each answer, so that folding has something to choose from; and where
# several vectors are fused, since what stands in the middle of two may come before what leads one.
CANDIDATES, LEAST_CANDIDATES = 1.5, 15
FUSED_CANDIDATES, LEAST_FUSED_CANDIDATES = 4, 60


EncodedRequest = tuple[SearchRequest, Sequence[QueryVector]]


def hits_of(index: Index, asked: Sequence[EncodedRequest]) -> list[tuple[Hit, ...]]:
    """The first answers that differ, of each request; looks further where many are the same."""
    hits: list[tuple[Hit, ...]] = [()] * len(asked)
    counts: dict[int, int] = {}
    for place, (request, vectors) in enumerate(asked):
        wanted = request.top + len(request.without)
        counts[place] = (
            max(LEAST_CANDIDATES, math.ceil(CANDIDATES * wanted))
            if len(vectors) == 1
            else max(LEAST_FUSED_CANDIDATES, FUSED_CANDIDATES * wanted)
        )
    while counts:
        listed = _candidates(index, [(*asked[place], count) for place, count in counts.items()])
        for (place, count), found in zip(list(counts.items()), listed, strict=True):
            request, vectors = asked[place]
            hits[place] = tuple(
                fusion.fold(
                    fusion.fuse(found, shares=[reading.share for reading in vectors]),
                    top=request.top,
                    alike=request.alike,
                    vectors_at=index.vectors_at,
                    without=request.without,
                )
            )
            if len(hits[place]) == request.top or all(len(each) < count for each in found):
                del counts[place]
            else:
                counts[place] = 8 * count
    return hits


def notes_on_nothing(index: Index, filters: Filters | None) -> list[str]:
    """Why a question has no answer: nothing is there, or which filter lets how many pass."""
    total = len(index.store)
    if not total:
        return ["the index is empty"]
    if filters is None:
        return []
    counted = [(words, index.num_passing(alone)) for words, alone in filters.each()]
    listed = ", ".join(
        f"{count:,} {words}" if count else f"none {words}" for words, count in counted
    )
    together = "" if len(counted) < 2 or not all(count for _, count in counted) else "; none is all"
    return [f"nothing passes the filters: of {total:,} items {listed}{together}"]


def _candidates(
    index: Index, asked: Sequence[tuple[SearchRequest, Sequence[QueryVector], int]]
) -> list[list[Candidates]]:
    """So many candidates of every reading of each request.

    Readings that are compared with the same vectors are compared in one product.
    """
    alike: dict[tuple[str | None, Filters | None, int], list[tuple[int, int]]] = {}
    for place, (request, vectors, count) in enumerate(asked):
        for way, reading in enumerate(vectors):
            compared = column_of(reading.pack), request.filters, count
            alike.setdefault(compared, []).append((place, way))
    found: dict[tuple[int, int], Candidates] = {}
    for (_, filters, count), places in alike.items():
        together = [asked[place][1][way] for place, way in places]
        queries, pack = np.stack([each.vector for each in together]), together[0].pack  # (Q, D)
        listed = index.candidates(queries, count=count, pack=pack, filters=filters)
        found.update(zip(places, listed, strict=True))
    return [
        [found[place, way] for way in range(len(vectors))]
        for place, (_, vectors, _) in enumerate(asked)
    ]
