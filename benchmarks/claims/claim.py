"""What a row of the claims is: what a paper says, what is compared on which data, what decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.claims.verdicts import Direction

TO_CONTENT, TO_TEXT = ("text_to_content",), ("content_to_text",)
BOTH_WAYS = ("text_to_content", "content_to_text")


@dataclass(frozen=True, kw_only=True)
class DataSplit:
    """Where a claim is checked: a world and one split of its test."""

    world: str
    split: str


DATA: Mapping[str, DataSplit] = MappingProxyType(
    {
        "pictograms, seen": DataSplit(world="pictograms", split="seen"),
        "pictograms, held out": DataSplit(world="pictograms", split="held_out"),
        "photos": DataSplit(world="photos", split="dev and test"),
        "photos, test": DataSplit(world="photos", split="test"),
        "captions": DataSplit(world="captions", split="test"),
        "published": DataSplit(world="published", split="published"),
    }
)
PICTOGRAMS = ("pictograms, seen", "pictograms, held out")
OURS = (*PICTOGRAMS, "photos")
# Where no picture is needed.
TEXT = (*OURS, "captions")
ALL = (*TEXT, "published")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A row: what a paper claims, what is compared, and what decides.

    Attributes:
        id: As in METHODS, a letter a statement.
        paper: A row of `arms.PAPERS`.
        says: What is claimed, in our words.
        source: Section or table.
        arms: What is compared, in the order that `combination` takes them.
        groups: Languages of each arm, by their group; one counts for all.
        directions: Of retrieval.
        combination: A row of `verdicts.COMBINATIONS`.
        direction: What the claim says of the effect.
        margin: In points.
        level_group: Languages in which the first arm must find something, for a claim that a
            difference is small; empty for those that are compared, and their best arm.
        data: Where it is checked, rows of `DATA`.
        remark: What a reader must know of the check.
        would_decide: The data that would decide it where what is at hand cannot.
        impossible: Why nothing can be checked here; empty where something can.
    """

    id: str
    paper: str
    says: str
    source: str
    arms: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("others",)
    directions: tuple[str, ...] = TO_CONTENT
    combination: str = "difference"
    direction: Direction = "above"
    margin: float = 0.0
    level_group: str = ""
    data: tuple[str, ...] = OURS
    remark: str = ""
    would_decide: str = "more pictures and more seeds would narrow the interval"
    impossible: str = ""

    def group_of(self, place: int) -> str:
        """The group of languages of the arm at a place."""
        return self.groups[place] if len(self.groups) > 1 else self.groups[0]
