"""Checkpoints in a run folder, and which training may resume from them.

    RUN/run.json              what was asked for: settings, data, the weights it began from
    RUN/log.jsonl             loss terms
    RUN/checkpoint-000120/    the state after step 120; an older one goes when a newer one is there
    RUN/result/               the end: kept weights and report; there is no checkpoint any more

A checkpoint is a folder that is renamed into its place, its manifest written last: a process killed
at any moment leaves the last whole one. A resumed run ends with the same weights, to the bit,
as an unstopped one, on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from polyglance import errors
from polyglance.storage import atomic, leftovers, locks, manifests, tensor_files
from polyglance.training import distributed
from polyglance.training.collectives import any_of, states_of_all
from polyglance.training.state_files import Apart, put_together, take_apart

SCHEMA_VERSION = 1
RUN_FILE, LOCK_FILE = "run.json", ".lock"
STATE_FILE, TENSOR_FILE = "state.json", "state.safetensors"
RESULT_FOLDER, CHECKPOINT_PREFIX = "result", "checkpoint-"
RESULT_KIND, CHECKPOINT_KIND = "training-result", "training-checkpoint"


class Stateful(Protocol):
    """A part of a run's state."""

    def state_dict(self) -> Any:
        """Its state: nested dicts and lists of tensors, numbers and text."""
        ...

    def load_state_dict(self, state: Any) -> Any:
        """Restore this state."""
        ...


