"""Removal policy: which rows leave an index when their files are gone.

A file that is gone may have been moved, left out by choice, deleted, or lie on a disk that is not
mounted; and so may a vector that was given, when its files do not hold it any more. Vectors cost
hours, so what is absent is not taken for deleted: rows of a folder that is gone or empty stay, and
all stay where more than a share of them would go, until `forget` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from polyglance import errors
from polyglance.search.scan_result import Gathered
from polyglance.sources.walking import why_by_name
from polyglance.storage.store import Store

MOST_REMOVED = 0.2


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What may leave.

    Attributes:
        keep_missing: Whether every row stays whose file is gone.
        forget: Whether every row leaves whose file is gone, however many there are.
        max_removed: Above this share of the rows, 0 to 1, none leaves without `forget`. A single
            row always may.

    Raises:
        ConfigError: Both, or a share that is none.
    """

    keep_missing: bool = False
    forget: bool = False
    max_removed: float = MOST_REMOVED

    def __post_init__(self) -> None:
        if self.keep_missing and self.forget:
            raise errors.ConfigError(
                "rows of missing files are to be kept and forgotten",
                hint="give one of the two",
            )
        if not 0 <= self.max_removed <= 1:
            raise errors.ConfigError(
                f"the share {self.max_removed}; a number from 0 to 1 is allowed",
                hint="0.2 is a fifth of the rows",
            )


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What becomes of the rows whose file was not found.

    Attributes:
        moved: Old id to the new one, of content that came under another name in this run.
        left_out: Ids of those that are there and are left out by choice now; they leave.
        removed: Ids of those that leave since their file is gone.
        missing: Ids of those that stay, as was asked for.
        absent: Ids of those that stay since their folder is gone or empty, or they are too many.
    """

    moved: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def going(self) -> list[str]:
        """Ids of all that leave."""
        return [*self.moved, *self.left_out, *self.removed]


def decide(
    store: Store,
    before: Mapping[str, Sequence[str]],
    *,
    found: Gathered,
    present: Collection[str],
    policy: Policy,
) -> Leaving:
    """What becomes of the rows whose file was not found; nothing is changed.

    Args:
        store: After what was found was embedded.
        before: Ids, keys and paths of its rows before that.
        found: What is there.
        present: The ids of that.
        policy: What may leave.
    """

    def is_gone(identity: str, path: str) -> bool:
        there = identity in present or found.may_be_there(identity)
        return bool(path) and not there

    is_absent = cache(_is_absent)
    return _decided(
        store,
        before,
        is_gone=is_gone,
        is_left_out=found.is_left_out,
        is_absent=lambda path: is_absent(os.path.dirname(path)),
        policy=policy,
    )


def decide_vectors(
    store: Store,
    before: Mapping[str, Sequence[str]],
    *,
    present: Collection[str],
    policy: Policy,
) -> Leaving:
    """As `decide`, of the rows of vectors that were given: those whose id the source lacks.

    Args:
        store: After what was found was appended.
        before: Ids, keys and paths of its rows before that.
        present: The ids that the source holds, whether their vectors can be used or not.
        policy: What may leave.
    """
    return _decided(
        store,
        before,
        is_gone=lambda identity, path: not path and identity not in present,
        is_left_out=lambda identity: False,
        is_absent=lambda path: False,
        policy=policy,
    )


def _decided(
    store: Store,
    before: Mapping[str, Sequence[str]],
    *,
    is_gone: Callable[[str, str], bool],
    is_left_out: Callable[[str], bool],
    is_absent: Callable[[str], bool],
    policy: Policy,
) -> Leaving:
    """What becomes of the rows that are gone.

    Args:
        store: After what was found came into it.
        before: Ids, keys and paths of its rows before that.
        is_gone: Whether the row of an id and path is.
        is_left_out: Whether what an id names is there and left out by choice.
        is_absent: Whether what lay at a path only looks gone, as on a disk that is not mounted.
        policy: What may leave.
    """
    gone = {
        identity: (key, path)
        for identity, key, path in zip(before["id"], before["key"], before["path"], strict=True)
        if is_gone(identity, path)
    }
    if not gone:
        return Leaving(moved={})
    moved = _moved(store, gone, known=set(before["id"]))
    rest = [identity for identity in gone if identity not in moved]
    left_out = tuple(identity for identity in rest if is_left_out(identity))
    missing = [identity for identity in rest if not is_left_out(identity)]
    if policy.keep_missing:
        return Leaving(moved=moved, left_out=left_out, missing=tuple(missing))
    if policy.forget:
        return Leaving(moved=moved, left_out=left_out, removed=tuple(missing))
    absent = [identity for identity in missing if is_absent(gone[identity][1])]
    removed = [identity for identity in missing if not is_absent(gone[identity][1])]
    if len(removed) > 1 and len(removed) > policy.max_removed * len(before["id"]):
        absent, removed = missing, []
    return Leaving(moved=moved, left_out=left_out, removed=tuple(removed), absent=tuple(absent))


def _moved(
    store: Store, gone: Mapping[str, tuple[str, str]], *, known: Collection[str]
) -> dict[str, str]:
    """Of the rows that are gone, those whose content came under another id in this run."""
    table = store.columns(["id", "key"])
    arrived: dict[str, list[str]] = {}
    for identity, key in zip(table["id"], table["key"], strict=True):
        if identity not in known:
            arrived.setdefault(key, []).append(identity)
    return {old: arrived[key].pop(0) for old, (key, _) in gone.items() if arrived.get(key)}


def _is_absent(folder: str) -> bool:
    """Whether a folder is gone, empty, or cannot be listed: as one whose disk is not mounted.

    What a system keeps in a mount point does not count.
    """
    try:
        with os.scandir(folder) as entries:
            return all(why_by_name(one.name, is_folder=one.is_dir()) for one in entries)
    except OSError:
        return True
