"""Are people answered while others attack? Fifty honest clients beside each of four attacks.

The index, the pack and the honest clients are those of `serve-load`. Before each attack stands a
quiet turn with the honest clients alone; the ratio is the worst of the attacks' 95th percentiles
against their quiet ones. Somebody else asks `/health` on a new connection five times a second
throughout; no answer may be lost, theirs neither. Attackers run in a process of their own that
lets all others go first: in truth they have their own machines.

- pictures: uploads that decode for long. JPEGs of 3,000 empty scans, JPEGs of as many scans as are
  allowed over eleven megapixels, and PNGs of a hundred kilobytes that are forty megapixels.
- connections: 1,030 that do nothing, or have sent half a head or half a body, each opened again
  when it is closed; beside them heads of 120 kB.
- cancelled: queries whose terms cancel, which have no direction to look in.
- readers: connections that ask for a long answer again and again and do not read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import multiprocessing
import os
import random
import struct
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from benchmarks.harness import Criterion, Outcome, say
from benchmarks.serve_load import Load, ask, make_queries, make_world, server

SECONDS = 15.0
WARM_UP_SECONDS = 2.0
HEALTH_SECONDS = 0.2
UPLOADERS = 8
HELD = 1030
CANCELLERS = 16
READERS = 100
WANTED = 40  # pictures that a reader asks for on one connection
NICEST = 19


def run() -> Outcome:
    """The whole benchmark; POLYGLANCE_SERVE_SECONDS makes the turns shorter or longer."""
    seconds = float(os.environ.get("POLYGLANCE_SERVE_SECONDS", SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        say("making the index and the pack")
        index, pack, names = make_world(Path(folder))
        queries = make_queries(names)
        with server(index, pack) as address:
            asyncio.run(ask(address, queries, seconds=WARM_UP_SECONDS))
            turns = {name: _both(name, address, queries, seconds=seconds) for name in ATTACKS}
    lost = [error for turn in turns.values() for error in turn.lost]
    return Outcome(
        ratio=max(turn.ratio for turn in turns.values()),
        figures={
            "alternative": "the same clients without an attack, just before",
            "seconds": seconds,
            "attacks": {name: turn.figures() for name, turn in turns.items()},
            "first_lost": lost[0] if lost else None,
        },
        others=(Criterion(name="lost", value=len(lost), target=0, direction="at most"),),
    )


@dataclass
class Turn:
    """A quiet turn and one under attack."""

    quiet: Load
    attacked: Load

    @property
    def ratio(self) -> float:
        """Of the 95th percentiles."""
        return p95(self.attacked) / p95(self.quiet)

    @property
    def lost(self) -> list[str]:
        """What was not answered, under attack or not."""
        return self.quiet.errors + self.attacked.errors

    def figures(self) -> dict[str, float]:
        """For the line of JSON."""
        return {
            "ratio": round(self.ratio, 2),
            "p95_ms": round(1000 * p95(self.attacked), 1),
            "quiet_p95_ms": round(1000 * p95(self.quiet), 1),
            "answers": len(self.attacked.seconds),
            "quiet_answers": len(self.quiet.seconds),
            "lost": len(self.lost),
        }


def p95(load: Load) -> float:
    """The 95th percentile of the seconds of an answer."""
    return sorted(load.seconds)[int(0.95 * len(load.seconds))]


def _both(name: str, address: str, queries: Iterator[tuple[str, str]], *, seconds: float) -> Turn:
    quiet = asyncio.run(_honest(address, queries, seconds=seconds))
    with attack(name, address):
        attacked = asyncio.run(_honest(address, queries, seconds=seconds))
    turn = Turn(quiet, attacked)
    say(f"  {name}: {turn.figures()}")
    return turn


async def _honest(address: str, queries: Iterator[tuple[str, str]], *, seconds: float) -> Load:
    """The honest clients, and one that asks for the state on new connections."""
    until = time.perf_counter() + seconds
    newcomers = asyncio.create_task(_newcomers(address, until=until))
    load = await ask(address, queries, seconds=seconds)
    load.errors += await newcomers
    return load


async def _newcomers(address: str, *, until: float) -> list[str]:
    """Ask `/health` on one new connection after the other; what went wrong."""
    there, errors = urlsplit(address), []
    while time.perf_counter() < until:
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(there.hostname, there.port)
                writer.write(_head("GET", "/health", there.netloc, "Connection: close"))
                answer = await reader.read()
                writer.close()
            if not answer.startswith(b"HTTP/1.1 200"):
                errors.append(f"/health: {answer[:200]!r}")
        except (OSError, TimeoutError) as error:
            errors.append(f"/health: {error!r}")
        await asyncio.sleep(HEALTH_SECONDS)
    return errors


# ---- attacks


@contextmanager
def attack(name: str, address: str) -> Iterator[None]:
    """Attack from a process of its own, until the context ends."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_attack, args=(name, address, ready), daemon=True)
    process.start()
    ready.wait(60)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _attack(name: str, address: str, ready: object) -> None:
    """The body of the attacking process."""
    os.nice(NICEST)
    there = urlsplit(address)

    async def all_of_them() -> None:
        clients = list(ATTACKS[name](there.hostname or "", there.port or 0, there.netloc))
        tasks = [asyncio.create_task(_for_ever(client)) for client in clients]
        await asyncio.sleep(0.5)
        ready.set()  # type: ignore[attr-defined]
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())


