"""The table of tasks: a data set is a row that says where its texts are and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.tasks.classification_rows import CLASSIFICATION
from polyglance.tasks.fetching import fetch_task
from polyglance.tasks.retrieval_rows import RETRIEVAL
from polyglance.tasks.rows import ContentData, Task, TaskData
from polyglance.tasks.text_rows import TEXT

__all__ = ["TASKS", "ContentData", "Task", "TaskData", "get_task", "load_task"]

TASKS: Mapping[str, Task] = MappingProxyType({**RETRIEVAL, **CLASSIFICATION, **TEXT})


def get_task(name: str) -> Task:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in TASKS:
        raise errors.unknown_name("task", name, allowed=TASKS)
    return TASKS[name]


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
    folder = None if root is None else Path(root)
    inside = [] if folder is None else [folder / (row.folder or name), folder / name]
    where = next((path for path in inside if path.is_dir()), folder)
    if download and row.files:
        where = fetch_task(name, row, folder=inside[0] if where == folder and inside else where)
    return replace(row.load(where, None), task=name)  # type: ignore[type-var]
