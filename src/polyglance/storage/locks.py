"""Locks: one writer of a folder or an open file at a time, by `filelock`.

Where the system or the disk has no locks that it frees on a kill, `filelock` takes the existence of
the lock file for one, and breaks it when its process is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from polyglance import errors

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_POLL_SECONDS = 0.05


class FolderLock:
    """One writer at a time for a folder: a lock on a file in it, which the system frees on a kill.

    Args:
        path: The lock file; it stays when the lock is released.
        owner: What is locked, for the message.
    """

    def __init__(self, path: Path, *, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._thread: int | None = None

    @property
    def held(self) -> bool:
        """Whether this thread holds it through this object."""
        return self._thread == threading.get_ident()

    @contextmanager
    def hold(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold the lock; may be nested within one thread.

        Args:
            wait_seconds: How long to wait for another holder; 0 refuses at once.

        Raises:
            StoreError: Another process or thread holds it.
        """
        if self.held:
            yield
            return
        with self._acquired(wait_seconds):
            self._thread = threading.get_ident()
            try:
                yield
            finally:
                self._thread = None

    @contextmanager
    def _acquired(self, wait_seconds: float) -> Iterator[None]:
        import filelock  # 0.05 s, and who only reads needs no lock

        os.stat(self._path.parent)  # filelock would make it
        # A new one each time: filelock refuses one that was made before a fork.
        lock = filelock.FileLock(self._path)
        try:
            acquired = lock.acquire(timeout=wait_seconds, poll_interval=LOCK_POLL_SECONDS)
        except filelock.Timeout as error:
            raise errors.StoreError(
                f"{self._owner} is being written by {self._holder() or 'another process'}; "
                "one writer at a time",
                hint="wait until it has finished, or end it; then run this again",
            ) from error
        with acquired:
            self._sign(lock)
            yield

    def _sign(self, lock: BaseFileLock) -> None:
        """Write into the lock file who holds it; one that locks by existing says so already."""
        import filelock

        if isinstance(lock, filelock.SoftFileLock):
            return
        try:
            self._path.write_text(f"process {os.getpid()} on {platform.node()}\n", "utf-8")
        except OSError as error:
            # On a full disk the name cannot be written; the lock holds all the same.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def _holder(self) -> str:
        """Who holds the lock by what the file says: our words, or process, host and start."""
        words: list[str] = []
        with contextlib.suppress(OSError):
            words = self._path.read_text("utf-8", "replace")[:200].split()
        if words and words[0].isdigit():
            return f"process {words[0]} on {' '.join(words[1:2])}"
        return " ".join(words)


def lock_open(descriptor: int, *, waits: bool = False) -> bool | None:
    """Lock an open file or folder until it is closed.

    Args:
        descriptor: Of what is open.
        waits: Whether to wait until no other holds it.

    Returns:
        Whether it is locked; False where another holds it, None where this system or disk has no
        such locks.
    """
    import filelock

    try:
        return filelock.lock_descriptor(
            descriptor, blocking=waits, poll_interval=LOCK_POLL_SECONDS / 5
        )
    except OSError:
        return None
