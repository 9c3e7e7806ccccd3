"""Data of nearest-neighbour tasks: items that look for items of their own class.

ETCL, appendix A.2: each validation image of ImageNet takes the class of its nearest training
image. No text takes part; results stand under English because every result names a language.

Legend: M content items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import MediaFile, Modality, Quarantined
from polyglance.results.schema import CaptionPolicy
from polyglance.sources import classed_items
from polyglance.sources.formats import FORMATS
from polyglance.storage import digests
from polyglance.tasks.available import at_hand

TRAIN, VALIDATION = "train/", "val/"


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbourData:
    """Items with classes, of which some ask and the others are found.

    Attributes:
        task: Name of the task.
        item_ids: M ids, in the order of the content vectors; empty until `with_items`. Those
            that begin with `val/` ask, those that begin with `train/` are found.
        classes: Int64 (M,), equal for items of one class.
        media_files: Their files.
        num_dropped: What could not take part, by reason.
        set_aside: Files and lines that could not be used, and why.
        policy: There are no captions.
    """

    task: str
    item_ids: tuple[str, ...] = ()
    classes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    media_files: tuple[MediaFile, ...] = ()
    num_dropped: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[Quarantined, ...] = ()
    policy: CaptionPolicy = "none"
    languages: tuple[str, ...] = (ENGLISH,)

    @property
    def asking(self) -> NDArray[np.bool_]:
        """Bool (M,), which items ask."""
        return np.array([name.startswith(VALIDATION) for name in self.item_ids], bool)

    def with_items(self, folder: Path | None, modality: Modality) -> NeighbourData:
        """The task on the items, or precomputed vectors, of a folder that says their classes.

        Args:
            modality: What they are.
            folder: Holds `train/CLASS/...` and `val/CLASS/...`, or ids that begin so; None where
                none was given.

        Raises:
            UnavailableError: Without a folder.
            InputError: For ids that are of neither part, or where one part is empty.
        """
        if self.item_ids:
            return self
        if folder is None:
            raise errors.UnavailableError(
                f"{self.task} does not bring its {FORMATS[modality].noun}s",
                hint="give the folder that holds train/ and val/: --images FOLDER",
            )
        found = classed_items.read_classed_items(folder, modality)
        keys = [key.removeprefix(TRAIN).removeprefix(VALIDATION) for key in found.keys]
        parts = {name.partition("/")[0] + "/" for name in found.ids}
        if parts != {TRAIN, VALIDATION}:
            raise errors.InputError(
                f"{folder} holds {', '.join(sorted(parts)[:5])}; items in train/ and in val/, "
                "and no others, are allowed",
                hint="give the folder above train and val",
            )
        return replace(
            self,
            item_ids=found.ids,
            classes=np.unique(keys, return_inverse=True)[1].astype(np.int64),
            media_files=found.media_files,
        )

    def data_id(self, language: str) -> str:
        """Fingerprint of the content items and their classes."""
        del language
        return digests.of_parts([*(f"{name}\0" for name in self.item_ids), self.classes])

    def only(self, item_ids: Sequence[str], *, reason: str) -> NeighbourData:
        """The task on the content items that are at hand; the others are dropped and counted.

        Args:
            item_ids: What there is.
            reason: Why the others are not there, as `items_missing`.

        Raises:
            UnavailableError: Where either part has nothing at hand.
        """
        left = at_hand(self, item_ids, reason=reason)
        keep = left.keep
        if not (keep & self.asking).any() or not (keep & ~self.asking).any():
            raise errors.UnavailableError(
                f"{self.task} has no item at hand that asks, or none to be found",
                hint="give the folder that holds train/ and val/: --images FOLDER",
            )
        return replace(
            self,
            item_ids=left.item_ids,
            classes=self.classes[keep],
            media_files=left.media_files,
            num_dropped=left.num_dropped,
        )


def load_imagenet_neighbours(folder: Path | None, languages: list[str] | None) -> NeighbourData:
    """ImageNet's images among themselves; there are no text files to read.

    Args:
        folder: Not looked at.
        languages: Not looked at.
    """
    del folder, languages
    return NeighbourData(task="imagenet-neighbours")
