"""Batching of concurrent queries for one encoder, in one thread.

While the thread works, queries pile up; when it is free, it takes them all, up to a number. After
a batch of several it waits a few milliseconds for the next ones; somebody who asks alone does not.
By hand: servers that batch for models (Triton, Ray Serve) are processes of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from polyglance import errors

Question = TypeVar("Question")
Given = TypeVar("Given")


class StoppingError(errors.UnavailableError):
    """A question that came after the last one."""


class Batcher(Generic[Question, Given]):
    """Answers single questions by a function of many; used from one event loop.

    Args:
        work: Answers a batch, one answer or error a question, in order; runs in one thread of its
            own.
        most: Questions of a batch.
        wait_seconds: How long a batch waits to fill.
        told: Hears the size of each batch.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Question]], Sequence[Given | Exception]],
        *,
        most: int,
        wait_seconds: float,
        told: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._work, self._most, self._wait, self._told = work, most, wait_seconds, told
        self._waiting: deque[tuple[Question, asyncio.Future[Given]]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._running: asyncio.Task[None] | None = None
        self._last = 0
        self._closed = False

    async def ask(self, question: Question) -> Given:
        """The answer to one question.

        Raises:
            StoppingError: The server is stopping.
        """
        if self._closed:
            raise StoppingError("the server is stopping", hint="ask again later")
        answer: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def close(self) -> None:
        """Answer what is waiting, take nothing more, and end the thread."""
        self._closed = True
        if self._running is not None:
            await self._running
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        """Take batches until nothing is waiting."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                if self._last > 1 and len(self._waiting) < self._most:
                    await asyncio.sleep(self._wait)
                taken = [
                    self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))
                ]
                # Whoever has given up meanwhile costs no work.
                batch = [(question, answer) for question, answer in taken if not answer.done()]
                if batch:
                    self._last = len(batch)
                    self._told(len(batch))
                    found = await loop.run_in_executor(
                        self._thread, self._answers, [question for question, _ in batch]
                    )
                    for (_, answer), one in zip(batch, found, strict=True):
                        _settle(answer, one)
        finally:
            self._running = None

    def _answers(self, questions: Sequence[Question]) -> Sequence[Given | Exception]:
        """Answers, or what went wrong; a batch that fails as a whole is tried in halves."""
        try:
            return list(self._work(questions))
        except Exception as error:  # noqa: BLE001 (each is raised again where it was asked)
            if len(questions) == 1:
                return [error]
            half = len(questions) // 2
            return [*self._answers(questions[:half]), *self._answers(questions[half:])]


def _settle(answer: asyncio.Future[Given], found: Given | Exception) -> None:
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
