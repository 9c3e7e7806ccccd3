"""How is an index asked? Queries in any language and by picture, from many threads at once.

Legend: T texts, D width of the space.

    searcher = Searcher(Path("index"), packs=["pack"])
    answer = searcher.search(Query.of_text("Strand"), top=10)

A searcher is safe to share between threads. Whoever has several queries at hand asks them together
(`search_many`): all their texts then go through each encoder in one batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from polyglance import affine, errors
from polyglance.affine import Vectors
from polyglance.model import load_side
from polyglance.packs import LanguagePack
from polyglance.search import ranked, readings
from polyglance.search.filters import Filters
from polyglance.search.index import Index
from polyglance.search.queries import Picture, Query, Term
from polyglance.search.ranked import Candidate, Hit
from polyglance.search.readings import Assumption, Encoded
from polyglance.search.voices import LanguageRow, Voices
from polyglance.sides import SpaceTower
from polyglance.sources.images import decode_image

__all__ = [
    "Answer",
    "Ask",
    "Assumption",
    "Encoded",
    "Filters",
    "Hit",
    "LanguageRow",
    "Query",
    "Searcher",
    "Term",
]

# An index is looked at again for new rows after so long.
REFRESH_SECONDS = 1.0
# The candidates of a query, so that folding and fusing have something to choose from.
LEAST_CANDIDATES = 50


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query found.

    Attributes:
        hits: Best first.
        assumed: Every reading of every text that was asked, in the order of the query, most likely
            first; empty where the query has no text.
        seconds: From the question to the answer, other questions of the same batch included.
    """

    hits: tuple[Hit, ...]
    assumed: tuple[Assumption, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question of several that are asked together; fields as the arguments of `search`."""

    query: Query
    top: int = 10
    filters: Filters | None = None
    language: str | None = None
    alike: float | None = 1.0


class Searcher:
    """An index that is asked in any language; see the module.

    Args:
        index: Its folder.
        packs: Language packs of its space: folders, ids on the hub, or packs that are loaded.

    Raises:
        UnavailableError, StoreError: No such index or pack, or a damaged one.
        SpaceMismatchError: A pack of another space.
    """

    def __init__(self, index: Path, *, packs: Sequence[str | Path | LanguagePack] = ()) -> None:
        self._index = Index(index)
        self._voices = Voices(self._index, packs)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._content: SpaceTower | None = None

    @property
    def index(self) -> Index:
        """The index as it is now; what it holds does not change, later there is another."""
        return self._index

    def refresh(self) -> bool:
        """See rows that were written since; whether there were any."""
        with self._lock:
            self._looked = time.monotonic()
            if self._index.is_current:
                return False
            self._index = Index(self._index.path)
            return True

    def warm_up(self) -> None:
        """Read the vectors and load the packs' encoders now, so that the first query is quick."""
        self._index.warm_up()
        for voice in self._voices.packs:
            voice.encode(["warm"], languages=[voice.a_language])

    def languages(self) -> tuple[LanguageRow, ...]:
        """What it can be asked in, by id: who speaks, and how well, as measured."""
        return self._voices.rows()

    def search(
        self,
        query: Query,
        *,
        top: int = 10,
        filters: Filters | None = None,
        language: str | None = None,
        alike: float | None = 1.0,
    ) -> Answer:
        """Ask one question.

        Args:
            query: See `queries`.
            top: How many answers, 1 or more.
            filters: What answers must satisfy; decided before ranking.
            language: Id of the language of the texts that name none; None has it guessed.
            alike: Cosine from which two pictures count as the same and are folded into one answer;
                1 folds copies of the same content only, None folds nothing.

        Raises:
            ConfigError: `top` below 1, or filters that ask what the index does not hold.
            InputError: A picture that cannot be read, an item that is not there, terms that cancel.
            LanguageError: Terms that only packs with different content sides can answer.
        """
        ask = Ask(query=query, top=top, filters=filters, language=language, alike=alike)
        return self.search_many([ask])[0]

    def search_many(self, asks: Sequence[Ask]) -> list[Answer]:
        """Ask several questions together; their texts are encoded in one batch an encoder.

        Raises:
            PolyglanceError: As `search`, of the first question that cannot be answered.
        """
        started = time.perf_counter()
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self.refresh()
        index = self._index
        texts = [
            (term.text, term.language or ask.language)
            for ask in asks
            for term in ask.query.terms
            if term.text is not None
        ]
        encoded = iter(readings.encode(texts, self._voices))
        found = []
        for ask in asks:
            read = [next(encoded) if term.text is not None else None for term in ask.query.terms]
            assumed = tuple(one.assumption for each in read for one in each or ())
            hits = self._answer(ask, read, index)
            found.append((hits, assumed))
        seconds = time.perf_counter() - started
        return [Answer(hits=hits, assumed=assumed, seconds=seconds) for hits, assumed in found]

    def encode_texts(self, texts: Sequence[tuple[str, str | None]]) -> list[Encoded]:
        """Texts as vectors, each in its language, or in the one that it most likely is in.

        Args:
            texts: T texts, each with its language id or None.
        """
        return [found[0] for found in readings.encode(texts, self._voices)]

    def rank(
        self,
        vectors: Vectors,
        *,
        top: int = 10,
        filters: Filters | None = None,
        alike: float | None = 1.0,
    ) -> list[tuple[Hit, ...]]:
        """The items nearest to vectors of the model's space.

        Args:
            vectors: Float32 (Q, D), unit.
            top: As for `search`.
            filters: As for `search`.
            alike: As for `search`.
        """
        look = _Look(self._index, filters=filters, alike=alike)
        return [tuple(look.nearest(row, None, top=top)) for row in vectors]

    def encode_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        """Pictures as float32 (N, D), unit, in the model's space.

        Raises:
            InputError: One that cannot be read.
        """
        images = [_decode(picture) for picture in pictures]
        with self._lock:
            if self._content is None:
                self._content = SpaceTower(load_side(self._index.model, "content"))
            return self._content.encode(images)

    def _answer(
        self, ask: Ask, read: Sequence[list[Encoded] | None], index: Index
    ) -> tuple[Hit, ...]:
        """The hits of one question; items that it names are not among them."""
        given = self._given(ask.query, index)
        named = {term.item for term in ask.query.terms} - {None}
        look = _Look(index, filters=ask.filters, alike=ask.alike)
        ways = readings.combinations(read)
        summed = [self._sum(ask.query, chosen, given) for chosen, _ in ways]
        top = ask.top + len(named)
        if len(ways) == 1:
            hits = look.nearest(*summed[0], top=top)
        else:
            hits = look.fused(summed, shares=[share for _, share in ways], top=top)
        kept = [hit for hit in hits if hit.id not in named][: ask.top]
        return tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, 1))

    def _given(self, query: Query, index: Index) -> list[Vectors | None]:
        """The vectors of pictures and items, in the order of the terms; None for texts."""
        pictures = [term.picture for term in query.terms if term.picture is not None]
        encoded = iter(self.encode_pictures(pictures) if pictures else ())
        return [
            next(encoded)
            if term.picture is not None
            else None
            if term.item is None
            else index.vector_of(term.item)
            for term in query.terms
        ]

    def _sum(
        self,
        query: Query,
        encoded: Sequence[Encoded | None],
        given: Sequence[Vectors | None],
    ) -> tuple[Vectors, LanguagePack | None]:
        """The unit vector of a query in one reading, and the pack whose column it is for.

        Raises:
            LanguageError: Its texts go to packs with different content sides.
            InputError: The terms cancel.
        """
        packs = {
            one.assumption.pack: self._voices.pack(one.assumption.pack)
            for one in encoded
            if one is not None
        }
        columns = {_column(p): p for p in packs.values()}
        if len(columns) > 1:
            raise errors.LanguageError(
                "the terms of this query are answered by packs that look at the pictures in "
                f"different ways ({', '.join(str(name or 'the model') for name in packs)})",
                hint="ask in one language, or leave one pack out",
            )
        column, pack = next(iter(columns.items()), (None, None))
        parts = []
        for term, one, vector in zip(query.terms, encoded, given, strict=True):
            if one is not None:
                part = one.vector
            else:
                assert vector is not None
                part = vector if column is None or pack is None else pack.project(vector[None])[0]
            parts.append(np.float32(term.weight) * part)
        total: Vectors = np.sum(parts, axis=0, dtype=np.float32)
        if np.linalg.norm(total) < 1e-6:
            raise errors.InputError(
                "the terms of this query cancel: nothing is left to look for",
                hint="change a weight, or leave a term out",
            )
        return affine.unit(total[None])[0], pack if column is not None else None


