"""The searcher: queries in any language and by example, from many threads at once.

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
from typing import TYPE_CHECKING

from polyglance import errors
from polyglance.languages.registry import get_language
from polyglance.model.pack import LanguagePack
from polyglance.model.side import SpaceTower
from polyglance.records import Modality
from polyglance.search import default_packs, interpretations, query_vectors
from polyglance.search.candidates import EncodedRequest, hits_of, notes_on_nothing
from polyglance.search.default_packs import DefaultPacks
from polyglance.search.filters import Filters
from polyglance.search.fusion import Hit
from polyglance.search.index import Index
from polyglance.search.interpretations import Encoded, Interpretation, Said
from polyglance.search.language_routing import LanguageRouting, LanguageRow
from polyglance.search.queries import Media, MediaVector, Query, Term
from polyglance.search.request import SearchRequest, typed_query
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Answer",
    "Encoded",
    "Filters",
    "Hit",
    "Interpretation",
    "LanguageRow",
    "Query",
    "SearchRequest",
    "Searcher",
    "Term",
]

# An index is looked at again for new rows after so long.
REFRESH_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query found.

    Attributes:
        hits: Best first.
        assumed: Every reading of every text that was asked, in the order of the query, most likely
            first; empty where the query has no text.
        seconds: From the question to the answer, other questions of the same batch included.
        notes: What the asker should hear besides, in sentences: what may have been meant otherwise,
            which filter lets nothing pass.
    """

    hits: tuple[Hit, ...]
    assumed: tuple[Interpretation, ...]
    seconds: float
    notes: tuple[str, ...] = ()


