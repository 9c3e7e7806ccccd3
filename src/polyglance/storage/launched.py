"""Processes that a launcher started together (`torchrun`, `accelerate launch`): which, of how many.

Their environment says so. They share caches, outputs and the terminal: one speaks and writes, the
others wait for it.
"""

from __future__ import annotations

import os


def num_processes() -> int:
    """How many were started together, on all machines; 1 where this one was started by itself."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0")) if num_processes() > 1 else 0


def local_rank() -> int | None:
    """Which of those on this machine; None where it was started by itself, or nobody says it."""
    local = os.environ.get("LOCAL_RANK")
    return None if local is None else int(local)
