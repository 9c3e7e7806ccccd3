"""Dev sets: texts in several languages and what each is to find, by which a pack is measured.

Legend: M candidates, D width of the teacher's space.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import Pair
from polyglance.storage import digests
from polyglance.vectors import Vectors

# Fewer queries than this say next to nothing of a language.
LEAST_QUERIES = 10
# Of all languages together: the teacher has to read every one of them.
MOST_QUERIES = 10_000
MOST_QUERIES_A_LANGUAGE = 1000
# What is searched in, where there is so much: as many as XTD has.
NUM_CANDIDATES = 1000
_NO_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}


@dataclass(frozen=True, kw_only=True, eq=False)
class DevSet:
    """Queries by language, and the candidates they are searched in.

    Attributes:
        asks_for: `items` (images or sounds), or `texts`: the English text that a query translates,
            by the vector that the teacher gives it.
        queries: By language, each text with the candidates that are right for it.
        english: M English texts, where those are asked for.
        items: M items, where those are; their captions play no part.
        note: What a reader of the scores has to know besides.
        num_lacking: How many English texts are not asked for, as the teacher has no vector of them.
    """

    asks_for: Literal["items", "texts"]
    queries: Mapping[str, Sequence[tuple[str, tuple[int, ...]]]]
    english: Sequence[str] = ()
    items: ImageText | None = None
    note: str = ""
    num_lacking: int = 0

    def answerable(self, lacking: Callable[[Sequence[str]], Sequence[str]]) -> DevSet:
        """The set without English texts that have no vector, and what asks for those alone.

        Args:
            lacking: Gives those of some texts that the teacher has no vector of.
        """
        absent = set(lacking(self.english))
        if not absent:
            return self
        kept = [row for row, text in enumerate(self.english) if text not in absent]
        row_of = {row: number for number, row in enumerate(kept)}
        queries = {
            language: tuple(
                (text, tuple(row_of[row] for row in right if row in row_of))
                for text, right in asked
                if any(row in row_of for row in right)
            )
            for language, asked in self.queries.items()
        }
        english = tuple(self.english[row] for row in kept)
        return replace(self, english=english, queries=queries, num_lacking=len(absent))

    @property
    def num_candidates(self) -> int:
        """M."""
        return len(self.english) if self.items is None else len(self.items.item_ids)

    def vectors(self) -> Vectors:
        """Float32 (M, D), unit: the items, in the teacher's space."""
        assert self.items is not None
        return self.items.contents


@functools.lru_cache(maxsize=2**18)
def normal_form(text: str) -> str:
    """The form in which texts are the same to every check: letters, marks and digits, one case.

    >>> normal_form("  A  Ｄog, running!")
    'a dog running'
    """
    if text.isascii():  # a quarter of a million English texts in a second
        lowered = text.lower()
        return " ".join(lowered.translate(_NO_SIGNS).split()) or " ".join(lowered.split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    # Emoji and signs alone would all be the same empty text.
    return " ".join("".join(kept).split()) or " ".join(folded.split())


def place_of(key: str) -> int:
    """Where a text or an item stands in the fixed order in which dev sets are filled."""
    return digests.number_of(f"held out\0{key}")


def in_fixed_order(keys: Iterable[str]) -> list[str]:
    """Distinct keys, by their hash: no seed and no file order changes who comes first."""
    return sorted(set(keys), key=place_of)


def most_a_language(num_languages: int) -> int:
    """How many queries a language gets at most, the same for all.

    >>> most_a_language(2), most_a_language(200)
    (1000, 50)
    """
    return min(MOST_QUERIES_A_LANGUAGE, MOST_QUERIES // max(1, num_languages))


def of_pairs(pairs: Sequence[Pair], *, others: Sequence[str] = (), note: str = "") -> DevSet:
    """A dev set of translations: each text asks for its English one, and English for itself.

    Args:
        pairs: English texts and their translations.
        others: English texts that are searched in besides.
        note: What a reader of the scores has to know.
    """
    asked = {normal_form(pair.text_a): pair.text_a for pair in reversed(pairs)}
    beside = {normal_form(text): text for text in reversed(others)}
    order = in_fixed_order(asked)
    order += in_fixed_order(set(beside) - set(asked))[: max(0, NUM_CANDIDATES - len(order))]
    row_of = {key: row for row, key in enumerate(order)}
    english = [asked[key] if key in asked else beside[key] for key in order]
    listed: dict[str, dict[str, dict[int, None]]] = {}
    for pair in pairs:
        for language, text in ((ENGLISH, pair.text_a), (pair.language_b, pair.text_b)):
            if text.strip():
                right = listed.setdefault(language, {}).setdefault(text, {})
                right[row_of[normal_form(pair.text_a)]] = None
    return DevSet(
        asks_for="texts",
        queries=_queries(listed),
        english=english,
        note=note,
    )


def of_items(asking: ImageText, *, pool: ImageText, note: str = "") -> DevSet:
    """A dev set of captioned items: each caption asks for the items that have it.

    Args:
        asking: Items with their captions; of each item and language the first one asks.
        pool: What is searched in; has all those items.
        note: What a reader of the scores has to know.
    """
    row_of = {item_id: row for row, item_id in enumerate(pool.item_ids)}
    right: dict[tuple[str, str], dict[int, None]] = {}
    for caption in pool.captions:
        key = caption.language, normal_form(caption.text)
        right.setdefault(key, {})[row_of[caption.item_id]] = None
    listed: dict[str, dict[str, dict[int, None]]] = {}
    spoken: set[tuple[str, str]] = set()
    for caption in asking.captions:
        if (caption.item_id, caption.language) not in spoken:
            spoken.add((caption.item_id, caption.language))
            key = caption.language, normal_form(caption.text)
            listed.setdefault(caption.language, {})[caption.text] = right[key]
    return DevSet(
        asks_for="items",
        queries=_queries(listed),
        items=pool,
        note=note,
    )


def _queries(
    listed: Mapping[str, Mapping[str, Mapping[int, None]]],
) -> dict[str, tuple[tuple[str, tuple[int, ...]], ...]]:
    """The queries of each language, each text with the candidates that answer it."""
    most = most_a_language(len(listed))
    return {name: _first(found, most=most) for name, found in sorted(listed.items())}


def _first(
    found: Mapping[str, Mapping[int, None]], *, most: int
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The first queries in the fixed order, of the candidates: languages ask for the same ones."""
    ordered = sorted(found.items(), key=lambda query: (min(query[1]), query[0]))
    return tuple((text, tuple(rows)) for text, rows in ordered[:most])
