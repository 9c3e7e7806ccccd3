"""Logs of loss terms, by name: in the report, `log.jsonl`, TensorBoard and the progress bar."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from polyglance.training import distributed

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"
# Rows of a whole training, about; more would tell no more.
NUM_ROWS = 100

Row = dict[str, float]


class Log:
    """Keeps a row of loss terms every so many steps.

    `log.jsonl` is only ever added to. After a stop, the rows written since the last checkpoint
    come again, the same, and are left out; a line cut off by a kill is cleared away.

    Args:
        num_steps: Of the whole training.
    """

    def __init__(self, *, num_steps: int) -> None:
        self.history: list[Row] = []
        self._every = max(1, num_steps // NUM_ROWS)
        self._num_steps = num_steps
        self._file: _JsonLines | None = None
        self._board: Any = None

    @contextmanager
    def opened(self, folder: Path | None) -> Iterator[None]:
        """Within the block, rows also go to files in a folder: by the first process, if at all."""
        if folder is None or distributed.rank():
            yield
            return
        self._file = _JsonLines(folder / LOG_FILE)
        # What a resumed run has in its history and the file has lost, say by being deleted.
        for row in self.history:
            self._file.add(row)
        self._board = _board(folder / TENSORBOARD_FOLDER, from_step=self._last_step + 1)
        try:
            yield
        finally:
            self._file.close()
            if self._board is not None:
                self._board.close()
            self._file = self._board = None

    def __call__(
        self, step: int, terms: Mapping[str, Tensor], *, rate: float, dev_score: float | None
    ) -> str:
        """Tell of a step, if it is one to tell of.

        Args:
            step: From 1.
            terms: Loss terms by name, scalars.
            rate: The peak group's learning rate in this step.
            dev_score: Where this step was followed by a look at the dev split.

        Returns:
            The terms in a few words, for the bar; "" between two rows.
        """
        is_due = step == 1 or step % self._every == 0 or step == self._num_steps
        if not is_due and dev_score is None:
            return ""
        row = {name: float(value.detach()) for name, value in terms.items()}
        shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items())
        row |= {"step": step, "learning_rate": rate}
        if dev_score is not None:
            row["dev_score"] = dev_score
        self.history.append(row)
        if self._file is not None:
            self._file.add(row)
        if self._board is not None:
            for name in row.keys() - {"step"}:
                self._board.add_scalar(name, row[name], step)
        return f"{shown}  rate {rate:.2g}"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"history": self.history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.history[:] = state["history"]

    @property
    def _last_step(self) -> int:
        return int(self.history[-1]["step"]) if self.history else 0


class _JsonLines:
    """A file of rows in order of their steps; rows that it has are not written twice."""

    def __init__(self, path: Path) -> None:
        self._last_step = 0
        if path.exists():
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                with path.open("r+b") as file:
                    file.truncate(len(whole))
            lines = whole.splitlines()
            self._last_step = json.loads(lines[-1])["step"] if lines else 0
        self._stream = path.open("a", encoding="utf-8")

    def add(self, row: Row) -> None:
        if row["step"] <= self._last_step:
            return
        self._last_step = int(row["step"])
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        self._stream.write(json.dumps(finite) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def _board(folder: Path, *, from_step: int) -> Any:
    """TensorBoard's writer, where it is installed; rows from a step on are written anew."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer: Any = SummaryWriter(str(folder), purge_step=from_step)
    return writer
