"""Requests turned into answers: queries batched through the searcher, answers as JSON.

Queries are asked in one thread, the encoder's. What is shown beside an id is read once for each
state of the index: when there are new rows, or another index in its place, it is read again; while
there is none, nothing is answered.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from polyglance import errors
from polyglance.languages.registry import get_language
from polyglance.search import searcher as service
from polyglance.search.index import Index
from polyglance.search.queries import MediaVector, Query
from polyglance.search.request import SearchRequest
from polyglance.search.searcher import Answer, Interpretation, Searcher
from polyglance.serve import index_changes
from polyglance.serve.media import ItemFiles

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray
    from PIL.Image import Image

SHOWN = ("caption", "url", "taken_at", "size")
# Columns of what is shown that stay in memory; and items of which all that is told stays.
HELD_BYTES = 2**24
KEPT_ITEMS = 4_096
SHOWN_GUESSES = 3


class Catalogue:
    """What is shown of the items of one state of an index.

    Held are whole columns of it, up to `HELD_BYTES`, and what is told of the items that come again
    and again; the rest is read from the table, once for the answers of a batch.

    Args:
        index: Open; what it holds does not change.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.pictures = ItemFiles(index)
        self._told: dict[str, dict[str, Any]] = {}
        self._held: dict[str, pyarrow.ChunkedArray] = {}
        self._read: list[str] = []
        for name in SHOWN:
            if name in index.store.extra_columns:
                self._hold(name)
        _ = index.id_map  # now, not with the first answer

    def __len__(self) -> int:
        """Items."""
        return len(self.index.ids)

    def __contains__(self, identity: str) -> bool:
        """Whether there is such an item."""
        return bool(self.rows([identity])[0] >= 0)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns that are held."""
        return sum(column.nbytes for column in self._held.values())

    def rows(self, identities: Sequence[str]) -> NDArray[np.int64]:
        """The places of items among all ids; -1 for one that is not there."""
        return self.index.id_map.rows(identities)

    def told(self, identities: Collection[str]) -> dict[str, dict[str, Any]]:
        """What is the same in every answer, by id; without the items that are not there."""
        known = {each: self._told[each] for each in identities if each in self._told}
        asked = [each for each in dict.fromkeys(identities) if each not in known]
        rows = dict(zip(asked, self.rows(asked).tolist(), strict=True))
        there = {identity: row for identity, row in rows.items() if row >= 0}
        if not there:
            return known
        shown: dict[str, list[Any]] = {name: [None] * len(there) for name in SHOWN}
        for name, column in self._held.items():
            shown[name] = [column[row].as_py() for row in there.values()]
        if self._read:
            shown |= self.index.columns_at(list(there.values()), self._read)
        new = {
            identity: _of_item(identity, *values)
            for identity, *values in zip(there, *(shown[name] for name in SHOWN), strict=True)
        }
        if len(self._told) + len(new) > KEPT_ITEMS:
            self._told.clear()
        self._told |= new
        return known | new

    def _hold(self, name: str) -> None:
        """Keep a column, if there is room; one that says nothing of any item takes none."""
        import pyarrow as pa

        room, parts = HELD_BYTES - self.nbytes, []
        for batch in self.index.store.table.to_batches(columns=[name]):
            column = batch.column(0)
            empty = column.null_count == len(column)
            parts.append(pa.nulls(len(column)) if empty else column)
            room -= 0 if empty else column.nbytes
            if room < 0:
                self._read.append(name)
                return
        typed = [part.type for part in parts if part.type != pa.null()]
        if typed:
            self._held[name] = pa.chunked_array([part.cast(typed[0]) for part in parts])


def _of_item(
    identity: str, caption: str | None, url: object, taken: datetime | None, size: int | None
) -> dict[str, Any]:
    """The fields of `schemas.FoundHit` that say what an item is."""
    path = quote(identity)
    return {
        "id": identity,
        "image": f"/api/images/{path}",
        "thumbnail": f"/api/thumbnails/{path}",
        "caption": caption,
        "url": web_address(url),
        "taken_at": None if taken is None else taken.isoformat(),
        "size": size or None,
    }


class Asker:
    """Answers questions over one searcher.

    Args:
        searcher: Open.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._mark = index_changes.mark(searcher.index.store)
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
                raise index_changes.lost(self._lost)
            self._renew()

    def _renew(self) -> None:
        """Show what the searcher asks now."""
        if self._catalogue.index is not self._searcher.index:
            self._catalogue = Catalogue(self._searcher.index)

    def _found_lost(self) -> str | None:
        """Look at the disk; what is wrong there, if anything is."""
        try:
            found = index_changes.mark(self._searcher.index.store)
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
        """Load what the first queries would wait for: each encoder, and the image side."""
        self._searcher.warm_up()
        first = {(row["speaker"], row["pack"]): row["id"] for row in self.languages}
        # What cannot be had, such as the model behind vectors of others, is said when it is asked.
        for language in (*first.values(), None):  # None: the detector
            with contextlib.suppress(errors.PolyglanceError):
                self.answers([SearchRequest(query=Query.of_text("a"), language=language)])
        with contextlib.suppress(errors.PolyglanceError):
            self._searcher.encode_media([_small_image()])

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
        hits = [hit for one in found if isinstance(one, Answer) for hit in one.hits]
        told = catalogue.told([hit.id for hit in hits])
        return [
            _written(request, one, told, items=len(catalogue)) if isinstance(one, Answer) else one
            for request, one in zip(batch, found, strict=True)
        ]

    def vectors(self, images: Sequence[Image]) -> list[MediaVector]:
        """Decoded images as vectors; runs in a thread of its own, beside the encoder's of texts.

        Raises:
            PolyglanceError: The model has no side for images.
        """
        return [MediaVector(vector) for vector in self._searcher.encode_media(images)]


def _written(
    request: SearchRequest, answer: Answer, told: Mapping[str, Mapping[str, Any]], *, items: int
) -> dict[str, Any]:
    hits = [hit for hit in answer.hits if hit.id in told]  # the others are gone since
    return {
        "language": request.language,
        "assumed": [_assumed(one) for one in answer.assumed],
        "seconds": round(answer.seconds, 6),
        "items": items,
        "notes": list(answer.notes),
        "hits": [
            {
                "rank": rank,
                "score": round(hit.score, 6),
                "folded": hit.num_folded,
                **told[hit.id],
            }
            for rank, hit in enumerate(hits, 1)
        ],
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


def _small_image() -> bytes:
    """An image to warm up with."""
    from io import BytesIO

    from PIL import Image

    written = BytesIO()
    Image.new("RGB", (64, 64), "white").save(written, "PNG")
    return written.getvalue()
