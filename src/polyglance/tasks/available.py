"""Subsets of a task, where only some of its content items are at hand.

Legend: M content items, N of them at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyglance.records import MediaFile


@dataclass(frozen=True, kw_only=True, eq=False)
class Subset:
    """The part of a task that is left.

    Attributes:
        keep: Bool (M,), which content items.
        item_ids: Their N ids, in the task's order.
        media_files: Their files, where the task brings them.
        num_dropped: What was dropped before, and the others under the reason given.
    """

    keep: NDArray[np.bool_]
    item_ids: tuple[str, ...]
    media_files: tuple[MediaFile, ...]
    num_dropped: Mapping[str, int]


class _Task(Protocol):
    """What is asked of a task: its content items, their files, and what was dropped so far."""

    @property
    def item_ids(self) -> Sequence[str]: ...

    @property
    def media_files(self) -> Sequence[MediaFile]: ...

    @property
    def num_dropped(self) -> Mapping[str, int]: ...


def at_hand(task: _Task, found: Collection[str], *, reason: str) -> Subset:
    """Split a task's M content items by what there is; the caller checks whether any is left.

    Args:
        task: Of any kind.
        found: The ids of what there is.
        reason: Why the others are not there, as `items_missing`.

    >>> from types import SimpleNamespace
    >>> task = SimpleNamespace(item_ids="abc", media_files=(), num_dropped={})
    >>> left = at_hand(task, "ca", reason="items_missing")
    >>> left.item_ids, dict(left.num_dropped)
    (('a', 'c'), {'items_missing': 1})
    """
    there = set(found)
    keep = np.array([item_id in there for item_id in task.item_ids], bool)
    return Subset(
        keep=keep,
        item_ids=tuple(item_id for item_id in task.item_ids if item_id in there),
        media_files=tuple(file for file in task.media_files if file.id in there),
        num_dropped={**task.num_dropped, reason: int((~keep).sum())},
    )
