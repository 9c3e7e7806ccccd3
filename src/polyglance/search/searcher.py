"""The searcher: queries in any language and by picture, from many threads at once.

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

import numpy as np

from polyglance import errors
from polyglance.model.pack import LanguagePack
from polyglance.model.side import SpaceTower
from polyglance.search import interpretations
from polyglance.search.filters import Filters
from polyglance.search.fusion import Hit
from polyglance.search.index import Index
from polyglance.search.interpretations import Encoded, Interpretation, Said
from polyglance.search.language_routing import LanguageRow, Voices
from polyglance.search.looks import Look, column_of, hits_of, notes_on_nothing, require_top
from polyglance.search.queries import Picture, PictureVector, Query, Term, parse
from polyglance.sources.images import decode_image
from polyglance.vectors import Vectors, unit

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "Answer",
    "Ask",
    "Encoded",
    "Filters",
    "Hit",
    "Interpretation",
    "LanguageRow",
    "Query",
    "Searcher",
    "Term",
]

# An index is looked at again for new rows after so long.
REFRESH_SECONDS = 1.0
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
        notes: What the asker should hear besides, in sentences: what may have been meant otherwise,
            which filter lets nothing pass.
    """

    hits: tuple[Hit, ...]
    assumed: tuple[Interpretation, ...]
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question of several that are asked together; fields as the arguments of `search`."""

    query: Query
    top: int = 10
    filters: Filters | None = None
    language: str | None = None
    alike: float | None = 1.0
    preferred: tuple[str, ...] = ()


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

    @property
    def spoken(self) -> tuple[str, ...]:
        """Ids of the languages that a text may be in; empty where nobody measured any."""
        return self._voices.candidates

    def languages(self) -> tuple[LanguageRow, ...]:
        """What it can be asked in, by id: who speaks, and how well, as measured."""
        return self._voices.rows()

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
        """Ask one question.

        Args:
            query: See `queries`; a text is read as the command line reads it.
            top: How many answers, 1 or more.
            filters: What answers must satisfy; decided before ranking.
            language: Id of the language of the texts that name none; None has it guessed.
            alike: Cosine from which two pictures count as the same and are folded into one answer;
                1 folds copies of the same content only, None folds nothing.
            preferred: Ids of languages that the asker reads, by a locale: where the language is
                guessed, they count for more.

        Raises:
            ConfigError: `top` below 1, or filters that ask what the index does not hold.
            InputError: A picture that cannot be read, an item that is not there, terms that cancel.
            LanguageError: Terms that only packs with different content sides can answer.
        """
        if isinstance(query, str):
            query = parse(query, pictures=Path, languages=self.spoken)
        ask = Ask(
            query=query,
            top=top,
            filters=filters,
            language=language,
            alike=alike,
            preferred=tuple(preferred),
        )
        return self.search_many([ask])[0]

    def search_many(self, asks: Sequence[Ask]) -> list[Answer]:
        """Ask several questions together; their texts are encoded in one batch an encoder.

        Raises:
            PolyglanceError: As `search`, of one that cannot be answered.
        """
        found = self.search_each(asks)
        for one in found:
            if isinstance(one, errors.PolyglanceError):
                raise one
        return [one for one in found if isinstance(one, Answer)]

    def search_each(self, asks: Sequence[Ask]) -> list[Answer | errors.PolyglanceError]:
        """As `search_many`, but a question that cannot be answered gets its error, not the others.

        What is wrong with a question is seen before its batch, so that it costs the others nothing.
        """
        started = time.perf_counter()
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self.refresh()
        index = self._index
        problems = [_problem(ask, index) for ask in asks]
        good = [ask for ask, problem in zip(asks, problems, strict=True) if problem is None]
        answered = iter(self._answered(good, index) if good else ())
        found = [next(answered) if problem is None else problem for problem in problems]
        seconds = time.perf_counter() - started
        return [replace(one, seconds=seconds) if isinstance(one, Answer) else one for one in found]

    def _answered(self, asks: Sequence[Ask], index: Index) -> list[Answer | errors.PolyglanceError]:
        """Questions together; alone where something is wrong that concerns them all."""
        try:
            return self._together(asks, index)
        except errors.PolyglanceError as error:
            if len(asks) == 1:
                return [error]
            return [one for ask in asks for one in self._answered([ask], index)]

    def _together(self, asks: Sequence[Ask], index: Index) -> list[Answer | errors.PolyglanceError]:
        """Questions through each encoder, and to each column, in one batch."""
        texts = [
            Said(term.text, term.language or ask.language, ask.preferred)
            for ask in asks
            for term in ask.query.terms
            if term.text is not None
        ]
        encoded = iter(interpretations.encode(texts, self._voices))
        looks: list[tuple[Look, tuple[Interpretation, ...]] | errors.PolyglanceError] = []
        for ask in asks:
            read = [next(encoded) if term.text is not None else None for term in ask.query.terms]
            try:
                ways = _comparable(interpretations.combinations(read), voices=self._voices)
                looks.append((self._look(ask, ways, index), _assumptions(ways)))
            except errors.PolyglanceError as error:
                looks.append(error)
        hits = iter(hits_of(index, [look[0] for look in looks if isinstance(look, tuple)]))
        return [
            _answer(ask, next(hits), look[1], index) if isinstance(look, tuple) else look
            for ask, look in zip(asks, looks, strict=True)
        ]

    def encode_texts(self, texts: Sequence[tuple[str, str | None]]) -> list[Encoded]:
        """Texts as vectors, each in its language, or in the one that it most likely is in.

        Args:
            texts: T texts, each with its language id or None.
        """
        said = [Said(text, language) for text, language in texts]
        return [found[0] for found in interpretations.encode(said, self._voices)]

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
            Look(ways=[(row, None)], shares=[1.0], top=top, filters=filters, alike=alike)
            for row in vectors
        ]
        return hits_of(self._index, looks)

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

    def _look(self, ask: Ask, ways: Sequence[Way], index: Index) -> Look:
        """What one question looks for, each reading as a vector; items that it names left out."""
        given = self._given(ask.query, index)
        return Look(
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
        pack = packs[0] if packs and column_of(packs[0]) is not None else None
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
            raise _cancelling()
        return unit(total[None].astype(np.float32))[0], pack


def _problem(ask: Ask, index: Index) -> errors.PolyglanceError | None:
    """What is wrong with a question, as far as it shows without encoding it."""
    try:
        if ask.query.cancels:
            raise _cancelling()
        require_top(ask.top)
        index.require_filters(ask.filters)
    except errors.PolyglanceError as error:
        return error
    return None


def _cancelling() -> errors.InputError:
    return errors.InputError(
        "the terms of this query cancel: nothing is left to look for",
        hint="change a weight, or leave a term out",
    )


def _answer(
    ask: Ask, hits: tuple[Hit, ...], assumed: tuple[Interpretation, ...], index: Index
) -> Answer:
    notes = () if hits else notes_on_nothing(index, ask.filters)
    return Answer(hits=hits, assumed=assumed, seconds=0.0, notes=(*ask.query.notes, *notes))


def _comparable(ways: Sequence[Way], *, voices: Voices) -> list[Way]:
    """The ways to read a query in which all its texts are compared with the same vectors.

    Raises:
        LanguageError: There is none.
    """
    found = [
        (chosen, share)
        for chosen, share in ways
        if len({column_of(voices.pack(one.assumption.pack)) for one in chosen if one}) <= 1
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


def _assumptions(ways: Sequence[Way]) -> tuple[Interpretation, ...]:
    """What was assumed of each text, term by term, the likeliest first."""
    by_term = zip(*(chosen for chosen, _ in ways), strict=True)
    return tuple(
        dict.fromkeys(one.assumption for term in by_term for one in term if one is not None)
    )


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
