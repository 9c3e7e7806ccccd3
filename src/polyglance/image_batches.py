"""How are all cores kept busy by a tower? Several batches at once, each in a thread of its own.

A small model on one batch leaves most cores waiting, and the threads that torch gives it then take
turns with those that decode. So the cores are shared out among a few encoders. A tower says by
`encodes_in_threads` that it may be asked from several threads at once, and that this pays: one on
an accelerator, or of an unknown kind, is asked for one batch after the other.

Legend: B rows of a batch, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance.towers import Output, Tower

Vectors = NDArray[np.float32]

# Each holds the activations of a batch.
MAX_ENCODERS = 4


class BatchEncoder:
    """A tower that is given batches before it has finished the last.

    Args:
        tower: Who encodes.
        output: What is asked of it.
        num_threads: Batches at once at most, where the tower allows several.

    Attributes:
        num_ahead: Batches that may be on their way; who submits more waits for the first.
    """

    def __init__(self, tower: Tower, *, output: Output, num_threads: int) -> None:
        self.num_ahead = 0
        self._tower, self._output = tower, output
        self._wanted = min(num_threads, MAX_ENCODERS)
        self._threads: ThreadPoolExecutor | None = None
        self._torch_threads = 0
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
        """Let go of what has not begun, and wait for the rest."""
        if self._threads is not None:
            import torch

            self._threads.shutdown(cancel_futures=True)
            self._threads = None
            torch.set_num_threads(self._torch_threads)

    def _begin(self) -> None:
        """Share out the cores; first here, since the tower may not be loaded before."""
        self._begun = True
        if self._wanted > 1 and getattr(self._tower, "encodes_in_threads", False):
            import torch

            self._torch_threads = torch.get_num_threads()
            torch.set_num_threads(max(1, self._torch_threads // self._wanted))
            self._threads = ThreadPoolExecutor(self._wanted, thread_name_prefix="encode-images")
            self.num_ahead = self._wanted

    def _encode(self, items: Sequence[Any]) -> Vectors:
        return self._tower.encode(items, output=self._output)
