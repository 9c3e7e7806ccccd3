"""Does the server keep up with many people? Fifty clients at once, against a bare loop.

The index is the demo's: pictograms by one artist, with the language pack that learnt their names in
over a hundred languages. The bare loop encodes one query after the other in one process and ranks
the whole index exactly: no network, no JSON. The server runs in a process of its own, as
`polyglance serve` starts it; its clients are in this one, each asks its next query when the last is
answered. Queries are distinct, a pictogram's name in one of the languages and a number, so that
nothing can be kept from one to the next. Both are timed in turns, loop, server, loop; the loop's
better turn counts.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from benchmarks.harness import Criterion, Outcome, say

from polyglance.languages.registry import ENGLISH
from polyglance.vectors import unit

CLIENTS = 50
SECONDS = 60.0
WARM_UP_SECONDS = 2.0
LOOP_SECONDS = 5.0
LOOP_QUERIES = 20_000
TOP = 24
P95_TARGET = 0.150
START_SECONDS = 120.0


def run() -> Outcome:
    """The whole benchmark; POLYGLANCE_SERVE_SECONDS makes it shorter."""
    seconds = float(os.environ.get("POLYGLANCE_SERVE_SECONDS", SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        say("making the index and the pack")
        index, pack, names = make_world(Path(folder))
        return measure(index, pack, names, seconds=seconds)


def make_world(folder: Path) -> tuple[Path, Path, list[tuple[str, str]]]:
    """The demo's index and a pack on it, and its names: pairs of language id and word."""
    from polyglance.demo import english_model, towers
    from polyglance.search import indexing
    from polyglance.sources import pictograms

    world = pictograms.load_world()
    three = towers.load(None)
    model = english_model(three, folder / "model")
    indexing.build(
        world.folder(pictograms.TEST_ARTIST), model=str(folder / "model"), out=folder / "index"
    )
    return folder / "index", make_pack(model, three, folder / "pack"), names_of(world)


