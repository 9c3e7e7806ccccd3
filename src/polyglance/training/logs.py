"""Logs of loss terms, by name: in the report, `log.jsonl`, trackers and the progress bar."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from polyglance.results import trackers
from polyglance.training import distributed

LOG_FILE = "log.jsonl"
# Rows of a whole training, about; more would tell no more.
NUM_ROWS = 100

Row = dict[str, float]


class Log:
    """Keeps a row of loss terms every so many steps.

    `log.jsonl` is only ever added to. After a stop, the rows written since the last checkpoint
    come again, the same, and are left out; a line cut off by a kill is cleared away.

    Args:
        num_steps: Of the whole training.
        label: What the training is called, for trackers.
    """

    def __init__(self, *, num_steps: int, label: str = "training") -> None:
        self.history: list[Row] = []
        self._label = label
        self._every = max(1, num_steps // NUM_ROWS)
        self._num_steps = num_steps
        self._file: _JsonLines | None = None

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
        try:
            yield
        finally:
            self._file.close()
            self._file = None

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
        # What a run said before it was stopped is not said twice.
        if self._file is None or self._file.add(row):
            said = {f"{self._label}/{name}": row[name] for name in row if name != "step"}
            trackers.log(said, step=step)
        return f"{shown}  rate {rate:.2g}"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"history": self.history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.history[:] = state["history"]


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

    def add(self, row: Row) -> bool:
        """Write a row unless it is there; whether it was written."""
        if row["step"] <= self._last_step:
            return False
        self._last_step = int(row["step"])
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        self._stream.write(json.dumps(finite) + "\n")
        self._stream.flush()
        return True

    def close(self) -> None:
        self._stream.close()
