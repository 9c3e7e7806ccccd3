"""Requests turned into answers: queries batched through the searcher, answers as JSON.

Queries are asked in one thread, the encoder's. What is shown beside an id is read once for each
state of the index: when there are new rows, or another index in its place, it is read again; while
there is none, nothing is answered.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np

from polyglance import errors
from polyglance.languages.registry import get_language, normalise_language
from polyglance.search import searcher as service
from polyglance.search.filters import Filters
from polyglance.search.index import Index
from polyglance.search.queries import PictureVector, Query
from polyglance.search.searcher import Answer, Ask, Hit, Interpretation, Searcher
from polyglance.serve import freshness
from polyglance.serve.pictures import Pictures
from polyglance.vectors import unit

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN = ("caption", "url", "taken_at", "size")
KEPT_ITEMS = 65_536
SHOWN_GUESSES = 3


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question.

    Attributes:
        query: What is asked; None where a vector is given.
        vector: D numbers of the space.
        shown: How the answer names it.
        language: Id of its texts' language; None has it guessed.
        top: How many answers.
        filters: What an answer must satisfy.
        fold: Whether copies are left out.
        preferred: Ids of languages that the asker reads.
    """

    query: Query | None = None
    vector: tuple[float, ...] = ()
    shown: str = ""
    language: str | None = None
    top: int = 24
    filters: Filters | None = None
    fold: bool = True
    preferred: tuple[str, ...] = ()


class Catalogue:
    """What is shown of the items of one state of an index.

    Args:
        index: Open; what it holds does not change.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.pictures = Pictures(index.store)
        self.row_of = {identity: row for row, identity in enumerate(index.ids)}
        there = [name for name in SHOWN if name in index.store.extra_columns]
        # Packed: as Python's values they would take ten times the memory and time.
        self._table = index.store.table.to_table(columns=there).combine_chunks()

        self._told: dict[str, dict[str, Any]] = {}

    def hit(self, found: Hit, rank: int) -> dict[str, Any]:
        """A hit as `schemas.FoundHit` describes it."""
        told = self._told.get(found.id) or self._tell(found.id)
        score = round(found.score, 6)
        return {"rank": rank, "score": score, "folded": found.num_folded, **told}

    def _tell(self, identity: str) -> dict[str, Any]:
        """What is the same in every answer; kept for the items that come again and again."""
        path, row = quote(identity), self.row_of[identity]
        caption, url, taken, size = (
            self._table[name][row].as_py() if name in self._table.column_names else None
            for name in SHOWN
        )
        if len(self._told) >= KEPT_ITEMS:
            self._told.clear()
        self._told[identity] = {
            "id": identity,
            "image": f"/api/images/{path}",
            "thumbnail": f"/api/thumbnails/{path}",
            "caption": caption,
            "url": web_address(url),
            "taken_at": None if taken is None else taken.isoformat(),
            "size": size or None,
        }
        return self._told[identity]


class Asker:
    """Answers questions over one searcher.

    Args:
        searcher: Open.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._mark = freshness.mark(searcher.index.store)
        self._catalogue = Catalogue(searcher.index)
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._lost: str | None = None  # what is wrong
        self.name = Path(searcher.index.path).resolve().name

    @property
    def catalogue(self) -> Catalogue:
        """What is shown of the items, as the index was when it was looked at last."""
        return self._catalogue

    @property
    def spoken(self) -> tuple[str, ...]:
        """Ids of the languages that may stand in front of a text; see `queries.parse`."""
        return self._searcher.spoken

    @property
    def looked_lately(self) -> bool:
        """Whether the index was there a moment ago, so that `look` need not be called."""
        lately = time.monotonic() - self._looked <= service.REFRESH_SECONDS
        return lately and self._lost is None

    def look(self) -> None:
        """See what was written, or whether another index lies there; may take long.

        Raises:
            LostIndexError: There is none that can be served.
        """
        with self._lock:
            if time.monotonic() - self._looked > service.REFRESH_SECONDS:
                self._lost = self._found_lost()
                self._looked = time.monotonic()
            if self._lost is not None:
                raise freshness.lost(self._lost)
            self._renew()

    def _renew(self) -> None:
        """Show what the searcher asks now."""
        if self._catalogue.index is not self._searcher.index:
            self._catalogue = Catalogue(self._searcher.index)

    def _found_lost(self) -> str | None:
        """Look at the disk; what is wrong there, if anything is."""
        try:
            found = freshness.mark(self._searcher.index.store)
            if found == self._mark:
                self._searcher.refresh()
            else:
                self._searcher.reopen()
                self._mark = found
        except errors.PolyglanceError as error:
            return f"the index cannot be served: {error.message}"
        return None

    @cached_property
    def languages(self) -> list[dict[str, Any]]:
        """What `/api/languages` says."""
        return [
            {
                "id": row.language,
                "tag": get_language(row.language).bcp47,
                "name": row.english_name,
                "own_name": row.own_name,
                "direction": row.direction,
                "speaker": row.speaker,
                "pack": row.pack,
                "score": row.dev_score,
            }
            for row in self._searcher.languages()
        ]

    def warm_up(self) -> None:
        """Load what the first queries would wait for: each encoder, and the picture side."""
        self._searcher.warm_up()
        first = {(row["speaker"], row["pack"]): row["id"] for row in self.languages}
        # What cannot be had, such as the model behind vectors of others, is said when it is asked.
        for language in (*first.values(), None):  # None: the detector
            with contextlib.suppress(errors.PolyglanceError):
                self.answers([Asked(query=Query.of_text("a"), language=language)])
        with contextlib.suppress(errors.PolyglanceError):
            self._searcher.encode_pictures([_small_picture()])

    def answers(self, batch: Sequence[Asked]) -> list[dict[str, Any] | Exception]:
        """The answers to several questions, as `schemas.Found` describes them, or what is wrong.

        Raises:
            LostIndexError: There is no index to ask any more.
        """
        self.look()
        asks = [
            Ask(
                query=asked.query,
                top=asked.top,
                filters=asked.filters,
                language=asked.language,
                alike=1.0 if asked.fold else None,
                preferred=asked.preferred,
            )
            for asked in batch
            if asked.query is not None
        ]
        found = iter(self._searcher.search_each(asks) if asks else [])
        with self._lock:
            self._renew()  # it may have looked again
            catalogue = self._catalogue
        answers: list[dict[str, Any] | Exception] = []
        for asked in batch:
            answer = next(found) if asked.query is not None else self._near(asked)
            answers.append(
                answer
                if isinstance(answer, errors.PolyglanceError)
                else self._written(asked, answer, catalogue)
            )
        return answers

    def vectors(self, images: Sequence[Image]) -> list[PictureVector]:
        """Decoded pictures as vectors; runs in a thread of its own, beside the encoder's of texts.

        Raises:
            PolyglanceError: The model has no side for pictures.
        """
        return [PictureVector(vector) for vector in self._searcher.encode_pictures(images)]

    def _near(self, asked: Asked) -> Answer | errors.PolyglanceError:
        """What lies near a vector that was given; or what is wrong with it."""
        started = time.perf_counter()
        dim = self._searcher.index.store.facts.dim
        with np.errstate(over="ignore"):
            vector = np.asarray([asked.vector], np.float32)  # (1, D)
            length = np.linalg.norm(vector)
        if vector.shape[1] != dim or not np.isfinite(length) or not length:
            return errors.VectorError(
                f"a vector of {vector.shape[1]} numbers and length {length:g}; {dim} numbers are "
                "wanted, finite and not all 0",
                hint="encode it with the model of the index",
            )
        alike = 1.0 if asked.fold else None
        hits = self._searcher.rank(unit(vector), top=asked.top, alike=alike)[0]
        return Answer(hits=hits, assumed=(), seconds=time.perf_counter() - started)

    def _written(self, asked: Asked, answer: Answer, catalogue: Catalogue) -> dict[str, Any]:
        hits = [
            hit
            for hit in answer.hits
            if hit.id in catalogue.row_of  # else gone since it was ranked
        ]
        return {
            "query": asked.shown,
            "language": asked.language,
            "assumed": [_assumed(one) for one in answer.assumed],
            "seconds": round(answer.seconds, 6),
            "items": len(catalogue.row_of),
            "notes": list(answer.notes),
            "hits": [catalogue.hit(hit, rank) for rank, hit in enumerate(hits[: asked.top], 1)],
        }


