"""How well a map carries other languages, judged by texts that nobody paired.

English dev texts choose a map that follows directions in which other languages differ from
English: their penalty is too small. What the map makes of the other languages is seen without
pairs: texts of one kind vary alike in every language, so that the covariance of their mapped
vectors should be that of the teacher's vectors of English texts. Of the criteria that were tried
on photos none lost less against the best penalty, and it has no setting (`docs/log.md`).

Legend: N rows, U unpaired texts of a language, D_in and D widths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.vectors import Vectors, unit

Map = Callable[[Vectors], Vectors]

# Texts of a language that are looked at.
MOST_UNPAIRED = 1000


@dataclass(frozen=True, eq=False)
class TransferTest:
    """What maps are judged by.

    Attributes:
        unpaired: By language float32 (U, D_in), moved to where English lies, two rows or more.
        targets: Float64 (D, D), the covariance of the teacher's unit vectors of English texts.
    """

    unpaired: Mapping[str, Vectors]
    targets: NDArray[np.float64]

    def score(self, fitted: Map) -> float:
        """Mean over languages of the cosine between covariance matrices, in [-1, 1].

        Args:
            fitted: (N, D_in) to (N, D); what it gives is brought to length one.
        """
        found = [
            _cosine(covariance(unit(fitted(vectors))), self.targets)
            for vectors in self.unpaired.values()
        ]
        return float(np.mean(found))


def transfer_test(unpaired: Mapping[str, Vectors], *, targets: Vectors) -> TransferTest | None:
    """The test of maps.

    Args:
        unpaired: By language float32 (U, D_in), moved to where English lies.
        targets: Float32 (N, D), unit, the teacher's vectors of English texts of the same kind.

    Returns:
        None where there is nothing unpaired.
    """
    if not unpaired:
        return None
    some = {language: vectors[:MOST_UNPAIRED] for language, vectors in unpaired.items()}
    return TransferTest(some, covariance(targets))


def covariance(vectors: Vectors) -> NDArray[np.float64]:
    """The covariance of rows: float32 (N, D) to (D, D).

    >>> covariance(np.array([[1.0, 0.0], [-1.0, 2.0]], np.float32))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    centred = vectors - vectors.mean(axis=0)
    found: NDArray[np.float64] = (centred.T @ centred).astype(np.float64) / len(vectors)
    return found


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of two matrices as vectors; 0 where one is zero."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / lengths if lengths else 0.0
