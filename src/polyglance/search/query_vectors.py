"""Vectors of a query: its terms summed, in each way that its texts may be meant.

Legend: D width of the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyglance import errors
from polyglance.model.pack import LanguagePack
from polyglance.search.interpretations import Encoded, Interpretation
from polyglance.search.language_routing import LanguageRouting
from polyglance.search.queries import Query
from polyglance.vectors import Vectors, unit

# A sum of unit vectors that is shorter has no direction that means anything.
SHORTEST = 1e-4

Way = tuple[tuple[Encoded | None, ...], float]
"""What each term was read as, None for media and items; and how likely all that is together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryVector:
    """A query as one vector, in one of the ways that it may be meant.

    Attributes:
        vector: Float32 (D,), unit.
        pack: The pack whose column it is compared with; None for the base column.
        share: How likely this way is, above 0.
    """

    vector: Vectors
    pack: LanguagePack | None = None
    share: float = 1.0


def column_of(pack: LanguagePack | None) -> str | None:
    """Which column answers a pack's queries; None for the base column."""
    return None if pack is None or pack.manifest.content == "unchanged" else pack.column_id


def comparable(ways: Sequence[Way], *, routing: LanguageRouting) -> list[Way]:
    """The ways to read a query in which all its texts are compared with the same vectors.

    Raises:
        LanguageError: There is none.
    """
    found = [
        (chosen, share)
        for chosen, share in ways
        if len({column_of(routing.pack(one.assumption.pack)) for one in chosen if one}) <= 1
    ]
    if not found:
        names = {one.assumption.pack or "the model" for one in ways[0][0] if one is not None}
        raise errors.LanguageError(
            "the texts of this query are answered by some that look at the items in different "
            f"ways ({', '.join(sorted(names))}); their vectors do not add up",
            hint="ask in one language, or leave one pack out",
        )
    return found


def _projected(vector: Vectors, pack: LanguagePack) -> Vectors:
    """A vector of the model's space as a pack's texts are compared with it."""
    if pack.content_head is None:
        raise errors.ConfigError(
            "an image or sound beside a text that is answered by a pack with another content tower "
            f"({pack.manifest.content_tower}); the two do not add up",
            hint="ask with the image or sound alone, or with the text alone",
        )
    projected: Vectors = pack.project(vector[None])[0]
    return projected


def assumptions(ways: Sequence[Way]) -> tuple[Interpretation, ...]:
    """What was assumed of each text, term by term, the likeliest first."""
    by_term = zip(*(chosen for chosen, _ in ways), strict=True)
    return tuple(
        dict.fromkeys(one.assumption for term in by_term for one in term if one is not None)
    )


def of_ways(
    ways: Sequence[Way], query: Query, *, given: Sequence[Vectors | None], routing: LanguageRouting
) -> list[QueryVector]:
    """A query as one vector for each way to read it.

    Args:
        ways: Comparable ones.
        query: Whose terms they read.
        given: Float32 (D,), unit, of each term that is media or an item; None for texts.
        routing: Who encoded the texts.

    Raises:
        ConfigError: Media or an item beside a text whose pack has another content tower.
        InputError: The terms cancel.
    """
    return [_sum(query, chosen, given, share=share, routing=routing) for chosen, share in ways]


def _sum(
    query: Query,
    encoded: Sequence[Encoded | None],
    given: Sequence[Vectors | None],
    *,
    share: float,
    routing: LanguageRouting,
) -> QueryVector:
    """A query in one reading: the unit vector of its sum, and the pack whose column it is for.

    Raises:
        ConfigError: Media or an item beside a text whose pack has another content tower.
        InputError: The terms cancel.
    """
    packs = [routing.pack(one.assumption.pack) for one in encoded if one is not None]
    pack = packs[0] if packs and column_of(packs[0]) is not None else None
    parts = []
    for term, one, vector in zip(query.terms, encoded, given, strict=True):
        if one is not None:
            part = one.vector
        else:
            assert vector is not None
            part = vector if pack is None else _projected(vector, pack)
        if len(query.terms) == 1:
            return QueryVector(vector=part, pack=pack, share=share)  # unit as it is
        parts.append(term.weight * part.astype(np.float64))
    total = np.sum(parts, axis=0)
    length = np.linalg.norm(total)
    if not np.isfinite(length):
        raise errors.InputError(
            "the weights of this query are too large to be added", hint="take some around 1"
        )
    total /= max(1.0, float(max(abs(term.weight) for term in query.terms)))
    if np.linalg.norm(total) < SHORTEST:
        raise cancelling()
    vector = unit(total[None].astype(np.float32))[0]
    return QueryVector(vector=vector, pack=pack, share=share)


def cancelling() -> errors.InputError:
    """The error of a query whose terms take each other away."""
    return errors.InputError(
        "the terms of this query cancel: nothing is left to look for",
        hint="change a weight, or leave a term out",
    )
