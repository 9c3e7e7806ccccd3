"""Named stages of the demo, announced as they begin and timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer


class Stages:
    """Seconds by stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Say what begins; afterwards how long it took."""
        if sys.stdout.isatty():
            typer.echo(f"{name} ...\r", nl=False)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        typer.echo(f"{name:<32}{self.seconds[name]:6.1f} s")
