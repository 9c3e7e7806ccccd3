"""How is an index asked? Queries in any language and by picture, from many threads at once.

Legend: T texts, D width of the space.

    searcher = Searcher(Path("index"), packs=["pack"])
    answer = searcher.search(Query.of_text("Strand"), top=10)

A searcher is safe to share between threads. Whoever has several queries at hand asks them together
(`search_many`): all their texts then go through each encoder in one batch.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyglance import affine, errors
from polyglance.affine import Vectors
from polyglance.packs import LanguagePack
from polyglance.search import ranked, readings
from polyglance.search.filters import Filters
from polyglance.search.index import Index
from polyglance.search.queries import Picture, PictureVector, Query, Term
from polyglance.search.ranked import Candidates, Hit
from polyglance.search.readings import Assumption, Encoded
from polyglance.search.voices import LanguageRow, Voices
from polyglance.sides import SpaceTower
from polyglance.sources.images import decode_image

if TYPE_CHECKING:
    from PIL.Image import Image

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
# Candidates of a query: for each answer, so that folding has something to choose from; and where
# several readings are fused, since what stands in the middle of two may come before what leads one.
CANDIDATES, LEAST_CANDIDATES = 1.5, 15
FUSED_CANDIDATES, LEAST_FUSED_CANDIDATES = 4, 60
# A sum of unit vectors that is shorter has no direction that means anything.
SHORTEST = 1e-4

Way = tuple[tuple[Encoded | None, ...], float]


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
        index: Its folder, or its address on object storage.
        packs: Language packs of its space: folders, ids on the hub, or packs that are loaded.

    Raises:
        UnavailableError, StoreError: No such index or pack, or a damaged one.
        SpaceMismatchError: A pack of another space.
    """

    def __init__(
        self, index: Path | str, *, packs: Sequence[str | Path | LanguagePack] = ()
    ) -> None:
        self._index = Index(index)
        self._voices = Voices(self._index, packs)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._content: SpaceTower | None = None
        self._content_lock = threading.Lock()  # of its own: pictures take long

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
            self._index = self._index.reopened()
            return True

    def reopen(self) -> None:
        """Open what lies in the index's place now, which may be another index of the same model.

        Raises:
            UnavailableError, StoreError: There is none, or a damaged one.
            SpaceMismatchError: It is one of another model.
        """
        with self._lock:
            found = Index(self._index.path)
            if (found.space_id, found.model) != (self._index.space_id, self._index.model):
                raise errors.SpaceMismatchError(
                    f"the index {found.path} is one of the model {found.model} now; it was opened "
                    f"as one of {self._index.model}",
                    hint="open it again",
                )
            self._index = found

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
            PolyglanceError: As `search`, of one that cannot be answered.
        """
        found = self.answer_each(asks)
        for one in found:
            if isinstance(one, errors.PolyglanceError):
                raise one
        return [one for one in found if isinstance(one, Answer)]

    def answer_each(self, asks: Sequence[Ask]) -> list[Answer | errors.PolyglanceError]:
        """As `search_many`; one that cannot be answered is its error, and the others are answered.

        Who sends questions that fail does not cost the others their batch.
        """
        started = time.perf_counter()
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self.refresh()
        index = self._index
        found: list[Answer | errors.PolyglanceError | None] = [None] * len(asks)
        looks: dict[int, _Look] = {}
        assumed: dict[int, tuple[Assumption, ...]] = {}
        for place, read in enumerate(self._read_each(asks)):
            try:
                if isinstance(read, errors.PolyglanceError):
                    raise read
                ways = _comparable(readings.combinations(read), voices=self._voices)
                looks[place] = self._look(asks[place], ways, index)
                assumed[place] = _assumptions(ways)
            except errors.PolyglanceError as error:
                found[place] = error
        hits = _hits(index, list(looks.values()))
        seconds = time.perf_counter() - started
        for place, each in zip(looks, hits, strict=True):
            found[place] = Answer(hits=each, assumed=assumed[place], seconds=seconds)
        return [one for one in found if one is not None]

    def _read_each(
        self, asks: Sequence[Ask]
    ) -> list[list[list[Encoded] | None] | errors.PolyglanceError]:
        """All readings of the terms of each question, None for one that is no text; or its error.

        Where the texts of several cannot be read together, halves are tried.
        """
        texts = [
            (term.text, term.language or ask.language)
            for ask in asks
            for term in ask.query.terms
            if term.text is not None
        ]
        try:
            encoded = iter(readings.encode(texts, self._voices))
        except errors.PolyglanceError as error:
            if len(asks) == 1:
                return [error]
            half = len(asks) // 2
            return self._read_each(asks[:half]) + self._read_each(asks[half:])
        return [
            [next(encoded) if term.text is not None else None for term in ask.query.terms]
            for ask in asks
        ]

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
        looks = [
            _Look(ways=[(row, None)], shares=[1.0], top=top, filters=filters, alike=alike)
            for row in vectors
        ]
        return _hits(self._index, looks)

    def encode_pictures(self, pictures: Sequence[Picture | Image]) -> Vectors:
        """Pictures, also decoded ones, as float32 (N, D), unit, in the model's space.

        Raises:
            InputError: One that cannot be read.
        """
        images = [_decode(picture) for picture in pictures]
        with self._content_lock:
            if self._content is None:
                self._content = SpaceTower(self._index.side("content"))
            return self._content.encode(images)

    def _look(self, ask: Ask, ways: Sequence[Way], index: Index) -> _Look:
        """What one question looks for, each reading as a vector; items that it names left out."""
        if ask.top < 1:
            raise errors.ConfigError(f"top {ask.top}; it must be at least 1", hint="try --top 10")
        if ask.filters is not None:
            ask.filters.require(("id", *index.store.extra_columns))
        given = self._given(ask.query, index)
        return _Look(
            ways=[self._sum(ask.query, chosen, given) for chosen, _ in ways],
            shares=[share for _, share in ways],
            top=ask.top,
            filters=ask.filters,
            alike=ask.alike,
            without=frozenset(term.item for term in ask.query.terms if term.item is not None),
        )

    def _given(self, query: Query, index: Index) -> list[Vectors | None]:
        """The vectors of pictures and items, in the order of the terms; None for texts."""
        given = [term.picture for term in query.terms]
        pictures = [one for one in given if isinstance(one, Path | bytes)]
        encoded = iter(self.encode_pictures(pictures) if pictures else ())
        return [
            term.picture.vector
            if isinstance(term.picture, PictureVector)
            else next(encoded)
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
            ConfigError: A picture or item beside a text whose pack has another content tower.
            InputError: The terms cancel.
        """
        packs = [self._voices.pack(one.assumption.pack) for one in encoded if one is not None]
        pack = packs[0] if packs and _column(packs[0]) is not None else None
        if len(encoded) == 1 and encoded[0] is not None:
            return encoded[0].vector, pack  # one text: unit as it is
        parts = []
        for term, one, vector in zip(query.terms, encoded, given, strict=True):
            if one is not None:
                part = one.vector
            else:
                assert vector is not None
                part = vector if pack is None else _projected(vector, pack)
            parts.append(term.weight * part.astype(np.float64))
        total = np.sum(parts, axis=0)
        length = np.linalg.norm(total)
        if not np.isfinite(length):
            raise errors.InputError(
                "the weights of this query are too large to be added", hint="take some around 1"
            )
        total /= max(1.0, float(max(abs(term.weight) for term in query.terms)))
        if np.linalg.norm(total) < SHORTEST:
            raise errors.InputError(
                "the terms of this query cancel: nothing is left to look for",
                hint="change a weight, or leave a term out",
            )
        return affine.unit(total[None].astype(np.float32))[0], pack


