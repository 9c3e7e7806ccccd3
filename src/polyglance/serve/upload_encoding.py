"""Encoding of uploaded images: decoded apart, encoded in a thread beside the one of texts.

Few are decoded and in memory at a time, the others wait as files; texts never wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from polyglance.search.queries import MediaVector, Term
from polyglance.search.request import SearchRequest
from polyglance.serve import memory
from polyglance.serve.decoding import BusyError, Decoder
from polyglance.serve.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE_PIXELS = 1_000_000
Encode = Callable[[Sequence["Image"]], Sequence[MediaVector]]


class Looking:
    """Puts vectors in the place of images; used from one event loop. See the module.

    Args:
        decoder: Decodes what was sent.
        encode: Decoded images as vectors.
        limits: How many at a time.
    """

    def __init__(self, decoder: Decoder, encode: Encode, *, limits: Limits) -> None:
        self._decoder, self._encode = decoder, encode
        self._limits, self._waiting = limits, 0
        self._turns = asyncio.Semaphore(limits.image_workers + 1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")

    async def seen(self, asked: SearchRequest) -> SearchRequest:
        """A request whose images are vectors.

        Raises:
            InputError: An image that cannot be read, or takes too long.
            BusyError: Too many wait.
            UnavailableError: The model has no side for images.
        """
        if not any(isinstance(term.media, bytes) for term in asked.query.terms):
            return asked
        if self._waiting >= self._limits.image_waiting:
            raise BusyError(
                f"{self._waiting} images are being looked at already",
                hint="ask again in some seconds",
            )
        self._waiting += 1
        try:
            terms = [await self._seen(term) for term in asked.query.terms]
        finally:
            self._waiting -= 1
        return replace(asked, query=replace(asked.query, terms=tuple(terms)))

    async def _seen(self, term: Term) -> Term:
        if not isinstance(term.media, bytes):
            return term
        async with self._turns:
            image = await self._decoder.rgb(term.media)
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._thread, self._vector, image)
            del image
            return replace(term, media=await work)

    def _vector(self, image: Image) -> MediaVector:
        large = image.width * image.height > LARGE_PIXELS
        found = self._encode([image])[0]
        del image
        if large:
            memory.trim()
        return found

    def close(self) -> None:
        """End what decodes; an image that is being encoded is not waited for."""
        self._decoder.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
