"""Leftovers of killed writers: told from what is being written, and removed.

A writer locks what it writes, and the system frees it however the writer ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyglance.storage import locks

# Where no lock can be asked for, a day is long enough that no writer of today can lose its own.
STALE_SECONDS = 24 * 3600.0
# Between making something and locking it; far more than that takes.
GRACE_SECONDS = 10.0
# How a file or folder is called while it is written: `.NAME.making-01234567`.
TEMPORARY = re.compile(r"\..*\.(making|old)-[0-9a-f]{8}", re.DOTALL)


def is_temporary(name: str) -> bool:
    """Whether a file or folder has a name that only writers of ours give, while they write.

    >>> is_temporary(".pack.making-0a1b2c3d"), is_temporary(".pack.making-of")
    (True, False)
    """
    return TEMPORARY.fullmatch(name) is not None


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Show that a file or folder is being written, as long as the block lasts."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        locks.lock_open(descriptor)
        yield
    finally:
        os.close(descriptor)


def sweep(path: Path, *, grace_seconds: float = GRACE_SECONDS) -> None:
    """Delete what killed writers of `path` left beside it, and nothing that is being written.

    Args:
        path: What they wrote.
        grace_seconds: What is younger stays; 0 for who holds the lock of all writers of `path`.
    """
    with contextlib.suppress(OSError):  # it is no folder, or not ours to list
        for left in list(path.parent.iterdir()):
            if left.name.startswith(f".{path.name}.making-") and is_temporary(left.name):
                with contextlib.suppress(OSError):
                    _remove_if_dead(left, grace_seconds=grace_seconds)


def _remove_if_dead(left: Path, *, grace_seconds: float) -> None:
    age = time.time() - left.lstat().st_mtime
    if age < grace_seconds or left.is_symlink():
        return
    descriptor = os.open(left, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        is_free = locks.lock_open(descriptor)
        if is_free is False or (is_free is None and age < STALE_SECONDS):
            return
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
