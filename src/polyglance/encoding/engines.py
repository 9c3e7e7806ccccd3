"""Parallel encoding: several batches at once, each in a thread of its own.

A small model on one batch leaves most cores waiting, and the threads that torch gives it then take
turns with those that decode. So the cores are divided among a few encoders. A tower says by
`encodes_in_threads` that it may be asked from several threads at once, and that this pays: one on
an accelerator, or of an unknown kind, is asked for one batch after the other.

Legend: B rows of a batch, D width.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from polyglance.records import Output
from polyglance.towers import Tower
from polyglance.vectors import Vectors, check_shape

# Each holds the activations of a batch.
MAX_ENCODERS = 4


class _Cores:
    """The threads that torch takes for one operation: fewer while anybody encodes in several."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = self._before = 0

    def share_out(self, among: int) -> None:
        import torch

        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
                torch.set_num_threads(max(1, self._before // among))
            self._users += 1

    def give_back(self) -> None:
        import torch

        with self._lock:
            self._users -= 1
            if not self._users:
                torch.set_num_threads(self._before)


_CORES = _Cores()


class BatchEncoder:
    """A tower that is given batches before it has finished the last.

    Args:
        tower: Who encodes.
        output: What is asked of it.
        dim: Width D that it must give.
        num_threads: Batches at once at most, where the tower allows several.

    Attributes:
        num_ahead: Batches that may be on their way; who submits more waits for the first.
    """

    def __init__(self, tower: Tower, *, output: Output, dim: int, num_threads: int) -> None:
        self.num_ahead = 0
        self._tower, self._output, self._dim = tower, output, dim
        self._wanted = min(num_threads, MAX_ENCODERS)
        self._threads: ThreadPoolExecutor | None = None
        self._begun = False

    def submit(self, items: Sequence[Any]) -> Future[Vectors]:
        """Have B items encoded: float32 (B, D), now or soon."""
        if not self._begun:
            self._begin()
        if self._threads is not None:
            return self._threads.submit(self._encode, items)
        done: Future[Vectors] = Future()
        done.set_result(self._encode(items))
        return done

    def close(self) -> None:
        """Cancel what has not begun, and wait for the rest."""
        if self._threads is not None:
            threads, self._threads = self._threads, None
            try:
                threads.shutdown(cancel_futures=True)
            finally:
                _CORES.give_back()

    def _begin(self) -> None:
        """Share out the cores; only here, since the tower may not be loaded before."""
        self._begun = True
        if self._wanted > 1 and self._tower.encodes_in_threads:
            _CORES.share_out(self._wanted)
            self._threads = ThreadPoolExecutor(self._wanted, thread_name_prefix="encode-items")
            self.num_ahead = self._wanted

    def _encode(self, items: Sequence[Any]) -> Vectors:
        vectors = self._tower.encode(items, output=self._output)
        check_shape(vectors, dim=self._dim, num_rows=len(items))
        return vectors
