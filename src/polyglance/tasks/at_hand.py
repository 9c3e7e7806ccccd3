"""What is left of a task's content items where only some are at hand? Shared by kinds of task.

Legend: M content items, N of them at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance.records import ImageFile


@dataclass(frozen=True, kw_only=True, eq=False)
class AtHand:
    """The part of a task that is left.

    Attributes:
        keep: Bool (M,), which content items.
        content_ids: Their N ids, in the task's order.
        image_files: Their pictures, where the task brings them.
        num_dropped: What was dropped before, and the others under the reason given.
    """

    keep: NDArray[np.bool_]
    content_ids: tuple[str, ...]
    image_files: tuple[ImageFile, ...]
    num_dropped: Mapping[str, int]


def at_hand(
    content_ids: Sequence[str],
    found: Collection[str],
    *,
    image_files: Sequence[ImageFile],
    num_dropped: Mapping[str, int],
    reason: str,
) -> AtHand:
    """Split a task's content items by what there is; the caller minds if none is left.

    Args:
        content_ids: The task's M ids.
        found: What there is.
        image_files: The task's pictures.
        num_dropped: The task's counts so far.
        reason: Why the others are not there, as `images_missing`.

    >>> left = at_hand("abc", "ca", image_files=(), num_dropped={}, reason="images_missing")
    >>> left.content_ids, dict(left.num_dropped)
    (('a', 'c'), {'images_missing': 1})
    """
    there = set(found)
    keep = np.array([content_id in there for content_id in content_ids], bool)
    return AtHand(
        keep=keep,
        content_ids=tuple(content_id for content_id in content_ids if content_id in there),
        image_files=tuple(file for file in image_files if file.id in there),
        num_dropped={**num_dropped, reason: int((~keep).sum())},
    )
