"""Relevance: which candidates are right for which query, and the caption policies.

Legend: N queries, M candidates, P pairs of a query and a right candidate.

A candidate that is right for a query is its *positive*. Captions and images meet in every way:
several captions for one image (COCO has five), and several images for one caption once a
repeated caption is counted once (XM3600).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Caption
from polyglance.results.schema import CaptionPolicy

CAPTION_POLICIES: tuple[CaptionPolicy, ...] = ("first", "all", "unique")
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Relevance:
    """The positives of N queries, as rows of a sparse matrix.

    Attributes:
        offsets: int64 (N + 1,); the positives of query i are `indices[offsets[i]:offsets[i + 1]]`.
        indices: int64 (P,); which candidate, from 0.
    """

    offsets: Integers
    indices: Integers

    @property
    def num_queries(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Integers:
        """How many positives each query has, (N,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Integers:
        """The query of each pair, (P,), beside `indices`."""
        return np.repeat(np.arange(self.num_queries, dtype=np.int64), self.counts)

    def transpose(self, num_candidates: int) -> Relevance:
        """The same pairs seen from the candidates.

        Args:
            num_candidates: M, which the pairs alone do not tell.

        >>> Relevance.of([[0], [0, 2]]).transpose(3).to_lists()
        [[0, 1], [], [1]]
        """
        order = np.argsort(self.indices, kind="stable")
        counts = np.bincount(self.indices, minlength=num_candidates)
        return Relevance(offsets=_offsets(counts), indices=self.rows[order])

    def to_lists(self) -> list[list[int]]:
        """The positives of each query, as lists."""
        parts = np.split(self.indices, self.offsets[1:-1])
        return [part.tolist() for part in parts][: self.num_queries]

    @staticmethod
    def of(positives: Sequence[Iterable[int]] | NDArray[np.integer]) -> Relevance:
        """Make one from the positives of each query: a list of lists, or (N,) with one a query.

        >>> Relevance.of(np.array([2, 0])).to_lists()
        [[2], [0]]
        """
        if isinstance(positives, np.ndarray):
            if positives.ndim != 1 or not np.issubdtype(positives.dtype, np.integer):
                raise errors.InputError(
                    f"relevance is {positives.dtype} {positives.shape}; one positive a query is "
                    "an integer array (N,)",
                    hint="give a Relevance where queries have several positives",
                )
            offsets = np.arange(len(positives) + 1, dtype=np.int64)
            return Relevance(offsets=offsets, indices=positives.astype(np.int64))
        lists = [list(each) for each in positives]
        flat = [index for each in lists for index in each]
        return Relevance(
            offsets=_offsets(np.array([len(each) for each in lists], dtype=np.int64)),
            indices=np.array(flat, dtype=np.int64),
        )

    def check(self, *, num_queries: int, num_candidates: int) -> None:
        """Refuse a map that does not belong to N queries and M candidates.

        Raises:
            InputError: For another N, an index outside the candidates, offsets out of order, or a
                pair given twice.
        """
        if self.num_queries != num_queries:
            raise errors.InputError(
                f"relevance is for {self.num_queries} queries; there are {num_queries}",
                hint="give one row of relevance for each query",
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.indices) or (self.counts < 0).any():
            raise errors.InputError(
                "the offsets of relevance do not ascend from 0 to the number of its indices",
                hint="make it with Relevance.of(list of lists)",
            )
        outside = (self.indices < 0) | (self.indices >= num_candidates)
        if outside.any():
            row = self.rows[outside][0]
            raise errors.InputError(
                f"query {row} has candidate {self.indices[outside][0]} as its positive; "
                f"candidates run from 0 to {num_candidates - 1}",
                hint="build relevance against the same list of candidates as the vectors",
            )
        if len(np.unique(self.rows * num_candidates + self.indices)) < len(self.indices):
            raise errors.InputError(
                "relevance holds the same pair of query and candidate twice; each stands once",
                hint="drop the repeated pair",
            )


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """How often texts say the same.

    Attributes:
        num_repeated: Texts that have occurred before.
        most_repeated: The most frequent text, the first of several; empty where
            none repeats.
        times: How often that is; 0 where none repeats.
    """

    num_repeated: int
    most_repeated: str
    times: int


def count_repeats(texts: Sequence[str]) -> Repeats:
    """Count equal texts: a repeated caption cannot tell its contents apart.

    >>> count_repeats(["Hund", "Katze", "Hund", "Hund"])
    Repeats(num_repeated=2, most_repeated='Hund', times=3)
    >>> count_repeats(["Hund", "Katze"])
    Repeats(num_repeated=0, most_repeated='', times=0)
    """
    counts = Counter(texts)
    if len(counts) == len(texts):
        return Repeats(num_repeated=0, most_repeated="", times=0)
    text, times = counts.most_common(1)[0]
    return Repeats(num_repeated=len(texts) - len(counts), most_repeated=text, times=times)


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionQueries:
    """The texts to ask with, what is right for each, and what a policy left out.

    Attributes:
        texts: N texts.
        caption_rows: (N,) the row of each text among the captions given (its first, where
            captions were merged), to pick its vector where captions are already encoded.
        relevance: N texts against the M content ids.
        num_without_content: Captions whose content is not among the ids (a missing image).
        num_beyond_first: Captions that policy `first` left out.
        repeats: Of the texts that the policy lets in; `unique` merges them, `first` and `all` keep
            them. Machine-translated sets have many: report it.
    """

    texts: tuple[str, ...]
    caption_rows: Integers
    relevance: Relevance
    num_without_content: int
    num_beyond_first: int
    repeats: Repeats


def apply_caption_policy(
    captions: Sequence[Caption], *, policy: CaptionPolicy, item_ids: Sequence[str]
) -> CaptionQueries:
    """Turn captions into queries with their positives.

    Args:
        captions: Captions of one language, in the data set's order.
        policy: `first`: the first caption of a content item (NLLB-CLIP). `all`: every caption.
            `unique`: every distinct text once, right for all content it was given to (M2M on
            XM3600).
        item_ids: The M content items, in the order of their vectors.

    Returns:
        Texts and relevance with the counts of what was left out. A caption whose content is
        missing is dropped and counted, never shifted onto the next content.

    Raises:
        UnknownNameError: For a policy that does not exist.
        InputError: For captions of several languages, repeated content ids, or no caption left.

    >>> captions = [Caption("a", "Hund", "deu_Latn"), Caption("b", "Hund", "deu_Latn")]
    >>> queries = apply_caption_policy(captions, policy="unique", item_ids=["b", "a"])
    >>> queries.texts, queries.relevance.to_lists(), queries.repeats.num_repeated
    (('Hund',), [[0, 1]], 1)
    """
    if policy not in CAPTION_POLICIES:
        raise errors.unknown_name("caption policy", policy, allowed=CAPTION_POLICIES)
    column_of = {item_id: column for column, item_id in enumerate(item_ids)}
    if len(column_of) < len(item_ids):
        raise errors.InputError(
            f"{len(item_ids)} content ids, {len(column_of)} distinct; each stands once",
            hint="drop the repeated content items",
        )
    _refuse_several_languages(captions)
    with_content = [row for row, each in enumerate(captions) if each.item_id in column_of]
    if not with_content:
        raise errors.InputError(
            f"none of {len(captions)} captions belongs to one of {len(item_ids)} content items",
            hint="check that captions and content use the same ids",
        )
    if policy == "unique":
        rows_of: dict[str, list[int]] = {}
        for row in with_content:
            rows_of.setdefault(captions[row].text, []).append(row)
        kept = [rows[0] for rows in rows_of.values()]
        relevance = Relevance.of(
            [
                sorted({column_of[captions[row].item_id] for row in rows})
                for rows in rows_of.values()
            ]
        )
    else:
        kept = with_content if policy == "all" else _first_rows(captions, rows=with_content)
        relevance = Relevance.of(np.array([column_of[captions[row].item_id] for row in kept]))
    let_in = kept if policy == "first" else with_content
    return CaptionQueries(
        texts=tuple(captions[row].text for row in kept),
        caption_rows=np.array(kept, dtype=np.int64),
        relevance=relevance,
        num_without_content=len(captions) - len(with_content),
        num_beyond_first=len(with_content) - len(kept) if policy == "first" else 0,
        repeats=count_repeats([captions[row].text for row in let_in]),
    )


def _first_rows(captions: Sequence[Caption], *, rows: Iterable[int]) -> list[int]:
    """The first of the rows of each content item."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(captions[row].item_id, row)
    return list(first.values())


def _refuse_several_languages(captions: Sequence[Caption]) -> None:
    """Mixed languages would make `first` keep one language and drop the others unseen."""
    languages = sorted({each.language for each in captions})
    if len(languages) > 1:
        raise errors.InputError(
            f"captions of {len(languages)} languages ({', '.join(languages[:3])}, ...); "
            "a policy is applied to one language at a time",
            hint="group the captions by language first",
        )


def _offsets(counts: Integers) -> Integers:
    """Running totals of counts with 0 in front."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