def _comparable(ways: Sequence[Way], *, voices: Voices) -> list[Way]:
    """The ways to read a query in which all its texts are compared with the same vectors.

    Raises:
        LanguageError: There is none.
    """
    found = [
        (chosen, share)
        for chosen, share in ways
        if len({_column(voices.pack(one.assumption.pack)) for one in chosen if one}) <= 1
    ]
    if not found:
        names = {one.assumption.pack or "the model" for one in ways[0][0] if one is not None}
        raise errors.LanguageError(
            "the texts of this query are answered by some that look at the pictures in different "
            f"ways ({', '.join(sorted(names))}); their vectors do not add up",
            hint="ask in one language, or leave one pack out",
        )
    return found


def _projected(vector: Vectors, pack: LanguagePack) -> Vectors:
    """A vector of the model's space as a pack's texts are compared with it."""
    if pack.content_head is None:
        raise errors.ConfigError(
            f"a picture beside a text that is answered by a pack with another content tower "
            f"({pack.manifest.content_tower}); the two do not add up",
            hint="ask with the picture alone, or with the text alone",
        )
    projected: Vectors = pack.project(vector[None])[0]
    return projected


def _column(pack: LanguagePack | None) -> str | None:
    """Which column answers a pack's queries; None for the base column."""
    return None if pack is None or pack.manifest.content == "unchanged" else pack.column_id


def _assumptions(ways: Sequence[Way]) -> tuple[Assumption, ...]:
    """What was assumed of each text, term by term, the likeliest first."""
    by_term = zip(*(chosen for chosen, _ in ways), strict=True)
    return tuple(
        dict.fromkeys(one.assumption for term in by_term for one in term if one is not None)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
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


def _hits(index: Index, looks: Sequence[_Look]) -> list[tuple[Hit, ...]]:
    """The first answers that differ, of each question; looks further where many are the same."""
    hits: list[tuple[Hit, ...]] = [()] * len(looks)
    counts: dict[int, int] = {}
    for place, look in enumerate(looks):
        if look.top < 1:
            raise errors.ConfigError(f"top {look.top}; it must be at least 1", hint="try --top 10")
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
                ranked.fold(
                    ranked.fuse(found, shares=look.shares),
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


def _candidates(index: Index, looks: Sequence[tuple[_Look, int]]) -> list[list[Candidates]]:
    """So many candidates of every reading of each question.

    Readings that are compared with the same vectors are compared in one product.
    """
    alike: dict[tuple[str | None, Filters | None, int], list[tuple[int, int]]] = {}
    for place, (look, count) in enumerate(looks):
        for way, (_, pack) in enumerate(look.ways):
            alike.setdefault((_column(pack), look.filters, count), []).append((place, way))
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


def _decode(picture: Picture | Image) -> object:
    """A picture to search by, as the towers take it."""
    if isinstance(picture, bytes):
        return decode_image(picture, name="the picture")
    if not isinstance(picture, Path):
        return picture
    try:
        return decode_image(Path(picture).read_bytes(), name=str(picture))
    except OSError as error:
        raise errors.InputError(
            f"the picture {picture} cannot be read: {error.strerror or error}",
            hint="give the path of an image",
        ) from error