def _column(pack: LanguagePack | None) -> str | None:
    """Which column answers a pack's queries; None for the base column."""
    return None if pack is None or pack.manifest.content == "unchanged" else pack.column_id


@dataclass(frozen=True)
class _Look:
    """How an index is looked at for one question: what may answer, and what counts as the same."""

    index: Index
    filters: Filters | None
    alike: float | None

    def nearest(self, vector: Vectors, pack: LanguagePack | None, *, top: int) -> list[Hit]:
        """The first `top` answers that differ; looks further where many are the same."""
        count = _num_candidates(top)
        while True:
            found = self._candidates(vector, pack, count)
            hits = ranked.fold(found, top=top, alike=self.alike)
            if len(hits) == top or len(found) < count:
                return hits
            count *= 8

    def fused(
        self,
        summed: Sequence[tuple[Vectors, LanguagePack | None]],
        *,
        shares: Sequence[float],
        top: int,
    ) -> list[Hit]:
        """The first `top` answers that differ, of several readings."""
        count = _num_candidates(top)
        listed = [self._candidates(vector, pack, count) for vector, pack in summed]
        return ranked.fold(ranked.fuse(listed, shares=shares), top=top, alike=self.alike)

    def _candidates(
        self, vector: Vectors, pack: LanguagePack | None, count: int
    ) -> list[Candidate]:
        return self.index.candidates(vector[None], count=count, pack=pack, filters=self.filters)[0]


def _num_candidates(top: int) -> int:
    """How many to look at for so many answers."""
    if top < 1:
        raise errors.ConfigError(f"top {top}; it must be at least 1", hint="try --top 10")
    return max(LEAST_CANDIDATES, 2 * top)


def _decode(picture: Picture) -> object:
    """A picture to search by, as the towers take it."""
    if isinstance(picture, bytes):
        return decode_image(picture, name="the picture")
    try:
        return decode_image(Path(picture).read_bytes(), name=str(picture))
    except OSError as error:
        raise errors.InputError(
            f"the picture {picture} cannot be read: {error.strerror or error}",
            hint="give the path of an image",
        ) from error
