"""Entry point of the command line: how a command begins, and how it always ends.

Next to nothing is imported here, so that Ctrl-C finds its answer from the first moment on; not
even `typing`, which takes longer than all the rest. The verbs are in `verbs`, what becomes of
errors in `exit_codes`; `app` is the application of all verbs.
"""

from __future__ import annotations

import os
import signal
import sys

from polyglance.cli.interruption import INTERRUPTED_EXIT_CODE, STOPPED, Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

TERMINATED_EXIT_CODE = 143


class _How:
    """How the command was told to stop: by Ctrl-C, or by SIGTERM."""

    code = INTERRUPTED_EXIT_CODE


_how = _How()


def __getattr__(name: str) -> Any:
    """`app`, imported when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from polyglance.cli.verbs import app

    return app


def main() -> None:
    """Run the command line; it ends with an exit code and, at worst, with two lines."""
    before = signal.signal(signal.SIGINT, _stop)
    before_term = _take_terminations()
    try:
        from polyglance.cli import exit_codes

        code = exit_codes.run(sys.argv[1:])
    except (KeyboardInterrupt, Stopped) as stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_stopped(str(stopped) or STOPPED)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, before_term)
    sys.exit(code)


def leave_at_once(code: int) -> NoReturn:
    """End without waiting for threads of libraries, which may abort while the interpreter ends."""
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    """The first Ctrl-C lets everything be cleaned up; the second does not wait for that."""
    signal.signal(signal.SIGINT, _stop_at_once)
    raise KeyboardInterrupt


def _take_terminations() -> Any:
    """Have SIGTERM do what Ctrl-C does at that moment, with an exit code of its own.

    Returns:
        The handler before.
    """
    main_process = os.getpid()
    _how.code = INTERRUPTED_EXIT_CODE

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != main_process:  # a fork, which ends as processes do
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        _how.code = TERMINATED_EXIT_CODE
        answer = signal.getsignal(signal.SIGINT)
        if callable(answer):
            answer(signal.SIGINT, frame)

    return signal.signal(signal.SIGTERM, terminate)


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    _end_stopped(STOPPED)


def _end_stopped(said: str) -> NoReturn:
    """One line, past all streams: they may be what was interrupted."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        os.write(2, f"\n{said}\n".encode("utf-8", "replace"))
    except (OSError, ValueError, RuntimeError):
        pass  # nobody is there to read it
    leave_at_once(_how.code)
