"""Decoding of uploaded images in processes of their own, each of which can be ended.

A file of a third of a megabyte can keep a decoder busy for a minute, and a thread cannot be ended.
So images are decoded in processes of their own (`decoding_worker`), started when the first
image comes, ended when none came for a while, when one takes too long, and with the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, cast

from polyglance import errors
from polyglance.serve.decoding_worker import ANSWER, FAILED, JOB, READY, RGB, THUMBNAIL
from polyglance.serve.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

# A process that waits for others on a busy machine may take so much longer than it works.
CLOCK_SHARE = 3
IDLE_SECONDS, START_SECONDS = 60.0, 60.0
# One thread a process is enough: they are several, and others want the machine.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class BusyError(errors.UnavailableError):
    """Too many images wait already."""


class Decoder:
    """Decodes images in processes apart; used from one event loop. See the module.

    Args:
        limits: Of processes, time, pixels and waiting.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.image_workers)
        self._threads = ThreadPoolExecutor(limits.image_workers, thread_name_prefix="decoder")
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._waiting = 0
        self._closed = False
        self._ending: asyncio.TimerHandle | None = None

    async def rgb(self, data: bytes) -> Image:
        """A file's image: RGB, upright.

        Raises:
            InputError: It cannot be read, is too large, or takes too long.
            BusyError: Too many wait, or the server is stopping.
        """
        size, found = await self._do(RGB, data)
        return await asyncio.to_thread(_image, size, found)

    async def thumbnail(self, data: bytes) -> bytes:
        """A file's image as a small JPEG.

        Raises:
            InputError, BusyError: As `rgb`.
        """
        return (await self._do(THUMBNAIL, data))[1]

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._closed = True
        self._end_idle()
        for worker in self._all:
            worker.end()
        self._threads.shutdown(wait=False)

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that live."""
        return [worker.process.pid for worker in self._all]

    async def _do(self, kind: int, data: bytes) -> tuple[tuple[int, int], bytes]:
        """Have one job done, when a process is free."""
        if self._closed or self._waiting >= self._limits.image_waiting:
            raise BusyError(
                f"{self._waiting} images are waiting to be read already",
                hint="ask again in some seconds",
            )
        self._waiting += 1
        try:
            async with self._turns:
                return await self._with_worker(kind, data)
        finally:
            self._waiting -= 1

    async def _with_worker(self, kind: int, data: bytes) -> tuple[tuple[int, int], bytes]:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise BusyError("the server is stopping", hint="ask again later")
        worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = await self._start()
        seconds = self._limits.image_seconds
        # The bound on the clock is for what the system does not count, such as waiting.
        overdue = loop.call_later(CLOCK_SHARE * seconds, worker.end)
        head = JOB.pack(kind, seconds, self._limits.image_pixels, len(data))
        done = False
        try:
            found = await loop.run_in_executor(self._threads, worker.ask, head, data)
            done = True
        except (OSError, EOFError) as error:
            raise errors.InputError(
                f"an image that takes more than {seconds} seconds to decode",
                hint="save it again as a plain JPEG or PNG, or send a smaller copy",
            ) from error
        finally:
            overdue.cancel()
            self._take_back(worker, sound=done)
        if found[0] == FAILED:
            told = json.loads(found[2])
            raise errors.InputError(told["message"], hint=told["hint"])
        return found[1], found[2]

    async def _start(self) -> _Worker:
        """A process that is ready: to start it is no part of an image's time."""
        loop = asyncio.get_running_loop()
        worker = _Worker()
        self._all.add(worker)
        overdue = loop.call_later(START_SECONDS, worker.end)
        started = False
        try:
            started = await loop.run_in_executor(self._threads, worker.ready)
        finally:
            overdue.cancel()
            if not started:  # also where who asked has given up
                self._all.discard(worker)
                worker.end()
        if not started:
            raise BusyError("no image can be read here now", hint="ask again, or with a text")
        return worker

    def _take_back(self, worker: _Worker, *, sound: bool) -> None:
        """Keep a process for the next image, or end it."""
        if sound and not self._closed:
            self._idle.append(worker)
        else:
            self._all.discard(worker)
            worker.end()
        if self._ending is not None:
            self._ending.cancel()
        self._ending = None
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = None
        for worker in self._idle:
            self._all.discard(worker)
            worker.end()
        self._idle.clear()


def _image(size: tuple[int, int], rgb: bytes) -> Image:
    from PIL import Image as pil

    return pil.frombytes("RGB", size, rgb)


class _Worker:
    """One process that decodes."""

    def __init__(self) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polyglance.serve.decoding_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path},
            # Ctrl-C is for the server, which ends it. A session of its own would be a group of its
            # own to the scheduler too, where its niceness counts for nothing.
            process_group=0,
        )

    def ready(self) -> bool:
        """Wait until it takes jobs; whether it does."""
        return cast(BinaryIO, self.process.stdout).read(len(READY)) == READY

    def ask(self, head: bytes, data: bytes) -> tuple[int, tuple[int, int], bytes]:
        """Have a job done: kind, size and bytes of the answer.

        Raises:
            OSError, EOFError: The process was ended.
        """
        jobs, answers = cast(BinaryIO, self.process.stdin), cast(BinaryIO, self.process.stdout)
        jobs.write(head)
        jobs.write(data)
        jobs.flush()
        told = answers.read(ANSWER.size)
        if len(told) < ANSWER.size:
            raise EOFError
        kind, width, height, length = ANSWER.unpack(told)
        found = answers.read(length)
        if len(found) < length:
            raise EOFError
        return kind, (width, height), found

    def end(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was not sent yet
