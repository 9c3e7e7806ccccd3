"""Settings of the system's memory library: what is free goes back to the system."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

# Of glibc's malloc.h.
M_ARENA_MAX = -8
ARENAS = 2


def share_arenas() -> None:
    """Have all threads take memory from few pools; to be called before there are threads.

    By default there are eight a processor, and what each keeps for later is lost to the others:
    200 MB after some filtered searches of a million items. `MALLOC_ARENA_MAX` of the environment
    goes before.
    """
    if (found := _library()) is not None and "MALLOC_ARENA_MAX" not in os.environ:
        found.mallopt(M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Give memory that is free back, where the system's library can; takes some milliseconds.

    Images come and go in pieces of many megabytes, between which small things stay: without
    this, sixty uploads leave a gigabyte behind.
    """
    if (found := _library()) is not None:
        found.malloc_trim(0)


@cache
def _library() -> Any:
    try:
        found = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return found if hasattr(found, "malloc_trim") else None