def web_address(given: object) -> str | None:
    """An address that a link may lead to; None for one that would run something, or is none.

    >>> web_address("https://photos.example/1.jpg")
    'https://photos.example/1.jpg'
    >>> web_address("javascript:alert(1)"), web_address(" data:text/html,x"), web_address(None)
    (None, None, None)
    """
    if not isinstance(given, str) or not given.isprintable() or given != given.strip():
        return None
    try:
        parts = urlsplit(given)
    except ValueError:
        return None
    return given if parts.scheme.lower() in ("http", "https") and parts.hostname else None


def language_id(given: str | None) -> str | None:
    """The id of a language that somebody named; None where nobody did.

    Raises:
        LanguageError: There is no such language, or there are several.

    >>> language_id("de"), language_id("")
    ('deu_Latn', None)
    """
    return normalise_language(given) if given else None


def _assumed(one: Interpretation) -> dict[str, Any]:
    return {
        "text": one.text,
        "language": one.language,
        "name": None if one.language is None else _own_name(one.language),
        "others": [_own_name(language) for language in one.others[:SHOWN_GUESSES]],
        "speaker": one.speaker,
        "pack": one.pack,
        "share": round(one.share, 4),
    }


def _own_name(language: str) -> str:
    row = get_language(language)
    return row.own_name or row.english_name


def _small_picture() -> bytes:
    """A picture to warm up with."""
    from io import BytesIO

    from PIL import Image

    written = BytesIO()
    Image.new("RGB", (64, 64), "white").save(written, "PNG")
    return written.getvalue()
