"""The table of tasks: a data set is a row that says where its texts are and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.tasks.classification_rows import CLASSIFICATION
from polyglance.tasks.fetching import fetch_task
from polyglance.tasks.items import ItemData
from polyglance.tasks.own_data import OWN
from polyglance.tasks.retrieval_rows import RETRIEVAL
from polyglance.tasks.rows import Task, TaskData
from polyglance.tasks.text_rows import TEXT

__all__ = ["TASKS", "ItemData", "Task", "TaskData", "folder_of", "get_task", "load_task"]

TASKS: Mapping[str, Task] = MappingProxyType({**RETRIEVAL, **CLASSIFICATION, **TEXT, **OWN})


def get_task(name: str) -> Task:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in TASKS:
        raise errors.unknown_name("task", name, allowed=TASKS)
    return TASKS[name]


def folder_of(name: str, root: str | Path | None) -> Path | None:
    """The folder of a task in a folder of such folders; None where there is none."""
    return next((path for path in _named(name, root) if path.is_dir()), None)


def _named(name: str, root: str | Path | None) -> list[Path]:
    """How the folder of a task may be called, the publisher's name first."""
    folders = (get_task(name).folder or name, name)
    return [] if root is None else [Path(root) / folder for folder in folders]


def load_task(name: str, root: str | Path | None = None, *, download: bool = False) -> TaskData:
    """A task's texts in all its languages, so that the comparison never depends on which are asked.

    Args:
        name: Of the task.
        root: The publisher's folder, or the folder in which it stands under its name.
        download: Whether missing files are fetched: into that folder, or the user's cache.

    Raises:
        UnknownNameError: For a task that is not there.
        UnavailableError: Its files are not where `root` leads.
    """
    row = get_task(name)
    found = folder_of(name, root)
    where = found or (None if root is None else Path(root))
    if download and row.files:
        where = fetch_task(name, row, folder=found or next(iter(_named(name, root)), None))
    return replace(row.load(where, None), task=name)  # type: ignore[type-var]
