"""Vector look-ups of questions, and the first distinct answers to each.

Legend: Q queries, D width of the space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyglance import errors
from polyglance.model.pack import LanguagePack
from polyglance.search import fusion
from polyglance.search.filters import Filters
from polyglance.search.fusion import Candidates, Hit
from polyglance.search.index import Index
from polyglance.vectors import Vectors

# Candidates of a query: for each answer, so that folding has something to choose from; and where
# several readings are fused, since what stands in the middle of two may come before what leads one.
CANDIDATES, LEAST_CANDIDATES = 1.5, 15
FUSED_CANDIDATES, LEAST_FUSED_CANDIDATES = 4, 60


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What one question looks for.

    Attributes:
        ways: Of each reading the unit vector, and the pack whose column it is for.
        shares: Of each reading.
        top, filters, alike: As for `Searcher.search`.
        without: Items that are left out.
    """

    ways: Sequence[tuple[Vectors, LanguagePack | None]]
    shares: Sequence[float]
    top: int
    filters: Filters | None
    alike: float | None
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        require_top(self.top)


def require_top(top: int) -> None:
    """Refuse to be asked for no answers."""
    if top < 1:
        raise errors.ConfigError(f"top {top}; it must be at least 1", hint="try --top 10")


def column_of(pack: LanguagePack | None) -> str | None:
    """Which column answers a pack's queries; None for the base column."""
    return None if pack is None or pack.manifest.content == "unchanged" else pack.column_id


def hits_of(index: Index, looks: Sequence[Look]) -> list[tuple[Hit, ...]]:
    """The first answers that differ, of each question; looks further where many are the same."""
    hits: list[tuple[Hit, ...]] = [()] * len(looks)
    counts: dict[int, int] = {}
    for place, look in enumerate(looks):
        wanted = look.top + len(look.without)
        counts[place] = (
            max(LEAST_CANDIDATES, math.ceil(CANDIDATES * wanted))
            if len(look.ways) == 1
            else max(LEAST_FUSED_CANDIDATES, FUSED_CANDIDATES * wanted)
        )
    while counts:
        listed = _candidates(index, [(looks[place], count) for place, count in counts.items()])
        for (place, count), found in zip(list(counts.items()), listed, strict=True):
            look = looks[place]
            hits[place] = tuple(
                fusion.fold(
                    fusion.fuse(found, shares=look.shares),
                    top=look.top,
                    alike=look.alike,
                    vectors_at=index.vectors_at,
                    without=look.without,
                )
            )
            if len(hits[place]) == look.top or all(len(each) < count for each in found):
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


def _candidates(index: Index, looks: Sequence[tuple[Look, int]]) -> list[list[Candidates]]:
    """So many candidates of every reading of each question.

    Readings that are compared with the same vectors are compared in one product.
    """
    alike: dict[tuple[str | None, Filters | None, int], list[tuple[int, int]]] = {}
    for place, (look, count) in enumerate(looks):
        for way, (_, pack) in enumerate(look.ways):
            alike.setdefault((column_of(pack), look.filters, count), []).append((place, way))
    found: dict[tuple[int, int], Candidates] = {}
    for (_, filters, count), places in alike.items():
        asked = [looks[place][0].ways[way] for place, way in places]
        queries, pack = np.stack([vector for vector, _ in asked]), asked[0][1]  # (Q, D)
        listed = index.candidates(queries, count=count, pack=pack, filters=filters)
        found.update(zip(places, listed, strict=True))
    return [
        [found[place, way] for way in range(len(look.ways))]
        for place, (look, _) in enumerate(looks)
    ]
