"""How well a map carries other languages, judged by texts that nobody paired.

English dev texts choose a map that follows directions in which other languages differ from
English: their penalty is too small. The tower itself says which texts of two languages are nearly
alike: a text and an English one that are each other's nearest. The mapped text should then find
the teacher's vector of that English text. Of the criteria that were tried on photos this one chose
best with both encoders (`docs/log.md`).

Legend: N rows, U unpaired texts of a language, P of them with a mutual neighbour, M English texts,
D_in and D widths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.metrics import retrieval
from polyglance.vectors import Vectors, unit

Map = Callable[[Vectors], Vectors]
Rows = NDArray[np.int64]

# Texts that are looked at: of each language, and of English.
MOST_UNPAIRED, MOST_ENGLISH = 1000, 4000
# A neighbour is not a translation: its target is looked for among the first ten.
TOP = 10
# Of cross-domain similarity local scaling, as published.
NUM_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class TransferTest:
    """Texts of other languages, and which English target each should find.

    Attributes:
        languages: Of each language float32 (P, D_in), as the map takes them, and (P,) rows of
            `targets`.
        targets: Float32 (M, D), unit, the teacher's.
    """

    languages: Sequence[tuple[Vectors, Rows]]
    targets: Vectors

    def score(self, fitted: Map) -> float:
        """Hit rate at 10, the mean over languages.

        Args:
            fitted: (N, D_in) to (N, D); what it gives is brought to length one.
        """
        rates = []
        for vectors, wanted in self.languages:
            said = unit(fitted(vectors))
            hits = retrieval.hit_rates_at_k(said, self.targets, relevance=wanted, ks=(TOP,))
            rates.append(float(hits[TOP].mean()))
        return float(np.mean(rates))


def transfer_test(
    unpaired: Mapping[str, Vectors], *, english: Vectors, targets: Vectors
) -> TransferTest | None:
    """The test of maps; the same texts give the same one.

    Args:
        unpaired: By language float32 (U, D_in), moved to where English lies.
        english: Float32 (N, D_in).
        targets: Float32 (N, D), unit, the teacher's vectors of the same English texts.

    Returns:
        None where there is nothing unpaired, or no text has a mutual neighbour.
    """
    if not unpaired:
        return None
    some = np.random.default_rng(0).permutation(len(english))[:MOST_ENGLISH]
    centre = english.mean(axis=0)
    pool = unit(english[some] - centre)
    found = []
    for _, vectors in sorted(unpaired.items()):
        looked_at = vectors[:MOST_UNPAIRED]
        rows, nearest = mutual_neighbours(unit(looked_at - centre), pool)
        if len(rows):
            found.append((looked_at[rows], nearest))
    return TransferTest(found, targets[some]) if found else None


def mutual_neighbours(left: Vectors, right: Vectors) -> tuple[Rows, Rows]:
    """Rows that are each other's nearest once hubs are scaled down.

    Source: cross-domain similarity local scaling, Conneau et al. 2018, "Word Translation Without
    Parallel Data", section 2.3.

    Args:
        left: Float32 (N, D), unit.
        right: Float32 (M, D), unit.

    Returns:
        Rows of the left, and of the right beside them.

    >>> rows = np.eye(3, dtype=np.float32)
    >>> [each.tolist() for each in mutual_neighbours(rows[:2], rows[::-1])]
    [[0, 1], [2, 1]]
    """
    cosines = left @ right.T  # (N, M)
    k = min(NUM_NEIGHBOURS, *cosines.shape)
    of_left = np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
    of_right = np.partition(cosines, -k, axis=0)[-k:].mean(axis=0)
    scaled = 2 * cosines - of_left[:, None] - of_right
    nearest, back = scaled.argmax(axis=1), scaled.argmax(axis=0)
    rows = np.flatnonzero(back[nearest] == np.arange(len(left)))
    return rows, nearest[rows]