def measure(index: Path, pack: Path, names: list[tuple[str, str]], *, seconds: float) -> Outcome:
    """Loop, server, loop.

    Args:
        index: Folder of the index.
        pack: Of the pack.
        names: Language ids and words that queries are made of.
        seconds: How long the clients ask.
    """
    queries = make_queries(names)
    loops = [bare_loop(index, pack, queries)]
    with server(index, pack) as address:
        asyncio.run(ask(address, queries, seconds=WARM_UP_SECONDS))
        load = asyncio.run(ask(address, queries, seconds=seconds))
    loops.append(bare_loop(index, pack, queries))
    times = sorted(load.seconds)
    rate = len(times) / load.wall
    return Outcome(
        ratio=rate / max(loops),
        figures={
            "alternative": "encode and exact search in one process, one query after the other",
            "clients": CLIENTS,
            "seconds": seconds,
            "answers": len(times),
            "answers_per_second": round(rate, 1),
            "loop_per_second": [round(one, 1) for one in loops],
            "median_ms": round(1000 * times[len(times) // 2], 1),
            "p99_ms": round(1000 * times[int(0.99 * len(times))], 1),
            "first_error": load.errors[0] if load.errors else None,
        },
        others=(
            Criterion(
                name="p95_seconds",
                value=times[int(0.95 * len(times))],
                target=P95_TARGET,
                direction="at most",
            ),
            Criterion(name="errors", value=len(load.errors), target=0, direction="at most"),
        ),
    )


def make_queries(names: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Distinct queries for ever: a language, and some of its words with a number behind them."""
    rng = random.Random(0)
    for number in itertools.count():
        language, word = rng.choice(names)
        yield language, f"{word} {number}"


def names_of(world: Any) -> list[tuple[str, str]]:
    """Every name of a pictogram in every language but English, in a fixed order."""
    return [
        (language, name)
        for language, named in sorted(world.names.items())
        for _, name in sorted(named.items())
        if language != ENGLISH
    ]


def make_pack(model: Any, three: Any, folder: Path) -> Path:
    """The distilled tower that is shipped, as a pack on the demo's model."""
    from polyglance.model import same_space
    from polyglance.model.manifest import PackManifest
    from polyglance.model.pack import LanguagePack
    from polyglance.model.side import Side

    manifest = PackManifest(
        recipe="distill",
        space_id=model.space_id,
        teacher=model.reference,
        tower="tiny:./tower",
        tower_fingerprint=three.distilled.fingerprint,
    )
    probes = model.encode_texts(same_space.PROBE_TEXTS, languages=None)
    LanguagePack(manifest, Side(three.distilled, "tiny:./tower"), probes).save(folder)
    return folder


def bare_loop(index: Path, pack: Path, queries: Iterator[tuple[str, str]]) -> float:
    """Queries a second of encode and exact search, one after the other, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    asked = list(itertools.islice(queries, LOOP_QUERIES))
    with context.Pool(1) as pool:
        return pool.apply(_loop, (index, pack, asked))


def _loop(index: Path, pack: Path, queries: list[tuple[str, str]]) -> float:
    from polyglance.model.pack import LanguagePack
    from polyglance.storage.store import Store

    side = LanguagePack.load(pack).side
    store = Store.open(index)
    ids, vectors = store.ids(), store.vectors()  # (M, D)

    def answer(language: str, text: str) -> list[str]:
        query = unit(side.through_head(side.tower.encode([text], languages=[language])))
        scores = (query @ vectors.T)[0]  # (M,)
        best = np.argpartition(-scores, TOP)[:TOP]
        return [ids[row] for row in best[np.argsort(-scores[best])]]

    answer(*queries[0])
    started, done = time.perf_counter(), 0
    for language, text in itertools.cycle(queries):
        answer(language, text)
        done += 1
        if time.perf_counter() - started > LOOP_SECONDS:
            break
    return done / (time.perf_counter() - started)


@contextmanager
def server(index: Path, pack: Path) -> Iterator[str]:
    """`polyglance serve` in a process of its own; yields its address and stops it."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "polyglance", "serve", "--index", str(index)),
            *("--pack", str(pack), "--port", "0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.match(r"http://\S+", said)
        if found is None:
            raise RuntimeError(f"the server said {said!r} and no address")
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


@dataclass
class Load:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wall: float = 0.0


async def ask(address: str, queries: Iterator[tuple[str, str]], *, seconds: float) -> Load:
    """All clients at once; each asks its next query when its last one is answered."""
    load = Load()
    started = time.perf_counter()
    await asyncio.gather(
        *(_client(address, queries, load, until=started + seconds) for _ in range(CLIENTS))
    )
    load.wall = time.perf_counter() - started
    return load


async def _client(
    address: str, queries: Iterator[tuple[str, str]], load: Load, *, until: float
) -> None:
    """One connection that is kept; plain HTTP: a client library would cost more than the server."""
    there = urlsplit(address)
    for tried in itertools.count():
        try:
            reader, writer = await asyncio.open_connection(there.hostname, there.port)
            break
        except OSError:
            if tried * 0.1 > START_SECONDS:
                raise
            await asyncio.sleep(0.1)
    try:
        while time.perf_counter() < until:
            language, text = next(queries)
            sent = time.perf_counter()
            writer.write(
                f"GET /api/search?q={quote(text)}&language={language}&top={TOP} HTTP/1.1\r\n"
                f"Host: {there.netloc}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            load.seconds.append(time.perf_counter() - sent)
            if not head.startswith(b"HTTP/1.1 200") or body.count(b'"rank"') != TOP:
                load.errors.append(f"{text!r}: {(head + body)[:300]!r}")
    except (OSError, asyncio.IncompleteReadError) as error:
        load.errors.append(repr(error))
    finally:
        writer.close()
