"""The result of a scan: the items, what is known of them, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polyglance.records import MediaFile, Quarantined
from polyglance.sources.patterns import Idle
from polyglance.sources.skipped import REASONS, Skipped
from polyglance.sources.webdataset import Remark

Describe = Callable[[MediaFile, Remark], Mapping[str, Any]]


def _nothing(file: MediaFile, remark: Remark) -> Mapping[str, Any]:
    del file, remark
    return {}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was found, and what is known of it.

    Attributes:
        root: The folder or file below which it lies.
        items: With distinct ids.
        describe: Caption and url of an item, where there are such; reads them when it is called,
            and makes a remark on what is damaged.
        set_aside: What could not be listed: a damaged tar, a row without its file.
        skipped: What was left out by a rule, and by which.
        unseen: Ids, or ids with a slash for all below them, that may be there still: nothing is
            concluded from their absence.
        num_tars: Tars that were looked into.
        idle: The patterns that left nothing out.
    """

    root: Path
    items: tuple[MediaFile, ...]
    describe: Describe = _nothing
    set_aside: tuple[Quarantined, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    unseen: frozenset[str] = frozenset()
    num_tars: int = 0
    idle: tuple[Idle, ...] = ()

    def may_be_there(self, identity: str) -> bool:
        """Whether an id that was not found is among the `unseen`."""
        return _is_among(identity, self.unseen)

    def is_left_out(self, identity: str) -> bool:
        """Whether an id that was not found is there, and was left out by choice."""
        return _is_among(identity, self._by_choice)

    @cached_property
    def _by_choice(self) -> frozenset[str]:
        return frozenset(one.id for one in self.skipped if REASONS[one.why].by_choice)


def _is_among(identity: str, names: Collection[str]) -> bool:
    """Whether an id or one of the folders that it lies in is among the names."""
    if identity in names:
        return True
    at = identity.find("/")
    while at >= 0:
        if identity[: at + 1] in names:
            return True
        at = identity.find("/", at + 1)
    return False
