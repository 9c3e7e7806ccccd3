"""Who may ask, and how much? What every request passes before any end point sees it.

One ASGI layer, without the framework: host, token, number of requests, size of the body while it
streams, time. Every answer gets the headers that tell a browser to trust nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from polyglance.serve.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

COOKIE = "polyglance_session"
# What is shown to someone without the token: the form, its look, and whether the server lives.
OPEN_PATHS = frozenset({"/login", "/pages/page.css", "/health"})
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
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


class TooLargeError(Exception):
    """A body that went past its limit while it was read."""


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ.

    >>> same("a", "a"), same("a", "é")
    (True, False)
    """
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))


def session_of(token: str) -> str:
    """What the cookie holds: it proves the token and does not give it away."""
    return hmac.new(token.encode(), b"polyglance session", hashlib.sha256).hexdigest()


def host_name(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("localhost:8765"), host_name("[::1]:80"), host_name("A.example")
    ('localhost', '[::1]', 'a.example')
    """
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


class Guard:
    """An ASGI application in front of another; see the module.

    Args:
        app: What answers.
        limits: The bounds.
        token: Needed for all but `OPEN_PATHS`; None where nobody needs one.
        loopback_only: Whether only the names of this machine are answered, so that a page from
            elsewhere cannot reach the server under a name of its own that points here.
    """

    def __init__(
        self, app: App, *, limits: Limits, token: str | None = None, loopback_only: bool = True
    ) -> None:
        self.app, self.limits = app, limits
        self.token, self.loopback_only = token, loopback_only
        self.session = None if token is None else session_of(token)
        self.running = 0
        self.refused: dict[int, int] = {}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope["path"], headers):
            await self._refuse(send, *refusal)
            return
        self.running += 1
        try:
            await self._run(scope, receive, send)
        finally:
            self.running -= 1

    def _refusal(self, path: str, headers: Mapping[bytes, str]) -> tuple[int, str, str] | None:
        """Status, what is wrong and what to do; None where nothing is."""
        if self.running >= self.limits.concurrent:
            return 503, f"{self.running} requests are running already", "ask again in a second"
        if self.loopback_only and host_name(headers.get(b"host", "")) not in LOOPBACK_NAMES:
            return 421, "this server answers to names of this machine", "use http://127.0.0.1"
        if not self._may_ask(path, headers):
            return 401, "no token, or a wrong one", "Authorization: Bearer TOKEN, or /login"
        length = headers.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "a content length that is no number", "leave it to the client"
        if int(length[:20]) > self.limits.body_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> tuple[int, str, str]:
        allowed = self.limits.body_bytes
        return 413, f"a body over {allowed:,} bytes", "send a smaller picture"

    def _may_ask(self, path: str, headers: Mapping[bytes, str]) -> bool:
        if self.token is None or self.session is None or path in OPEN_PATHS:
            return True
        scheme, _, given = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), self.token):
            return True
        try:
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and same(cookie.value, self.session)

    async def _run(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        started = too_large = False
        read = 0

        async def counted() -> Message:
            nonlocal read, too_large
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.limits.body_bytes:
                    too_large = True
                    raise TooLargeError
            return message

        async def with_headers(message: Message) -> None:
            nonlocal started
            if too_large and not started:
                # Whatever the end point makes of a body that broke off, this is what it was.
                raise TooLargeError
            if message["type"] == "http.response.start":
                started = True
                there = {name for name, _ in message["headers"]}
                own = [pair for pair in HEADERS if pair[0] not in there]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            async with asyncio.timeout(self.limits.seconds):
                await self.app(scope, counted, with_headers)
        except TooLargeError:
            if started:
                raise
            await self._refuse(send, *self._too_large())
        except TimeoutError:
            if started:
                raise
            said = f"not done in {self.limits.seconds:g} seconds"
            await self._refuse(send, 503, said, "ask for less, or again later")

    async def _refuse(self, send: Send, status: int, said: str, hint: str) -> None:
        self.refused[status] = self.refused.get(status, 0) + 1
        body = json.dumps({"error": said, "hint": hint}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        # The rest of a body that is refused is not waited for.
        headers.append((b"connection", b"close"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if status == 503:
            headers.append((b"retry-after", b"1"))
        start = {"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS]}
        await send(start)
        await send({"type": "http.response.body", "body": body})
