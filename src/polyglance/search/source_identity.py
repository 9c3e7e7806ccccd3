"""The source of an index: one alone, followed where it was moved, never exchanged.

One index a folder, and one kind of rows: items that were encoded, or vectors that were given.
Another source is refused while the index's own is there. Where that is gone, the new place must
hold a share of the index's rows: one shared item does not make two folders the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from polyglance import errors, progress
from polyglance.records import Modality
from polyglance.search import relocation
from polyglance.sources.formats import FORMATS
from polyglance.storage.store import Store

# So many of an index's rows, 0 to 1, must be found in another place that is taken for its own.
LEAST_FOUND = 0.5

Kind = Literal["items", "vectors"]
# Behind a vector that was given there is no file.
_ROWS: Mapping[Kind, str] = {"items": "path != ''", "vectors": "path = ''"}
_OTHER: Mapping[Kind, Kind] = {"items": "vectors", "vectors": "items"}


def name_of(kind: Kind, modality: Modality) -> str:
    """What the rows of an index are called: images, sounds, or vectors."""
    return kind if kind == "vectors" else f"{FORMATS[modality].noun}s"


def require_own(
    store: Store, place: str, *, kind: Kind, count_in: Callable[[Mapping[str, int]], int]
) -> None:
    """Refuse another source than an index's own; one that was moved holds its rows still.

    Args:
        store: The index's.
        place: The source that is given, by its real path.
        kind: What it holds.
        count_in: Of rows, by id and size in bytes, how many the source holds.

    Raises:
        StoreError: The index is of another source or kind, or is no index.
    """
    relocation.require_index(store)
    other = str(store.extra_facts.get(relocation.FOLDER, place))
    if other != place and os.path.exists(other):
        raise errors.StoreError(
            f"the index {store.path} is of {other}; {place} was given",
            hint="one index a folder: give another --out",
        )
    if count := store.table.count_rows(_ROWS[_OTHER[kind]]):
        given, there = (name_of(one, store.facts.modality) for one in (kind, _OTHER[kind]))
        raise errors.StoreError(
            f"the index {store.path} holds {count:,} rows of {there}; {place} holds {given}",
            hint="one index a folder, and one kind of rows: give another --out",
        )
    if other != place:
        _require_moved(store, other, place=place, kind=kind, count_in=count_in)


def _require_moved(
    store: Store,
    other: str,
    *,
    place: str,
    kind: Kind,
    count_in: Callable[[Mapping[str, int]], int],
) -> None:
    """Refuse what is not an index's own source in another place."""
    table = store.columns(["id", "size"])
    sizes = dict(zip(table["id"], table["size"], strict=True))
    found, noun = count_in(sizes), name_of(kind, store.facts.modality)
    if found < LEAST_FOUND * len(sizes):
        raise errors.StoreError(
            f"the index {store.path} is of {other}, which is not there; {found:,} of its "
            f"{len(sizes):,} {noun} are in {place}, and at least {LEAST_FOUND:.0%} must be",
            hint=f"give another --out for {place}; or have {other} there (is a disk not mounted?)",
        )
    progress.say(
        f"{other} is not there any more; {found:,} of {len(sizes):,} {noun} of the index are in "
        f"{place}: it is followed there"
    )


def identity_of(source: Path) -> os.stat_result | None:
    """Which file or folder a source is, for `require_unchanged`."""
    try:
        return os.stat(source)
    except OSError:
        return None


def require_unchanged(source: Path, before: os.stat_result | None) -> None:
    """Conclude nothing from rows that are gone if their source is gone, or another.

    Raises:
        InputError: It went away while it was read.
    """
    try:
        same = before is not None and os.path.samestat(before, os.stat(source))
        if same and source.is_dir():
            os.listdir(source)
    except OSError:
        same = False
    if not same:
        raise errors.InputError(
            f"{source} went away while it was indexed; no row was removed",
            hint="run this again when it is there",
        )
