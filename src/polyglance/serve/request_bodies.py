"""Reception of request bodies: whole, bounded in size and time, and not too many at once.

An end point is called when all of a body is here, so a slow sender takes no place from requests
that are answered. Small bodies are read at once. Only so many large ones are in memory at a time;
the others wait unread, and one that waits may take the place of the one that sends slowest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from polyglance.serve.limits import Limits

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# A large body that comes in more slowly loses its place, if somebody waits for one.
SLOW_RATE = 128 * 2**10
SAFE_SECONDS = 2.0
LOOK_SECONDS = 0.5


class TooLargeError(Exception):
    """A body over its limit."""


class TooSlowError(Exception):
    """A body that did not arrive in time."""


class GoneError(Exception):
    """The client closed the connection."""


class _Arrival:
    """One body that is being read."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout
        self.read = bytearray()
        self.placed_at: float | None = None


class Arrivals:
    """The bodies of all requests; see the module.

    Args:
        limits: The bounds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(limits.uploads)
        self._reading: set[_Arrival] = set()
        self._waiting = 0
        self._looking = False

    @asynccontextmanager
    async def body(
        self, receive: Receive, headers: Mapping[bytes, str], *, most: int
    ) -> AsyncIterator[bytes]:
        """The body of a request; a large one keeps its place until the end of the context.

        Args:
            receive: ASGI's.
            headers: Its content length is believed where it is too large.
            most: Bytes.

        Raises:
            TooLargeError, TooSlowError, GoneError: See there.
        """
        if int(headers.get(b"content-length", "0")[:20]) > most:
            raise TooLargeError
        placed = False
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds) as timeout:
                    arrival = _Arrival(timeout)
                    while await self._read(arrival, receive, most):
                        if not placed and len(arrival.read) > self._limits.free_body_bytes:
                            await self._place(arrival)
                            placed = True
                    self._reading.discard(arrival)
            except TimeoutError as error:
                raise TooSlowError("a body that took too long to arrive") from error
            body = bytes(arrival.read)
            arrival.read.clear()
            yield body
        finally:
            self._reading.discard(arrival)
            if placed:
                self._places.release()

    async def _read(self, arrival: _Arrival, receive: Receive, most: int) -> bool:
        """Read a part of a body; whether there is more."""
        message = await receive()
        if message["type"] != "http.request":
            raise GoneError
        arrival.read += message.get("body", b"")
        if len(arrival.read) > most:
            raise TooLargeError
        return bool(message.get("more_body", False))

    async def _place(self, arrival: _Arrival) -> None:
        """Take a place for a large body, when there is one."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            if self._places.locked() and not self._looking:
                self._looking = True
                loop.call_later(LOOK_SECONDS, self._look, loop)
            await self._places.acquire()
        finally:
            self._waiting -= 1
        arrival.placed_at = loop.time()
        self._reading.add(arrival)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the place of the slowest, while somebody waits."""
        self._looking = self._waiting > 0
        if not self._looking:
            return
        now = loop.time()
        rates = [
            (len(each.read) / (now - each.placed_at), each)
            for each in self._reading
            if each.placed_at is not None and now - each.placed_at > SAFE_SECONDS
        ]
        if rates:
            rate, slowest = min(rates, key=lambda pair: pair[0])
            if rate < SLOW_RATE:
                self._reading.discard(slowest)
                slowest.timeout.reschedule(now)
        loop.call_later(LOOK_SECONDS, self._look, loop)
