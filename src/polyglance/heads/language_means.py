"""Means of languages in front of a head: each language's vectors are moved to where English lies.

Multilingual encoders put a part of every vector that says which language it is in; it is the same
for all texts of a language, so that taking the language's mean away and adding that of English
leaves what the text says. English vectors stay as they are, bit for bit.

Source: centring by language is Libovický, Rosa and Fraser 2020, "On the Language Neutrality of
Pre-trained Multilingual Representations", section 3; here in front of a map fitted on English.

Legend: N rows, L languages, D width of the vectors that the head takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from polyglance import errors
from polyglance.heads.affine import AffineMap, Chain, Head
from polyglance.vectors import Vectors


@dataclass(frozen=True, eq=False)
class LanguageMeans:
    """How far each language's vectors lie from those of English.

    Attributes:
        languages: L ids as `deu_Latn`, one or more, sorted; none of English.
        offsets: Float32 (L, D), the mean of each language minus that of English.
    """

    languages: tuple[str, ...]
    offsets: Vectors

    def __post_init__(self) -> None:
        if self.offsets.ndim != 2 or not 0 < len(self.languages) == len(self.offsets):
            raise errors.VectorError(
                f"{len(self.languages)} languages and means of shape {self.offsets.shape}; they "
                "must be (L, D), a row a language",
                hint="fetch or train the pack again",
            )

    def nearest(self, language: str) -> tuple[str, ...]:
        """By whose means a language is moved: its own, of another script, its script's, or all.

        >>> names = ("arb_Arab", "deu_Latn", "zho_Hans")
        >>> means = LanguageMeans(names, np.ones((3, 2), np.float32))
        >>> means.nearest("deu_Latn"), means.nearest("zho_Hant"), means.nearest("fra_Latn")
        (('deu_Latn',), ('zho_Hans',), ('deu_Latn',))
        >>> means.nearest("jpn_Jpan") == names, means.nearest("eng_Latn")
        (True, ())
        """
        if is_english(language):
            return ()
        for part in (str, _code, _script):
            alike = tuple(one for one in self.languages if part(one) == part(language))
            if alike:
                return alike
        return self.languages

    def offset(self, language: str) -> Vectors:
        """Float32 (D,): what is taken away from a vector in a language; zeros for English."""
        nearest = self.nearest(language)
        if not nearest:
            return np.zeros(self.offsets.shape[1], np.float32)
        rows = [self.languages.index(one) for one in nearest]
        return np.asarray(self.offsets[rows].mean(axis=0), np.float32)

    def moved(self, vectors: Vectors, languages: Sequence[str]) -> Vectors:
        """Rows, each without the offset of its language.

        Args:
            vectors: Float32 (N, D), as the head takes them.
            languages: N ids.

        >>> means = LanguageMeans(("deu_Latn",), np.ones((1, 2), np.float32))
        >>> means.moved(np.zeros((2, 2), np.float32), ["eng_Latn", "deu_Latn"])
        array([[ 0.,  0.],
               [-1., -1.]], dtype=float32)
        """
        found, spoken = vectors.copy(), np.array(languages)
        for language in dict.fromkeys(languages):
            if not is_english(language):
                found[spoken == language] -= self.offset(language)
        return found

    def rounded(self) -> LanguageMeans:
        """The same with offsets that half precision holds."""
        return replace(self, offsets=self.offsets.astype(np.float16).astype(np.float32))

    def folded(self, head: Head, language: str) -> Head:
        """The head that does the same for texts of one language alone: its first bias moves."""
        first = head.maps[0] if isinstance(head, Chain) else head
        there = AffineMap(first.weight, first.bias - first.weight @ self.offset(language))
        return replace(head, maps=(there, *head.maps[1:])) if isinstance(head, Chain) else there


def of_vectors(by_language: Mapping[str, Vectors], *, english: Vectors) -> LanguageMeans | None:
    """The means of texts that nobody paired.

    Args:
        by_language: By language id float32 (N, D), as the head takes them; English is left out.
        english: Float32 (N, D), likewise.

    Returns:
        None where there is no other language than English.
    """
    names = tuple(sorted(name for name in by_language if not is_english(name)))
    if not names:
        return None
    centre = english.mean(axis=0, dtype=np.float64)
    offsets = [by_language[name].mean(axis=0, dtype=np.float64) - centre for name in names]
    return LanguageMeans(names, np.asarray(offsets, np.float32))


def is_english(language: str) -> bool:
    """Whether an id is of English, simple English included."""
    return language.startswith("eng_")


def _code(language: str) -> str:
    return language.split("_")[0]


def _script(language: str) -> str:
    return language.split("_")[1]
