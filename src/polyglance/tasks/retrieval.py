"""Data of retrieval tasks: texts and content items, and which belong to which split.

Legend: M content items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics.relevance import CAPTION_POLICIES
from polyglance.records import Caption
from polyglance.results.schema import CaptionPolicy
from polyglance.storage import digests
from polyglance.tasks.items import ItemData

Metric = Literal["hit_rate", "mean_reciprocal_rank", "average_recall"]
Candidates = Literal["all", "captioned"]


def policy_of(name: str) -> CaptionPolicy:
    """Which captions ask and are found, by its name: a protocol that papers use.

    Raises:
        UnknownNameError: For a policy that does not exist.
    """
    for policy in CAPTION_POLICIES:
        if policy == name:
            return policy
    raise errors.unknown_name("caption policy", name, allowed=CAPTION_POLICIES)


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievalData(ItemData):
    """A retrieval task with its data at hand.

    Attributes:
        captions: By language.
        splits: By name, which content items (bool (M,)) ask and are asked for. All content items
            and all captions are candidates in every split.
        metric: What the data set's papers report, as in the table of tasks.
        candidates: What is searched in: all content items, so that languages compare; or those
            that are captioned in the language asked, where languages have content of their own.
    """

    captions: Mapping[str, Sequence[Caption]]
    splits: Mapping[str, NDArray[np.bool_]]
    metric: Metric = "hit_rate"
    candidates: Candidates = "all"

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages it has captions in."""
        return tuple(self.captions)

    def asked_with(self, policy: str) -> RetrievalData:
        """The task, asked with other captions of the same images.

        Raises:
            UnknownNameError: For a policy that does not exist.
        """
        return replace(self, policy=policy_of(policy))

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

    def _rows(self, keep: NDArray[np.bool_]) -> Mapping[str, Any]:
        return {"splits": {name: members[keep] for name, members in self.splits.items()}}