@dataclass(frozen=True)
class RunFolder:
    """Where a training keeps checkpoints and logs, and how often.

    Attributes:
        path: A folder of its own; made if absent. A run that it holds is resumed.
        checkpoint_every_seconds: Least time between two checkpoints; None goes by steps alone.
        checkpoint_every_steps: Steps between two checkpoints; None goes by time alone.
        config: What else fixes the outcome, such as a recipe's config: a run is resumed with the
            same only. The training's own config is compared in any case.
        data: Fingerprint of the data, see `fingerprint`; a run is resumed with the same only.
        start: What the first weights were computed from, such as data that has its fingerprint
            there; None takes the fingerprint of the weights themselves, which change in their last
            bits where vectors were encoded anew.
    """

    path: Path
    _: KW_ONLY
    checkpoint_every_seconds: float | None = 300.0
    checkpoint_every_steps: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    def about(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        data: str | None = None,
        start: str | None = None,
    ) -> RunFolder:
        """The same folder, for this config and data alone.

        Args:
            config: Added to what is there, as `dataclasses.asdict` gives it.
            data: A fingerprint, in the place of the one that is there.
            start: What the first weights were computed from, likewise.
        """
        return replace(
            self,
            config={**self.config, **(config or {})},
            data=data or self.data,
            start=start or self.start,
        )

    def stage(self, name: str) -> RunFolder:
        """A folder inside this one, for one training of several: each needs its own."""
        return replace(self, path=self.path / name)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a run's state, and where it goes.

    Attributes:
        of: What has the state.
        own: Whether every process has its own; else the first one's is everybody's.
        lasts: Whether the result holds it, or checkpoints alone.
    """

    of: Stateful
    own: bool = False
    lasts: bool = True


class Checkpoints:
    """Writes the parts of a run's state, and puts them back.

    Args:
        run: Where, and how often; None writes and reads nothing.
        parts: By name, put back in this order: random generators last.
    """

    def __init__(self, run: RunFolder | None, parts: Mapping[str, Part]) -> None:
        self._run, self._parts = run, parts
        self.path = run.path if run else Path()
        self._last_time = time.monotonic()

    def resume(self) -> bool:
        """Put back the latest state, if there is one.

        Returns:
            Whether the run has ended: its result is what was put back.
        """
        if self._run is None:
            return False
        result = self.path / RESULT_FOLDER
        if result.exists():
            self._read(result, kind=RESULT_KIND)
            self._clear(keep=result)
            return True
        if found := self._checkpoints():
            self._read(found[-1], kind=CHECKPOINT_KIND)
        return False

    def is_due(self, step: int) -> bool:
        """Whether a checkpoint is to be written after this step."""
        if self._run is None:
            return False
        steps, seconds = self._run.checkpoint_every_steps, self._run.checkpoint_every_seconds
        if steps is not None and step % steps == 0:
            return True
        return seconds is not None and time.monotonic() - self._last_time >= seconds

    def save(self, step: int) -> None:
        """Write a checkpoint; older ones go when it is in its place.

        Raises:
            DiskFullError: No room; the last checkpoint stays.
        """
        folder = self.path / f"{CHECKPOINT_PREFIX}{step:06}"
        self._write(folder, parts=self._parts, kind=CHECKPOINT_KIND)
        self._last_time = time.monotonic()

    def finish(self) -> None:
        """Write the result; all checkpoints go when it is in its place."""
        if self._run is None:
            return
        lasting = {name: part for name, part in self._parts.items() if part.lasts}
        self._write(self.path / RESULT_FOLDER, parts=lasting, kind=RESULT_KIND)

    def _write(self, folder: Path, *, parts: Mapping[str, Part], kind: str) -> None:
        own = {name: part.of.state_dict() for name, part in parts.items() if part.own}
        own_of_all = states_of_all(own)
        if distributed.rank():
            return
        shared = {name: part.of.state_dict() for name, part in parts.items() if not part.own}
        apart = take_apart({"shared": shared, "own": own_of_all})
        with atomic.folder_in_one_step(folder, marker=STATE_FILE) as making:
            tensor_files.write_torch(making / TENSOR_FILE, apart.tensors)
            content = {"state": apart.skeleton}
            manifests.write_manifest(
                making / STATE_FILE, content, kind=kind, schema_version=SCHEMA_VERSION, seal=True
            )
        self._clear(keep=folder)

    def _read(self, folder: Path, *, kind: str) -> None:
        content = manifests.read_manifest(
            folder / STATE_FILE, kind=kind, schema_version=SCHEMA_VERSION
        )
        state = put_together(Apart(content["state"], tensor_files.read_torch(folder / TENSOR_FILE)))
        own = state["own"][distributed.rank()]
        for name, part in self._parts.items():
            if name in own or name in state["shared"]:
                part.of.load_state_dict(own[name] if part.own else state["shared"][name])

    def _clear(self, *, keep: Path) -> None:
        """Delete other checkpoints, and what a killed process left half written."""
        if distributed.rank():
            return
        left = [each for each in self.path.iterdir() if leftovers.is_temporary(each.name)]
        for folder in [*self._checkpoints(), *left]:
            if folder != keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _checkpoints(self) -> list[Path]:
        """Those that this class wrote, the latest last; nothing else of a like name."""
        pattern = re.compile(rf"{CHECKPOINT_PREFIX}\d+")
        found = [each for each in self.path.glob("*") if pattern.fullmatch(each.name)]
        return sorted(found, key=_step_of)


@contextmanager
def opened(run: RunFolder | None, *, training: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    """Hold a run folder while the block runs; refuse one that was begun for something else.

    Args:
        run: The folder; None does nothing.
        training: What the loop knows of what fixes the outcome, by name.

    Raises:
        ConfigError: For a run that was begun otherwise, naming the field and both values.
        StoreError: For a folder of another kind, or one that another process is training in.
    """
    if run is None:
        yield
        return
    path = run.path
    # What the user set comes first, so that it is named before what follows from it.
    identity = {"config": run.config, "data": {"data": run.data}, "training": training()}
    # As it will be read again: tuples are lists then, and paths text.
    identity = json.loads(json.dumps(identity, default=str))
    _compare(path, identity)
    any_of(True)  # nobody writes before all have read
    if distributed.rank():
        yield
        return
    with atomic.disk_errors(str(path)):
        path.mkdir(parents=True, exist_ok=True)
    lock = locks.FolderLock(path / LOCK_FILE, owner=f"the run {path}")
    with lock.hold():
        if not (path / RUN_FILE).exists():
            manifests.write_manifest(
                path / RUN_FILE, identity, kind="training-run", schema_version=SCHEMA_VERSION
            )
        yield


def _compare(path: Path, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another run, or something else."""
    if not (path / RUN_FILE).exists():
        strange = [each.name for each in path.glob("*") if not each.name.startswith(".")]
        if strange:
            raise errors.StoreError(
                f"{path} is no run folder: it holds {', '.join(sorted(strange)[:3])}, and no "
                f"{RUN_FILE}",
                hint="give a folder that is empty or does not exist yet",
            )
        return
    begun = manifests.read_manifest(
        path / RUN_FILE, kind="training-run", schema_version=SCHEMA_VERSION
    )
    for section, fields in identity.items():
        before = begun.get(section, {})
        for name in [*before, *(name for name in fields if name not in before)]:
            if before.get(name) != fields.get(name):
                raise errors.ConfigError(
                    f"the run {path} was begun with {name} {before.get(name)!r}; now it is "
                    f"{fields.get(name)!r}",
                    hint="set it back to go on with that run, or give another folder for a new one",
                )


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix(CHECKPOINT_PREFIX))
