"""Stores that an encoding run fills: whose they are, what was added, what was set aside."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from polyglance import errors, progress
from polyglance.records import Output, Quarantined
from polyglance.storage import atomic, launched
from polyglance.storage.identity import StoreFacts
from polyglance.storage.store import Store
from polyglance.towers import Tower

QUARANTINE_NAME = "quarantine.jsonl"
# Fewer than this are done before a bar is read.
BAR_ROWS = 256
# Above this many pieces a table is compacted at the end; opening grows by about 0.1 ms a piece.
MAX_FRAGMENTS = 64
# How long a look-up waits for another process that fills the same cache; one that was started
# together with it needs the same vectors, and is given all the time it takes.
CACHE_WAIT_SECONDS = 120.0
TOGETHER_WAIT_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class EmbedReport:
    """What one run did.

    Attributes:
        new: Rows that were added, or replaced since their content had changed.
        known: Distinct items whose row was there already.
        quarantined: What was set aside, and why.
    """

    new: int
    known: int
    quarantined: tuple[Quarantined, ...] = ()


def cache_wait_seconds() -> float:
    """How long a look-up waits for whoever fills the cache."""
    return TOGETHER_WAIT_SECONDS if launched.num_processes() > 1 else CACHE_WAIT_SECONDS


def facts_of(tower: Tower, *, output: Output = "embedding", dim: int | None = None) -> StoreFacts:
    """The facts of a store of this tower's vectors.

    Args:
        tower: Who encodes.
        output: What is asked of it.
        dim: Width D; None for `tower.dim`, which is right for `embedding` only.

    Raises:
        ConfigError: `pre_projection` without a width.
    """
    if dim is None and output != "embedding":
        raise errors.ConfigError(
            f"the width of {output} is not the tower's {tower.dim}", hint="give dim as well"
        )
    return StoreFacts(
        modality=tower.modality,
        dim=tower.dim if dim is None else dim,
        fingerprint=tower.fingerprint,
        space_id=tower.space_id,
        output=output,
    )


def require_tower(store: Store, tower: Tower) -> None:
    """Refuse a store that another tower filled; its output is the store's own choice."""
    facts = facts_of(tower, dim=tower.dim)
    if store.facts.output != "embedding":
        facts = replace(facts, output=store.facts.output, dim=store.facts.dim)
    store.require(facts)


def read_quarantine(store: Store) -> list[Quarantined]:
    """What is set aside in a store's folder, as of the last run that tried it.

    A damaged line is passed over: the item that it names is tried again by the next run.
    """
    path = store.path / QUARANTINE_NAME
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            said = json.loads(line)
            found.append(Quarantined(id=str(said["id"]), reason=str(said["reason"])))
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
    return found


def set_aside(store: Store, found: Sequence[Quarantined], *, tried: Collection[str]) -> None:
    """Bring `quarantine.jsonl` up to date: an item that can be read now leaves it."""
    before = read_quarantine(store)
    gone = set(tried)
    after = [one for one in before if one.id not in gone] + list(found)
    if after != before:
        text = "".join(json.dumps(asdict(one), ensure_ascii=True) + "\n" for one in after)
        atomic.write_text(store.path / QUARANTINE_NAME, text)


def compact_if_scattered(store: Store) -> None:
    """Compact a table of many pieces, which is slow to open."""
    if store.num_fragments > MAX_FRAGMENTS:
        store.compact()


@contextmanager
def bar_of(label: str, *, total: int) -> Iterator[progress.Advance]:
    """A bar, where there is enough to do for one."""
    if total < BAR_ROWS:
        yield lambda count: None
        return
    with progress.bar(label, total=total) as advance:
        yield advance
