"""Tasks about items: what they have in common, and the part whose items are at hand.

Legend: M items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import MediaFile, Quarantined
from polyglance.results.schema import CaptionPolicy


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemData(ABC):
    """A task about images or sounds, with its data at hand.

    Attributes:
        task: Name of the task.
        policy: Which captions take part; `none` where there are none.
        item_ids: M ids, in the order of the items' vectors; of a task that does not bring its
            items, those that it names, or none until it is given them.
        media_files: Their files, where the task brings them; empty where the user does.
        num_dropped: What could not take part, by reason.
        set_aside: Files and lines that could not be used, and why.
    """

    task: str
    policy: CaptionPolicy = "none"
    item_ids: tuple[str, ...] = ()
    media_files: tuple[MediaFile, ...] = ()
    num_dropped: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[Quarantined, ...] = ()

    @property
    @abstractmethod
    def languages(self) -> Sequence[str]:
        """Ids of the languages that it can be measured in."""

    @abstractmethod
    def data_id(self, language: str) -> str:
        """Fingerprint of one language's texts and the items they are scored against."""

    @abstractmethod
    def _rows(self, keep: NDArray[np.bool_]) -> Mapping[str, Any]:
        """The fields that have a row an item, with those that are kept: bool (M,)."""

    def only(self, item_ids: Collection[str], *, reason: str) -> Self:
        """The task on the items that are at hand; the others are dropped and counted.

        Args:
            item_ids: What there is.
            reason: Why the others are not there, as `items_missing`.

        Raises:
            UnavailableError: Where too few are at hand to ask anything.
        """
        there = set(item_ids)
        keep = np.array([item_id in there for item_id in self.item_ids], bool)  # (M,)
        self._require(keep)
        return replace(
            self,
            item_ids=tuple(item_id for item_id in self.item_ids if item_id in there),
            media_files=tuple(file for file in self.media_files if file.id in there),
            num_dropped={**self.num_dropped, reason: int((~keep).sum())},
            **self._rows(keep),
        )

    def _require(self, keep: NDArray[np.bool_]) -> None:
        """Refuse a task without items."""
        if not keep.any():
            raise errors.UnavailableError(
                f"not one of the {len(keep)} items of {self.task} is at hand; "
                f"the first is {', '.join(self.item_ids[:1])}",
                hint="mend the paths in the data set; they are seen from its own folder"
                if self.media_files
                else "give the folder that holds files of those names: --images FOLDER",
            )
