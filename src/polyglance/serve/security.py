"""The security layer: what every request passes before any end point sees it.

One ASGI layer, without the framework: the form of its head, the name it was sent to, the site it
comes from, the token, the size of its body and the time that it takes to arrive, the number of
requests, the time of an answer. Every answer gets the headers that tell a browser to trust nothing
from elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any

from polyglance.serve import memory
from polyglance.serve.connections import network_of
from polyglance.serve.host_names import address_of, usable_name
from polyglance.serve.limits import Limits
from polyglance.serve.request_bodies import Arrivals, GoneError, TooLargeError, TooSlowError
from polyglance.serve.sessions import Doors, TooManyGuessesError, cookies_named

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Refusal = tuple[int, str, str]

# What is shown to someone without the token: the form, its look, and whether the server lives.
OPEN_PATHS = frozenset({"/login", "/pages/page.css", "/health"})
# What a link of another site may lead to; all else answers pages of this server alone.
LINKED_PATHS = frozenset({"/", "/docs", "/login"})
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
# Sent twice they would mean one thing here and another to a proxy in front.
SINGLE = (
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"content-type",
    b"authorization",
    b"origin",
    b"sec-fetch-site",
)
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# What to send in place of a body that is too large, where one is taken at all.
SMALLER = {
    "/api/search": "send a smaller image",
    "/knn-service": "send a smaller image",
    "/login": "send the token alone, as curl -F token=TOKEN does",
}
TRIM_SECONDS = 0.5
BODILESS = frozenset({"GET", "HEAD"})
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
_HOST = re.compile(r"[a-z0-9._-]+(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?")
_DEFAULT_PORTS = (":80", ":443")
# A body that is refused is still read for so long: a client that sends hears nothing before.
UNWANTED_SECONDS, UNWANTED_BYTES = 3.0, 64 * 2**20


def host_name(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("localhost:8765"), host_name("[::1]:80"), host_name("A.example")
    ('localhost', '[::1]', 'a.example')
    """
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def is_own(origin: str, host: str) -> bool:
    """Whether an Origin header names the server that the Host header names.

    >>> is_own("http://localhost:8765", "localhost:8765"), is_own("null", "localhost:8765")
    (True, False)
    >>> is_own("https://photos.example", "photos.example:443")
    True
    """
    scheme, _, site = origin.strip().lower().partition("://")
    return scheme in ("http", "https") and _without_port(site) == _without_port(host)


def is_linked(headers: Mapping[bytes, str], path: str) -> bool:
    """Whether a request of another site is somebody who followed a link to a page."""
    return (
        path in LINKED_PATHS
        and headers.get(b"sec-fetch-mode") == "navigate"
        and headers.get(b"sec-fetch-dest") == "document"
        and b"origin" not in headers
    )


