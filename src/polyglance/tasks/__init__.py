"""What is measured? A data set is a row of this table: where its texts are, how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from polyglance import errors
from polyglance.tasks.classification_rows import CLASSIFICATION
from polyglance.tasks.retrieval_rows import RETRIEVAL
from polyglance.tasks.rows import ContentData, Task, TaskData
from polyglance.tasks.text_rows import TEXT

__all__ = ["TASKS", "ContentData", "Task", "TaskData", "get_task"]

TASKS: Mapping[str, Task] = MappingProxyType({**RETRIEVAL, **CLASSIFICATION, **TEXT})


def get_task(name: str) -> Task:
    """A row of the table.

    Raises:
        UnknownNameError: For a name that is not there.
    """
    if name not in TASKS:
        raise errors.unknown_name("task", name, allowed=TASKS)
    return TASKS[name]
