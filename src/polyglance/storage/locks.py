"""Locks: one writer of a folder at a time, told by name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyglance import errors
from polyglance.storage.atomic import is_disk_full
from polyglance.storage.leftovers import is_temporary as is_temporary

LOCK_POLL_SECONDS = 0.05


class FolderLock:
    """One writer at a time for a folder: `flock` on a file in it, which the system frees on a kill.

    Args:
        path: The lock file; it stays when the lock is released.
        owner: What is locked, for the message.
    """

    def __init__(self, path: Path, *, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._descriptor: int | None = None
        self._thread: int | None = None
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether this thread holds it through this object."""
        return self._depth > 0 and self._thread == threading.get_ident()

    @contextmanager
    def hold(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold the lock; may be nested within one thread.

        Args:
            wait_seconds: How long to wait for another holder; 0 refuses at once.

        Raises:
            StoreError: Another process or thread holds it.
        """
        if not self.held:
            self._acquire(wait_seconds)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._release()

    def _acquire(self, wait_seconds: float) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)  # less the umask
        try:
            self._wait_for(descriptor, until=time.monotonic() + wait_seconds)
            os.ftruncate(descriptor, 0)
            name = f"process {os.getpid()} on {os.uname().nodename}\n"
            try:
                os.pwrite(descriptor, name.encode("utf-8"), 0)
            except OSError as error:
                # On a full disk the name cannot be written; the lock holds all the same.
                if not is_disk_full(error):
                    raise
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._thread = descriptor, threading.get_ident()

    def _wait_for(self, descriptor: int, *, until: float) -> None:
        import fcntl  # POSIX only: reading a store works elsewhere, too

        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
                    raise errors.StoreError(
                        f"{self._owner} is being written by {holder or 'another process'}; "
                        "one writer at a time",
                        hint="wait until it has finished, or end it; then run this again",
                    ) from error
            else:
                return
            time.sleep(LOCK_POLL_SECONDS)

    def _release(self) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = self._thread = None
