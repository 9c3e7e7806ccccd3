"""Release of free memory to the system after a large image."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


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
