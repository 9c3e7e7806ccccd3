"""Handling of Ctrl-C: the current step is finished first, so that its state can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def deferred(*, active: bool) -> Iterator[Interrupt]:
    """Within the block, the first Ctrl-C is only noted; a second one acts at once.

    Args:
        active: Does nothing otherwise; nor outside the main thread, where no signal arrives.
    """
    interrupt = Interrupt()
    if not active or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    previous = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.asked = True
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
