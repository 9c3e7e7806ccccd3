"""The exception of a command that was stopped, with its exit code. Imports nothing, see `cli`."""

from __future__ import annotations

INTERRUPTED_EXIT_CODE = 130
STOPPED = "stopped"
GOES_ON = "; what was finished is kept, and the same command goes on from there"


class Stopped(BaseException):
    """A command that was interrupted, with what is said of it."""
