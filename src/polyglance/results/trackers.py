"""Trackers of others, such as TensorBoard: told loss terms, scores and settings, beside our files.

A run is tracked between `opened` and its end; whoever has something to tell calls `log`, which does
nothing where nothing is tracked. The trackers are those of accelerate, among them what a program
has registered there by `register_tracker_class`. All of them can work without a network: W&B with
`WANDB_MODE=offline`, the others by themselves.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.results.schema import Result

# Files of trackers that take a folder lie here unless the run has a folder of its own.
FOLDER = Path("runs")
# Trackers that are tried by hand; what else accelerate knows is taken as well.
NAMED = ("tensorboard", "wandb", "mlflow", "trackio")

_open: list[_Tracked] = []


def require(names: Sequence[str]) -> None:
    """Refuse trackers that are not known or whose package is not installed.

    Raises:
        UnknownNameError: For a name that accelerate does not know.
        MissingExtraError: For one whose package is absent; gives the install line.
    """
    known = _known() if names else {}
    for name in names:
        if name not in known:
            raise errors.unknown_name("tracker", name, allowed=known)
        of_accelerate = known[name].__module__.startswith("accelerate.")
        if of_accelerate and importlib.util.find_spec(name) is None:
            raise errors.MissingExtraError(
                f"--track {name} needs the package {name}, which is not installed",
                hint=f"pip install {name}",
            )


@contextmanager
def opened(
    names: Sequence[str], *, run_name: str, config: Mapping[str, Any], folder: Path | None = None
) -> Iterator[None]:
    """Within the block, what is logged goes to these trackers.

    Args:
        names: As accelerate calls them; none tracks nothing.
        run_name: What the project or experiment is called.
        config: Settings of the run.
        folder: Where files go, for trackers that take a folder; None for `FOLDER`.

    Raises:
        UnknownNameError, MissingExtraError: As `require`.
        UnavailableError: A tracker does not start, or fails to take the settings.
    """
    require(names)
    tracked = [
        _Tracked(name, _known()[name], run_name=run_name, folder=folder or FOLDER)
        for name in dict.fromkeys(names)
    ]
    begun: list[_Tracked] = []
    try:
        for one in tracked:
            one.start(_plain(config))
            begun.append(one)
        _open.extend(begun)
        yield
    finally:
        for one in begun:
            if one in _open:
                _open.remove(one)
            one.finish()


def log(values: Mapping[str, float], *, step: int | None = None) -> None:
    """Tell every open tracker some values.

    Args:
        values: By name.
        step: Of a training, from 1; a training that begins anew stands behind the one before.
            None for values that belong to the run as a whole.
    """
    for one in _open:
        one.log(dict(values), step)


def log_results(rows: Sequence[Result], *, by_model: bool = False) -> None:
    """Tell every open tracker scores, as `TASK/SPLIT/DIRECTION/VALUE/LANGUAGE`.

    Args:
        rows: What was measured.
        by_model: Whether names begin with that of the model, where there are several.
    """
    if _open:
        log({name: value for row in rows for name, value in _values(row, by_model)})


def _values(row: Result, by_model: bool) -> Iterator[tuple[str, float]]:
    front = [row.model] if by_model else []
    about = [row.task, row.split, row.direction, *([row.variant] if row.variant else [])]
    language = row.language + (f"-{row.other_language}" if row.other_language else "")
    for name, value in row.values.items():
        yield "/".join([*front, *about, name, language]), value


class _Tracked:
    """One tracker of accelerate's, in steps that only rise."""

    def __init__(self, name: str, kind: type[Any], *, run_name: str, folder: Path) -> None:
        self.name = name
        place = (str(folder),) if kind.requires_logging_directory else ()
        self._make: Callable[[], Any] = lambda: kind(run_name, *place)
        self._tracker: Any = None
        self._base = self._last = 0

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin a run and give it the settings."""
        from accelerate import PartialState

        PartialState()  # accelerate's trackers ask it whether this process is the one to write
        try:
            self._tracker = self._make()
            self._tracker.start()
            self._tracker.store_init_configuration(dict(config))
        except Exception as error:
            offline = "; without a network: export WANDB_MODE=offline" * (self.name == "wandb")
            raise errors.UnavailableError(
                f"--track {self.name} does not start: {errors.first_line(error)}",
                hint=f"try {self.name} by itself, or leave --track out{offline}",
            ) from error

    def log(self, values: dict[str, float], step: int | None) -> None:
        """Tell it; a tracker that fails is told nothing more, and the run goes on."""
        if self._tracker is None:
            return
        if step is not None:
            if self._base + step < self._last:
                self._base = self._last
            self._last = self._base + step
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        try:
            self._tracker.log(finite, step=self._last)
        except Exception as error:  # noqa: BLE001 (hours of training outweigh a lost connection)
            self._tracker = None
            progress.say(
                f"--track {self.name} failed at step {self._last} and is told nothing more: "
                f"{errors.first_line(error)}"
            )

    def finish(self) -> None:
        """End the run."""
        if self._tracker is not None:
            self._tracker.finish()
            self._tracker = None


def _known() -> dict[str, type[Any]]:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    return {str(name): kind for name, kind in LOGGER_TYPE_TO_CLASS.items()}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as trackers take them: numbers, words and truth values."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in config.items()
    }
