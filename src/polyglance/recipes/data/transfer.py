"""How well a map carries other languages, judged by texts that nobody paired.

A text in another language reaches the map with an error: even moved by its language's mean, its
vector is not that of the same text in English. English dev texts have no such error, so that they
choose a map which follows the tower's weak directions too closely. What the errors are like is seen
without pairs: each unpaired text beside the English one that it is mutually nearest to. English dev
texts with such differences added then choose (`docs/log.md` says what else was tried).

Legend: N rows, U unpaired texts of a language, M dev texts, R draws a dev text, D_in and D widths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.metrics import retrieval
from polyglance.vectors import Vectors, unit

Map = Callable[[Vectors], Vectors]

# Texts that are looked at: of each language, and of English.
MOST_UNPAIRED, MOST_ENGLISH = 1000, 4000
# Languages that differences are taken of, the first in a fixed order; all share the draws.
MOST_LANGUAGES = 40
NUM_DRAWS = 4
# Of cross-domain similarity local scaling, as published.
NUM_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class TransferTest:
    """English dev texts, disturbed as other languages are.

    Attributes:
        inputs: Float32 (R * M, D_in), as the map takes them.
        targets: Float32 (M, D), unit; row i % M is that of input i.
    """

    inputs: Vectors
    targets: Vectors

    def score(self, fitted: Map) -> float:
        """Hit rate at 1 of finding each disturbed text's target among all.

        Args:
            fitted: (N, D_in) to (N, D).
        """
        wanted = np.arange(len(self.inputs)) % len(self.targets)
        hits = retrieval.hit_rates_at_k(
            unit(fitted(self.inputs)), self.targets, relevance=wanted, ks=(1,)
        )
        return float(hits[1].mean())


def transfer_test(
    unpaired: Mapping[str, Vectors], *, english: Vectors, dev_x: Vectors, dev_y: Vectors
) -> TransferTest | None:
    """The test of maps; the same texts give the same one.

    Args:
        unpaired: By language float32 (U, D_in), moved to where English lies.
        english: Float32 (N, D_in).
        dev_x: Float32 (M, D_in), English texts that maps are not fitted on.
        dev_y: Float32 (M, D), their targets, unit.

    Returns:
        None where there is nothing unpaired, or no text has a mutual neighbour.
    """
    if not unpaired:
        return None
    drawn = np.random.default_rng(0)
    some = english[drawn.permutation(len(english))[:MOST_ENGLISH]]
    centre = some.mean(axis=0)
    pool = unit(some - centre)
    found = []
    for language in drawn.permutation(sorted(unpaired)).tolist()[:MOST_LANGUAGES]:
        vectors = unpaired[language]
        vectors = vectors[drawn.permutation(len(vectors))[:MOST_UNPAIRED]]
        rows, nearest = mutual_neighbours(unit(vectors - centre), pool)
        if len(rows):
            found.append(vectors[rows] - some[nearest])
    if not found:
        return None
    inputs = np.tile(dev_x, (NUM_DRAWS, 1))
    languages = drawn.integers(len(found), size=len(inputs))
    for number, differences in enumerate(found):
        rows = np.flatnonzero(languages == number)
        inputs[rows] += differences[drawn.integers(len(differences), size=len(rows))]
    return TransferTest(inputs, dev_y)


def mutual_neighbours(left: Vectors, right: Vectors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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
