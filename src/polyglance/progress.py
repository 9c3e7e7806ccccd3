"""The progress bar, with rate and time left; silent unless the command line turns it on.

Library calls are silent. The command line turns bars on with `enable`; they appear only where
standard error is a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_enabled = False

Advance = Callable[[int], None]


class NotedAdvance(Protocol):
    """An `Advance` that may say something beside the numbers."""

    def __call__(self, count: int, note: str = "", /) -> None:
        """Add to the items done.

        Args:
            count: How many more.
            note: What the bar is to say from now on; "" leaves what it says.
        """
        ...


def enable() -> None:
    """Let bars appear; called by the command line."""
    global _enabled
    _enabled = True


def say(sentence: str) -> None:
    """Tell the user something beside the answer, on standard error; silent as the bars are."""
    if _enabled:
        print(sentence, file=sys.stderr)


@contextmanager
def bar(label: str, *, total: int | None) -> Iterator[NotedAdvance]:
    """A progress bar for `total` items.

    Args:
        label: What is being done.
        total: How many items; None where that is not known.

    Yields:
        A function that adds to the items done.
    """
    if not (_enabled and sys.stderr.isatty()):
        yield lambda count, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # A bar moves the cursor: it goes past what makes such characters visible on standard error.
    terminal = getattr(sys.stderr, "stream", sys.stderr)
    with Progress(*columns, console=Console(file=terminal), transient=True) as shown:
        task = shown.add_task(label, total=total, rate="", note="")

        def advance(count: int, note: str = "", /) -> None:
            speed = shown.tasks[0].speed
            shown.update(task, advance=count, rate=f"{speed:,.0f}/s" if speed else "")
            if note:
                shown.update(task, note=note)

        yield advance