class Guard:
    """An ASGI application in front of another; see the module.

    Args:
        app: What answers.
        limits: The bounds.
        doors: Who is let in to all but `OPEN_PATHS`; None where everyone is.
        loopback_only: Whether only the names of this machine are answered, so that a page from
            elsewhere cannot reach the server under a name of its own that points here.
        names: Further names that are answered. Without a token and beyond loopback, these and
            bare addresses are; with a token any name is: nobody has a cookie for another's.

    Raises:
        ConfigError: A name is none.
    """

    def __init__(
        self,
        app: App,
        *,
        limits: Limits,
        doors: Doors | None = None,
        loopback_only: bool = True,
        names: Collection[str] = (),
    ) -> None:
        self.app, self.limits, self.doors = app, limits, doors
        self.loopback_only = loopback_only
        self.names = LOOPBACK_NAMES | {usable_name(name) for name in names}
        self.running = 0
        self.refused: Counter[int] = Counter()
        self._arrivals = Arrivals(limits)
        self._trimming: asyncio.Task[None] | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._malformed(scope, headers) or self._from_elsewhere(scope, headers)
        refusal = refusal or await self._unknown(scope, headers)
        if refusal:
            await self._refuse(refusal, receive, send)
            return
        most = self.limits.body_bytes
        if scope["path"] in OPEN_PATHS:
            most = self.limits.form_bytes  # from somebody who has shown nothing yet
        if scope.get("method") in BODILESS and not (BODY_HEADERS & headers.keys()):
            await self._run(scope, receive, send)
            return
        try:
            async with self._arrivals.body(receive, headers, most=most) as body:
                large = len(body) > self.limits.free_body_bytes
                replayed = _replayed(body, receive)
                del body  # the application's alone
                await self._run(scope, replayed, send)
            if large and not self._trimming:
                self._trimming = asyncio.create_task(self._trim())
        except TooLargeError:
            said = f"a body over {most:,} bytes"
            hint = SMALLER.get(scope["path"], "send no body there")
            await self._refuse((413, said, hint), receive, send)
        except TooSlowError as error:
            await self._refuse((408, str(error), "send it at once"), receive, send)
        except GoneError:
            return

    def _malformed(
        self, scope: MutableMapping[str, Any], headers: Mapping[bytes, str]
    ) -> Refusal | None:
        """What is wrong with the form of a head; None where nothing is."""
        if len(headers) < len(scope["headers"]):
            counts = Counter(name for name, _ in scope["headers"])
            if twice := [name.decode() for name in SINGLE if counts[name] > 1]:
                return 400, f"the header {twice[0]} more than once", "send it once"
        length = headers.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "a content length that is no number", "leave it to the client"
        return None

    def _from_elsewhere(
        self, scope: MutableMapping[str, Any], headers: Mapping[bytes, str]
    ) -> Refusal | None:
        """Why a request is not from this server's own pages; None where it is."""
        host = headers.get(b"host", "").strip().lower()
        if not _HOST.fullmatch(host) or not self._is_mine(host_name(host)):
            return (
                421,
                f"this server does not answer to {host[:80]!r}",
                f"use {address_of(scope)}; serve --name NAME adds a name",
            )
        if scope.get("method") in BODILESS and is_linked(headers, scope["path"]):
            return None
        site, origin = headers.get(b"sec-fetch-site", "none"), headers.get(b"origin")
        # A page that sends no referrer sends no origin with its form either.
        own = origin is None or is_own(origin, host) or (origin, site) == ("null", "same-origin")
        if own and site in ("same-origin", "none"):
            return None
        return 403, "a request from a page of another site", "ask from a page of this server"

    def _is_mine(self, name: str) -> bool:
        """Whether this server answers to a name."""
        if self.doors is not None or name in self.names:
            return True
        return not self.loopback_only and _is_address(name)

    async def _unknown(
        self, scope: MutableMapping[str, Any], headers: Mapping[bytes, str]
    ) -> Refusal | None:
        """Why somebody is not let in; None where they are."""
        if self.doors is None or scope["path"] in OPEN_PATHS:
            return None
        if b"cookie" in headers:
            sent = ";".join(
                value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"
            )
            if self.doors.opens(cookies_named(self.doors.cookie, sent)):
                return None
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and given.strip():
            try:
                if await shows_token(self.doors, given.strip(), scope):
                    return None
            except TooManyGuessesError:
                return TOO_MANY_GUESSES
        return 401, "no token, or a wrong one", "Authorization: Bearer TOKEN, or /login"

    async def _run(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Have a request answered, in its time."""
        if self.running >= self.limits.concurrent:
            said = f"{self.running} requests are running already"
            await self._refuse((503, said, "ask again in a second"), receive, send)
            return
        started = False
        # HEAD is answered like GET, without the body.
        bare = scope.get("method") == "HEAD"
        if bare:
            scope = {**scope, "method": "GET"}

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                there = {name for name, _ in message["headers"]}
                own = [pair for pair in HEADERS if pair[0] not in there]
                message = {**message, "headers": [*message["headers"], *own]}
            elif bare:
                message = {**message, "body": b""}
            await send(message)

        self.running += 1
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self.app(scope, receive, with_headers)
        except TimeoutError:
            if not started:  # else the connection is closed in the middle: nothing else says it
                said = f"not done in {self.limits.seconds:g} seconds"
                await self._refuse((503, said, "ask for less, or again later"), receive, send)
        except Exception:
            if not started:
                await self._refuse(UNFORESEEN, receive, send)
            raise  # told on the server's terminal
        finally:
            self.running -= 1

    async def _trim(self) -> None:
        """Give memory back after large bodies, not more often than it pays."""
        await asyncio.sleep(TRIM_SECONDS)
        self._trimming = None
        await asyncio.to_thread(memory.trim)

    async def _refuse(self, refusal: Refusal, receive: Receive, send: Send) -> None:
        """Say why not; the connection is closed when what it still sends was read."""
        status, said, hint = refusal
        self.refused[status] += 1
        body = json.dumps({"error": said, "hint": hint}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers.append((b"connection", b"close"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if status in (429, 503):
            headers.append((b"retry-after", b"1"))
        start = {"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS]}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await _read_out(receive)
        await send({"type": "http.response.body", "body": b""})


UNFORESEEN = (
    500,
    "a fault of the server, which is told on its terminal",
    "ask otherwise; what the terminal says is what to report",
)
TOO_MANY_GUESSES = (429, "too many wrong tokens from there", "ask again in some seconds")


async def shows_token(doors: Doors, given: str, scope: Mapping[str, Any]) -> bool:
    """Whether a request brings the token.

    Raises:
        TooManyGuessesError: It was not compared.
    """
    address, port = scope.get("client") or ("", 0)
    return await doors.is_token(given, network=network_of(address), client=(address, port))


def _without_port(host: str) -> str:
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    return host


def _is_address(name: str) -> bool:
    """Whether a name is a bare address: no page from elsewhere can have one for its own."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What an application receives of a body that is here already."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received


async def _read_out(receive: Receive) -> None:
    """Read what a client goes on sending, for a while."""
    read = 0
    try:
        async with asyncio.timeout(UNWANTED_SECONDS):
            while read < UNWANTED_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