class Searcher:
    """An index that is asked in any language; see the module.

    Args:
        index: Its folder, or its address on object storage.
        packs: Language packs of its space: folders, names, ids on the hub, or packs that are
            loaded. None takes those that ship with the index's model, if that one ships.

    Attributes:
        defaults: What was taken where `packs` is None: packs, and what is to be said of them.

    Raises:
        UnavailableError, StoreError: No such index or pack, or a damaged one.
        SpaceMismatchError: A pack of another space, or an index of earlier weights of a model that
            ships.
    """

    def __init__(
        self, index: Path | str, *, packs: Sequence[str | Path | LanguagePack] | None = None
    ) -> None:
        self._index = Index(index)
        self.defaults = DefaultPacks() if packs is not None else default_packs.of_index(self._index)
        self._routing = LanguageRouting(self._index, packs or (), named=self.defaults.packs)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._content: SpaceTower | None = None
        self._content_lock = threading.Lock()  # of its own: media take long

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
        for encoder in self._routing.packs:
            encoder.encode(["warm"], languages=[encoder.a_language])

    @property
    def spoken(self) -> tuple[str, ...]:
        """Ids of the languages that a text may be in; empty where nobody measured any."""
        return self._routing.candidates

    def languages(self) -> tuple[LanguageRow, ...]:
        """What it can be asked in, by id: who speaks, and how well, as measured."""
        return self._routing.rows()

    def search(
        self,
        query: Query | str,
        *,
        top: int = 10,
        filters: Filters | None = None,
        language: str | None = None,
        alike: float | None = 1.0,
        preferred: Sequence[str] = (),
    ) -> Answer:
        """Answer one query; the other arguments are the fields of `SearchRequest`.

        Args:
            query: A text is read as the command line reads it; for others see `queries`.
            top: How many answers.
            filters: What answers must satisfy.
            language: Id of the language of the texts that name none.
            alike: Cosine from which two items are folded into one answer.
            preferred: Ids of languages that the asker reads.

        Raises:
            ConfigError: `top` out of range, or filters that ask what the index does not hold.
            InputError: A file that cannot be read, an item that is not there, terms that cancel.
            LanguageError: Terms that only packs with different content sides can answer.
        """
        if isinstance(query, str):
            query = typed_query(query, named=Path, languages=self.spoken)
        request = SearchRequest(
            query=query,
            top=top,
            filters=filters,
            language=language,
            alike=alike,
            preferred=tuple(preferred),
        )
        return self.search_many([request])[0]

    def search_many(self, requests: Sequence[SearchRequest]) -> list[Answer]:
        """Answer several requests together; their texts are encoded in one batch an encoder.

        Raises:
            PolyglanceError: As `search`, of one that cannot be answered.
        """
        found = self.search_each(requests)
        for one in found:
            if isinstance(one, errors.PolyglanceError):
                raise one
        return [one for one in found if isinstance(one, Answer)]

    def search_each(
        self, requests: Sequence[SearchRequest]
    ) -> list[Answer | errors.PolyglanceError]:
        """As `search_many`, but a request that cannot be answered gets its error, not the others.

        What is wrong with a request is seen before its batch, so that it costs the others nothing.
        """
        started = time.perf_counter()
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self.refresh()
        index = self._index
        problems = [_problem(request, index) for request in requests]
        good = [one for one, problem in zip(requests, problems, strict=True) if problem is None]
        answered = iter(self._answered(good, index) if good else ())
        found = [next(answered) if problem is None else problem for problem in problems]
        seconds = time.perf_counter() - started
        return [replace(one, seconds=seconds) if isinstance(one, Answer) else one for one in found]

    def _answered(
        self, requests: Sequence[SearchRequest], index: Index
    ) -> list[Answer | errors.PolyglanceError]:
        """Requests together; alone where something is wrong that concerns them all."""
        try:
            return self._together(requests, index)
        except errors.PolyglanceError as error:
            if len(requests) == 1:
                return [error]
            return [one for request in requests for one in self._answered([request], index)]

    def _together(
        self, requests: Sequence[SearchRequest], index: Index
    ) -> list[Answer | errors.PolyglanceError]:
        """Requests through each encoder, and to each column, in one batch."""
        texts = [
            Said(term.text, term.language or request.language, request.preferred)
            for request in requests
            for term in request.query.terms
            if term.text is not None
        ]
        encoded = iter(interpretations.encode(texts, self._routing))
        read: list[tuple[EncodedRequest, tuple[Interpretation, ...]] | errors.PolyglanceError] = []
        for request in requests:
            of_terms = [
                next(encoded) if term.text is not None else None for term in request.query.terms
            ]
            try:
                ways = interpretations.combinations(of_terms)
                ways = query_vectors.comparable(ways, routing=self._routing)
                given = self._given(request.query, index)
                vectors = query_vectors.of_ways(
                    ways, request.query, given=given, routing=self._routing
                )
                read.append(((request, vectors), query_vectors.assumptions(ways)))
            except errors.PolyglanceError as error:
                read.append(error)
        hits = iter(hits_of(index, [one[0] for one in read if isinstance(one, tuple)]))
        return [
            self._answer(request, next(hits), one[1], index) if isinstance(one, tuple) else one
            for request, one in zip(requests, read, strict=True)
        ]

    def _answer(
        self,
        request: SearchRequest,
        hits: tuple[Hit, ...],
        assumed: tuple[Interpretation, ...],
        index: Index,
    ) -> Answer:
        unlisted = [
            f"{one.pack} does not list {get_language(one.language).english_name}: whether it "
            "knows that language nobody says, and the answers may mean nothing"
            for one in assumed
            if one.language is not None and self._routing.not_listed(one.language)
        ]
        nothing = () if hits else notes_on_nothing(index, request.filters)
        notes = (*request.query.notes, *dict.fromkeys(unlisted), *nothing)
        return Answer(hits=hits, assumed=assumed, seconds=0.0, notes=notes)

    def encode_texts(self, texts: Sequence[tuple[str, str | None]]) -> list[Encoded]:
        """Texts as vectors, each in its language, or in the one that it most likely is in.

        Args:
            texts: T texts, each with its language id or None.
        """
        said = [Said(text, language) for text, language in texts]
        return [found[0] for found in interpretations.encode(said, self._routing)]

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
        queries = [Query.near(MediaVector(row)) for row in vectors]
        requests = [
            SearchRequest(query=query, top=top, filters=filters, alike=alike) for query in queries
        ]
        return [answer.hits for answer in self.search_many(requests)]

    def encode_media(self, media: Sequence[Media | Image]) -> Vectors:
        """Images or sounds, also decoded, as float32 (N, D), unit, in the model's space.

        Raises:
            InputError: One that cannot be read.
        """
        decoded = [_decode(one, self._index.store.facts.modality) for one in media]
        with self._content_lock:
            if self._content is None:
                self._content = SpaceTower(self._index.side("content"))
            return self._content.encode(decoded)

    def _given(self, query: Query, index: Index) -> list[Vectors | None]:
        """The vectors of media and items, in the order of the terms; None for texts."""
        given = [term.media for term in query.terms]
        files = [one for one in given if isinstance(one, Path | bytes)]
        encoded = iter(self.encode_media(files) if files else ())
        return [
            term.media.vector
            if isinstance(term.media, MediaVector)
            else next(encoded)
            if term.media is not None
            else None
            if term.item is None
            else index.vector_of(term.item)
            for term in query.terms
        ]


def _problem(request: SearchRequest, index: Index) -> errors.PolyglanceError | None:
    """What is wrong with a request, as far as it shows without encoding it."""
    try:
        if request.query.cancels:
            raise query_vectors.cancelling()
        index.require_filters(request.filters)
    except errors.PolyglanceError as error:
        return error
    return None


def _decode(media: Media | Image, modality: Modality) -> object:
    """What is searched by, as the towers preprocess it."""
    from polyglance.sources.decoders import decode  # a query by text decodes nothing
    from polyglance.sources.formats import FORMATS

    if isinstance(media, bytes):
        return decode(media, name=f"the {FORMATS[modality].noun}", modality=modality).item
    if not isinstance(media, Path):
        return media
    try:
        return decode(media.read_bytes(), name=str(media), modality=modality).item
    except OSError as error:
        raise errors.InputError(
            f"the {FORMATS[modality].noun} {media} cannot be read: {error.strerror or error}",
            hint=f"give the path of one {FORMATS[modality].noun}",
        ) from error
