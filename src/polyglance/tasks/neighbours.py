"""Data of nearest-neighbour tasks: items that look for items of their own class.

ETCL, appendix A.2: each validation image of ImageNet takes the class of its nearest training
image. No text takes part; results stand under English because every result names a language.

Legend: M content items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Modality
from polyglance.sources import class_images
from polyglance.sources.formats import FORMATS
from polyglance.storage import digests
from polyglance.tasks.items import ItemData

TRAIN, VALIDATION = "train/", "val/"


@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbourData(ItemData):
    """Items with classes, of which some ask and the others are found.

    Attributes:
        item_ids: M ids, in the order of the content vectors; empty until `with_items`. Those
            that begin with `val/` ask, those that begin with `train/` are found.
        classes: Int64 (M,), equal for items of one class.
    """

    classes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
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
        found = class_images.read_classed_images(folder, modality)
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

    def _rows(self, keep: NDArray[np.bool_]) -> Mapping[str, Any]:
        return {"classes": self.classes[keep]}

    def _require(self, keep: NDArray[np.bool_]) -> None:
        if not (keep & self.asking).any() or not (keep & ~self.asking).any():
            raise errors.UnavailableError(
                f"{self.task} has no item at hand that asks, or none to be found",
                hint="give the folder that holds train/ and val/: --images FOLDER",
            )


def load_imagenet_neighbours(folder: Path | None, languages: list[str] | None) -> NeighbourData:
    """ImageNet's images among themselves; there are no text files to read.

    Args:
        folder: Not looked at.
        languages: Not looked at.
    """
    del folder, languages
    return NeighbourData(task="imagenet-neighbours")
