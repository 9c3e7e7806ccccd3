"""Data of retrieval tasks: texts and content items, and which belong to which split.

Legend: M content items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Caption, MediaFile, Quarantined
from polyglance.results.schema import CaptionPolicy
from polyglance.storage import digests
from polyglance.tasks.available import at_hand

Metric = Literal["hit_rate", "mean_reciprocal_rank", "average_recall"]
Candidates = Literal["all", "captioned"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievalData:
    """A retrieval task with its data at hand.

    Attributes:
        task: Name of the task.
        item_ids: M ids, in the order of the content vectors.
        captions: By language.
        policy: Which captions take part.
        splits: By name, which content items (bool (M,)) ask and are asked for. All content items
            and all captions are candidates in every split.
        metric: What the data set's papers report, as in the table of tasks.
        candidates: What is searched in: all content items, so that languages compare; or those
            that are captioned in the language asked, where languages have content of their own.
        media_files: Their files, where the task brings them; empty where the user does.
        num_dropped: What could not take part, by reason.
        set_aside: Files and lines that could not be used, and why.
    """

    task: str
    item_ids: tuple[str, ...]
    captions: Mapping[str, Sequence[Caption]]
    policy: CaptionPolicy
    splits: Mapping[str, NDArray[np.bool_]]
    metric: Metric = "hit_rate"
    candidates: Candidates = "all"
    media_files: tuple[MediaFile, ...] = ()
    num_dropped: Mapping[str, int] = field(default_factory=dict)
    set_aside: tuple[Quarantined, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages it has captions in."""
        return tuple(self.captions)

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's texts and the content items they are scored against."""
        rows = self.candidate_rows(language)
        ids = (f"{self.item_ids[row]}\0" for row in rows.tolist())
        said = (f"{caption.item_id}\0{caption.text}\0" for caption in self.captions[language])
        splits = [part for name, members in self.splits.items() for part in (name, members[rows])]
        return digests.of_parts(["".join(ids), "".join(said), *splits])

    def candidate_rows(self, language: str) -> NDArray[np.int64]:
        """Which content items are searched in for one language, (M,) or fewer, ascending."""
        if self.candidates == "all":
            return np.arange(len(self.item_ids))
        captioned = {caption.item_id for caption in self.captions[language]}
        return np.flatnonzero([item_id in captioned for item_id in self.item_ids])

    def only(self, item_ids: Sequence[str], *, reason: str) -> RetrievalData:
        """The task on the content items that are at hand; the others are dropped and counted.

        Args:
            item_ids: What there is.
            reason: Why the others are not there, as `items_missing`.

        Raises:
            UnavailableError: Where none is at hand.
        """
        left = at_hand(self, item_ids, reason=reason)
        keep = left.keep
        if not keep.any():
            raise errors.UnavailableError(
                f"not one of the {len(keep)} items of {self.task} is at hand; "
                f"the first is {self.item_ids[0]}",
                hint="give the folder that holds files of those names: --images FOLDER",
            )
        return replace(
            self,
            item_ids=left.item_ids,
            media_files=left.media_files,
            splits={name: members[keep] for name, members in self.splits.items()},
            num_dropped=left.num_dropped,
        )
