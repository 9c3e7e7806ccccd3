"""Connection limits: bounds on heads, idle time and unread answers.

uvicorn's protocol for HTTP, with what it leaves open: a head of any size, a head or a body that
never ends, clients that hold every connection, answers that nobody reads. A client is never shut
out by what others hold: where the connections of its address, or all of them, are taken, the one
that does the least with its own is closed for it. Connections whose request runs are left alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from collections import defaultdict
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from polyglance.serve.limits import Limits

SWEEP_SECONDS = 0.5
# So long a connection is not closed for another one: one that does nothing yet or any more, since
# its request may be on its way; and one that sends a body or reads an answer.
SAFE_SECONDS, SAFE_BUSY_SECONDS = 0.05, 1.0
# Requests that one client sends ahead of the answers; after the first, no more is read meanwhile.
PIPELINED = 256
# So many connections are closed at once for new ones: to look for them takes a millisecond.
ROOM = 32
# What the form of a body in chunks may cost beside its bytes; chunks of one byte cost five each.
FORM_BYTES, FORM_SHARE = 2**19, 8
# Bytes of a body that is not wanted any more, until the connection is closed under it.
UNWANTED_BYTES = 2**20
# After the server was told to stop, an answer has so long to be read.
STOPPING_SECONDS = 2.0
TOO_LARGE = (
    431,
    "an address and head that are too large together",
    "send a long text in the body, as q of POST /api/search; leave out cookies and headers that "
    "are not ours",
)
# What clients can bring about at will is not written to the terminal, over and over.
NOT_TOLD = (
    "ASGI callable returned without",
    "Invalid HTTP request received",
    "Unsupported upgrade request",
    "No supported WebSocket library detected",
)


class Connections:
    """All connections of a server; see the module.

    Args:
        limits: The bounds.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stopping = False
        self._open: set[Connection] = set()
        self._of: dict[str, set[Connection]] = defaultdict(set)
        self._sweeping = False
        logging.getLogger("uvicorn.error").addFilter(_told)

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        """A new connection; what uvicorn's configuration takes as its class for HTTP."""
        return Connection(self, config, server_state, app_state, _loop)

    def admit(self, new: Connection) -> bool:
        """Take a connection in, another one closed for it if there is no room."""
        mine, limits = self._of[new.address], self.limits
        full = len(mine) >= limits.connections_per_address and not _make_room(mine)
        full = full or (len(self._open) >= limits.connections and not _make_room(self._open))
        if full:
            if not mine:
                del self._of[new.address]
            return False
        mine.add(new)
        self._open.add(new)
        if not self._sweeping:
            self._sweeping = True
            new.loop.call_later(SWEEP_SECONDS, self._sweep, new.loop)
        return True

    def gone(self, old: Connection) -> None:
        """Forget a connection."""
        self._open.discard(old)
        mine = self._of.get(old.address, set())
        mine.discard(old)
        if not mine:
            self._of.pop(old.address, None)

    def bound_unsent(self) -> None:
        """Close the connections with the longest unread answers, if too many bytes are unread.

        One that has just been answered stays: its client had no time to read.
        """
        waiting = [each for each in self._open if each.unsent]
        total = sum(each.unsent for each in waiting)
        waiting.sort(key=lambda each: each.unsent_since)
        for each in waiting:
            if total <= self.limits.unsent_bytes:
                break
            total -= each.unsent
            each.transport.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has had its time."""
        now = loop.time()
        for each in tuple(self._open):
            each.look(now, stopping=self.stopping)
        self.bound_unsent()
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)


class Connection(HttpToolsProtocol):
    """One connection; see the module.

    Args:
        house: All of them.
        config, server_state, app_state, loop: As uvicorn gives them.
    """

    def __init__(
        self,
        house: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self.house = house
        self.address = ""
        # When what it is at began: to be connected, a head, a body, to be idle.
        self.since = 0.0
        self.in_head = self.in_body = False
        self.answered = 0
        self.body_bytes = self._received = 0
        self.unsent_since = 0.0
        self._unsent_seconds = 0.0
        self._head_bytes = self._num_headers = 0

    # ---- what the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, or say that there is no room."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self.address = network_of(self.client[0] if self.client else "")
        if not self.house.admit(self):
            said = (503, "too many connections", "ask again in a second")
            self._refuse(*said)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.house.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head grows too large."""
        if self.transport.is_closing():
            return
        in_body = self.in_body
        super().data_received(data)
        if self.in_head and not in_body and not self.transport.is_closing():
            # What the parser holds of a line that has not ended is told nowhere.
            self._head_bytes += len(data)
            if self._head_bytes > self.house.limits.head_bytes:
                self._refuse(*TOO_LARGE)
        elif in_body:
            self._received += len(data)
            if self._received > FORM_BYTES + FORM_SHARE * self.body_bytes:
                self.transport.abort()

    def shutdown(self) -> None:
        """Stop: a request that is not here yet will not be answered."""
        self.house.stopping = True
        if self.in_head or self.in_body:
            self.transport.abort()
        else:
            super().shutdown()

    # ---- what the parser tells

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.in_head, self.in_body = True, False
        self._head_bytes = self._num_headers = self.body_bytes = self._received = 0
        if not self._runs:
            self.since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._head_bytes += len(url)
        if not self._head_too_large:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; trailers are ignored, since what they say was decided before."""
        self._head_bytes += len(name) + len(value) + 4
        self._num_headers += 1
        if self._head_too_large:
            if not self.in_head:
                self.transport.abort()
        elif self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: the request is answered from here on."""
        too_large = self._head_too_large
        self.in_head, self.in_body = False, True
        self._head_bytes = self._num_headers = 0
        if not self._runs:
            self.since = self.loop.time()
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests sent ahead")
        app = self.app
        if too_large:
            self.app, self.url = cast(Any, _too_large), b"/"
        try:
            super().on_headers_complete()
        finally:
            self.app = app
        if self.parser.should_upgrade():  # to what is not spoken here: this answer is the last
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.body_bytes += len(body)
        super().on_body(body)
        if self.cycle.response_complete and self.body_bytes > UNWANTED_BYTES:
            self.transport.abort()

    def on_message_complete(self) -> None:
        """All of the request is here."""
        self.in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written, if not sent."""
        self.answered += 1
        self.since = self.loop.time()
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        if self.unsent > self.house.limits.unsent_rate:
            self.house.bound_unsent()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered in the form of all errors."""
        self._refuse(400, "what is no HTTP request", "use http:// and a client for HTTP/1.1")

    # ---- what the house asks

    @property
    def unsent(self) -> int:
        """Bytes of answers that its client has not taken."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    @property
    def _runs(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _head_too_large(self) -> bool:
        limits = self.house.limits
        return self._head_bytes > limits.head_bytes or self._num_headers > limits.num_headers

    def dispensable(self, now: float) -> tuple[int, float] | None:
        """Sort key of what to close first; None where it is to be left alone.

        Those that never asked anything come first, then those that are idle, then answers that
        nobody reads, then bodies that arrive slowly; of each the longest so.
        """
        if self.unsent_since and now - self.unsent_since > SAFE_BUSY_SECONDS:
            return (2, self.unsent_since)
        waited = now - self.since
        if waited < SAFE_SECONDS or self.transport.is_closing():
            return None
        if self.in_body:
            return (3, self.body_bytes / waited) if waited > SAFE_BUSY_SECONDS else None
        if self._runs:
            return None
        return (1 if self.answered and not self.in_head else 0, self.since)

    def look(self, now: float, *, stopping: bool) -> None:
        """Close it if it has had its time."""
        limits = self.house.limits
        if not (size := self.unsent):
            self.unsent_since = 0.0
        elif not self.unsent_since:
            self.unsent_since = now
            self._unsent_seconds = limits.unsent_seconds + size / limits.unsent_rate
        elif now - self.unsent_since > (STOPPING_SECONDS if stopping else self._unsent_seconds):
            self.transport.abort()
        waited = now - self.since
        if self.transport.is_closing():
            return
        if self._runs or waited < limits.head_seconds:
            return
        if self.in_head:
            self._refuse(
                408, f"no whole head in {limits.head_seconds:g} seconds", "send it at once"
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, said: str, hint: str) -> None:
        """Answer without the application, and close."""
        if self._runs and self.cycle.response_started:
            self.transport.abort()  # in the middle of another answer
            return
        body = json.dumps({"error": said, "hint": hint}).encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits that one household has of IPv6.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2"), network_of("testclient")
    ('192.0.2.7', '2001:db8::', 'testclient')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False).network_address)


def _make_room(among: set[Connection]) -> bool:
    """Close the connections that can best be done without; whether there is one."""
    ranked = [
        (rank, each) for each in among if (rank := each.dispensable(each.loop.time())) is not None
    ]
    ranked.sort(key=lambda pair: pair[0])
    for (kind, _), each in ranked[:ROOM]:
        if kind == ranked[0][0][0]:
            each.transport.abort()
    return bool(ranked)


async def _too_large(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Any],
    send: Callable[[MutableMapping[str, Any]], Any],
) -> None:
    """An application that refuses a head."""
    status, said, hint = TOO_LARGE
    body = json.dumps({"error": said, "hint": hint}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _told(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NOT_TOLD)
