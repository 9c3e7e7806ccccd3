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
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from polyglance import errors
from polyglance.languages.registry import get_language
from polyglance.search import searcher as service
from polyglance.search.index import Index
from polyglance.search.queries import PictureVector, Query
from polyglance.search.request import SearchRequest
from polyglance.search.searcher import Answer, Hit, Interpretation, Searcher
from polyglance.serve import freshness
from polyglance.serve.pictures import Pictures

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN = ("caption", "url", "taken_at", "size")
KEPT_ITEMS = 65_536
SHOWN_GUESSES = 3


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
    def dim(self) -> int:
        """Numbers of a vector of the index's space."""
        return self._searcher.index.store.facts.dim

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
                self.answers([SearchRequest(query=Query.of_text("a"), language=language)])
        with contextlib.suppress(errors.PolyglanceError):
            self._searcher.encode_pictures([_small_picture()])

    def answers(self, batch: Sequence[SearchRequest]) -> list[dict[str, Any] | Exception]:
        """The answers to several requests, or what is wrong with them.

        They are as `schemas.Found` describes them, but for the query, which the asker names.

        Raises:
            LostIndexError: There is no index to ask any more.
        """
        self.look()
        found = self._searcher.search_each(batch)
        with self._lock:
            self._renew()  # it may have looked again
            catalogue = self._catalogue
        return [
            answer
            if isinstance(answer, errors.PolyglanceError)
            else _written(request, answer, catalogue)
            for request, answer in zip(batch, found, strict=True)
        ]

    def vectors(self, images: Sequence[Image]) -> list[PictureVector]:
        """Decoded pictures as vectors; runs in a thread of its own, beside the encoder's of texts.

        Raises:
            PolyglanceError: The model has no side for pictures.
        """
        return [PictureVector(vector) for vector in self._searcher.encode_pictures(images)]


def _written(request: SearchRequest, answer: Answer, catalogue: Catalogue) -> dict[str, Any]:
    hits = [
        hit
        for hit in answer.hits
        if hit.id in catalogue.row_of  # else gone since it was ranked
    ]
    return {
        "language": request.language,
        "assumed": [_assumed(one) for one in answer.assumed],
        "seconds": round(answer.seconds, 6),
        "items": len(catalogue.row_of),
        "notes": list(answer.notes),
        "hits": [catalogue.hit(hit, rank) for rank, hit in enumerate(hits, 1)],
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
