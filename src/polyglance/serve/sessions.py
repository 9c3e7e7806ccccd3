"""Authentication: bearer tokens, cookies that expire, and delays after wrong tokens.

A cookie holds the second at which it ends and a signature made with a key from the token: nothing
is kept here, it survives a restart, and a new token ends all. A wrong token makes its client wait:
the next guesses of that address, and those of all, are compared one after the other. A client that
has shown the token on its connection, or has a cookie, never waits for guessers at its address.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from polyglance import errors
from polyglance.serve.limits import Limits

COOKIE = "polyglance_session"
LONGEST_TOKEN = 512
# Guesses of one address, and of all, that are compared at once; then one every so many seconds.
FREE_GUESSES, GUESS_SECONDS = 5, 1.0
FREE_GUESSES_OF_ALL, GUESS_SECONDS_OF_ALL = 50, 0.1
# Guesses that wait for their turn, of one address and of all; the next is refused.
WAITING_GUESSES, WAITING_GUESSES_OF_ALL = 5, 50
# Addresses, and connections that have shown the token, that are remembered.
REMEMBERED = 4096


class TooManyGuessesError(Exception):
    """A token that is not even compared."""


def usable(token: str) -> str:
    r"""A token as it is compared: without space around it.

    Raises:
        ConfigError: It is empty, too long, or cannot be sent in a header.

    >>> usable(" secret\n")
    'secret'
    """
    found = token.strip()
    if not found:
        raise errors.ConfigError(
            "an empty token, which would let everyone in",
            hint="unset POLYGLANCE_TOKEN to serve without one, or take a long one: "
            'python -c "import secrets; print(secrets.token_urlsafe())"',
        )
    if len(found) > LONGEST_TOKEN or not (found.isascii() and found.isprintable()):
        raise errors.ConfigError(
            f"a token of {len(found)} characters that cannot be sent; up to {LONGEST_TOKEN} "
            "visible ASCII characters are allowed",
            hint='python -c "import secrets; print(secrets.token_urlsafe())"',
        )
    return found


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ.

    >>> same("a", "a"), same("a", "é")
    (True, False)
    """
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))


def cookies_named(name: str, header: str) -> list[str]:
    r"""The values of one cookie, whatever else other programs of this host have set.

    >>> cookies_named("a", 'x={"y": "z"}; a=1; \x00; a = "2"; b')
    ['1', '2']
    """
    pairs = (part.partition("=") for part in header.split(";"))
    return [value.strip().strip('"') for found, _, value in pairs if found.strip() == name]


class Turns:
    """Lets so many through at once, then one after the other; used from one event loop.

    Args:
        free: How many need not wait.
        seconds: Between two that wait.
        waiting: How many may wait at most.
        now: The clock.
    """

    def __init__(
        self, *, free: int, seconds: float, waiting: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._waiting, self._now = seconds, waiting, now
        self._slack = free * seconds
        self._next = 0.0

    def take(self) -> float | None:
        """How long to wait for a turn, which is taken; None where too many wait already."""
        now = self._now()
        start = max(self._next, now - self._slack)
        wait = max(0.0, start + self._seconds - now)
        if wait > self._waiting * self._seconds:
            return None
        self._next = start + self._seconds
        return wait

    def give_back(self) -> None:
        """Return a turn that was no wrong guess."""
        self._next -= self._seconds


class Doors:
    """Decides who is let in; see the module.

    Args:
        token: What everyone has to show; see `usable`.
        limits: How long a cookie opens.
        now: Seconds of the epoch.
    """

    def __init__(self, token: str, *, limits: Limits, now: Callable[[], float] = time.time) -> None:
        self._token, self._now = token, now
        self.seconds = limits.session_seconds
        self._key = hmac.new(token.encode(), b"polyglance session", "sha256").digest()
        # Two servers on one host, on two ports, share its cookies: each has a name of its own.
        self.cookie = f"{COOKIE}_{self._signature('name')[:8]}"
        self._turns: OrderedDict[str, Turns] = OrderedDict()
        self._turns_of_all = Turns(
            free=FREE_GUESSES_OF_ALL,
            seconds=GUESS_SECONDS_OF_ALL,
            waiting=WAITING_GUESSES_OF_ALL,
        )
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def session(self) -> str:
        """The value of a cookie that is valid from now on."""
        ends = str(int(self._now()) + self.seconds)
        return f"{ends}.{self._signature(ends)}"

    def opens(self, cookies: Iterable[str]) -> bool:
        """Whether one of the cookies was given by this server, or one of its token, and holds."""
        for value in cookies:
            ends, _, signature = value.partition(".")
            if not (ends.isascii() and ends.isdigit() and len(ends) < 16):
                continue
            if same(signature, self._signature(ends)) and self._now() < int(ends):
                return True
        return False

    async def is_token(self, given: str, *, network: str, client: tuple[str, int]) -> bool:
        """Whether a token is the right one; a guess may wait for its turn first.

        Args:
            given: What was shown.
            network: What counts as one client.
            client: Address and port: the connection.

        Raises:
            TooManyGuessesError: Too many wait already; it was not compared.
        """
        if client in self._known:
            self._known.move_to_end(client)
            found = same(given, self._token)
            if not found:
                del self._known[client]
            return found
        own = self._turns_of(network)
        waits = own.take()
        if waits is None:
            raise TooManyGuessesError
        of_all = self._turns_of_all.take()
        if of_all is None:
            own.give_back()
            raise TooManyGuessesError
        if waits := max(waits, of_all):
            await asyncio.sleep(waits)
        if not same(given, self._token):
            return False
        own.give_back()
        self._turns_of_all.give_back()
        self._known[client] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _turns_of(self, network: str) -> Turns:
        if network not in self._turns:
            self._turns[network] = Turns(
                free=FREE_GUESSES, seconds=GUESS_SECONDS, waiting=WAITING_GUESSES
            )
            if len(self._turns) > REMEMBERED:
                self._turns.popitem(last=False)
        self._turns.move_to_end(network)
        return self._turns[network]

    def _signature(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), "sha256").hexdigest()