Client = Callable[[], Awaitable[object]]


async def _for_ever(client: Client) -> None:
    """Attack again whenever the server has ended it."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await client()
        await asyncio.sleep(0.01)


def _pictures(host: str, port: int, netloc: str) -> Iterator[Client]:
    """Uploads that decode for long."""
    files = itertools.cycle([empty_scans(3000, 2000), empty_scans(88, 3300), flat_png(6300)])

    async def upload() -> None:
        boundary = "attack"
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        ).encode() + next(files)
        body += f"\r\n--{boundary}--\r\n".encode()
        reader, writer = await asyncio.open_connection(host, port)
        try:
            kind = f"Content-Type: multipart/form-data; boundary={boundary}"
            length = f"Content-Length: {len(body)}"
            writer.write(_head("POST", "/api/search", netloc, kind, length) + body)
            await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()

    return itertools.repeat(upload, UPLOADERS)


def _connections(host: str, port: int, netloc: str) -> Iterator[Client]:
    """Connections that are held, and heads that are too large."""
    rng = random.Random(0)
    halves = (
        b"",
        b"GET /api/sea",
        f"GET / HTTP/1.1\r\nHost: {netloc}\r\nCookie: a=".encode(),
        _head("POST", "/api/search", netloc, "Content-Length: 100000") + b"half",
    )

    async def hold() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(rng.choice(halves))
            await reader.read()
        finally:
            writer.close()
        await asyncio.sleep(rng.random())

    async def large() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(_head("GET", "/", netloc, 'Cookie: a="' + "\\" * 120_000))
            await reader.read()
        finally:
            writer.close()

    return itertools.chain(itertools.repeat(hold, HELD), itertools.repeat(large, 4))


def _cancelled(host: str, port: int, netloc: str) -> Iterator[Client]:
    """Queries whose terms cancel."""
    numbers = itertools.count()

    async def cancel() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while True:
                text = quote(f'"dog {next(numbers)}" - "dog {next(numbers) - 1}"')
                writer.write(_head("GET", f"/api/search?language=en&q={text}", netloc))
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"length: ")[2].split()[0]))
        finally:
            writer.close()

    return itertools.repeat(cancel, CANCELLERS)


def _readers(host: str, port: int, netloc: str) -> Iterator[Client]:
    """Connections that ask for pictures and do not read them."""

    async def stare() -> None:
        reader, writer = await asyncio.open_connection(host, port, limit=1024)
        try:
            writer.write(_head("GET", "/openapi.json", netloc) * WANTED)
            while await reader.read(1):
                await asyncio.sleep(1)
        finally:
            writer.close()

    return itertools.repeat(stare, READERS)


ATTACKS: Mapping[str, Callable[[str, int, str], Iterator[Client]]] = MappingProxyType(
    {
        "pictures": _pictures,
        "connections": _connections,
        "cancelled": _cancelled,
        "readers": _readers,
    }
)


def _head(method: str, path: str, host: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def empty_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan, which says nothing new, comes so many times more."""
    from PIL import Image

    written = io.BytesIO()
    Image.new("L", (side, side), 128).save(written, "JPEG", progressive=True, quality=30)
    data = written.getvalue()
    scan, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[scan:end] * count + data[end:]


def flat_png(side: int) -> bytes:
    """A PNG of one colour: few bytes, many pixels."""
    packer = zlib.compressobj(9)
    row = bytes(3 * side + 1)
    packed = b"".join([packer.compress(row) for _ in range(side)]) + packer.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b""))
    )
