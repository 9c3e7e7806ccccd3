"""The cache of items: one store a tower, so that an item is encoded once for every task.

Legend: N items, D width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyglance.encoding import media, runs
from polyglance.records import MediaFile, Output, Quarantined
from polyglance.storage import digests, locations
from polyglance.towers import Tower
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedItems:
    """The vectors of items that can be read.

    Attributes:
        ids: N, as they were given, in that order.
        vectors: Float32 (N, D), raw, as the tower gave them.
        keys: Content keys, N.
        quarantined: The items that cannot be read, and why.
    """

    ids: list[str]
    vectors: Vectors
    keys: list[str]
    quarantined: tuple[Quarantined, ...]


class MediaCache:
    """A folder with a store of vectors for each tower.

    Rows are known by the place of the file, under which it is not opened again while its size and
    time stay, and by content: what another data set holds as well is not encoded again.

    Args:
        folder: Where; None for the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = locations.cache_folder() / "items" if folder is None else Path(folder)

    def encode(
        self, items: Sequence[MediaFile], tower: Tower, *, output: Output = "embedding"
    ) -> EncodedItems:
        """Encode what is not known yet, and give the vectors of all; resumes.

        Args:
            items: Files with distinct ids.
            tower: An item tower.
            output: What is asked of it.

        Raises:
            StoreError: Another process has been writing for long.
            DiskFullError: No room; what was appended stays.
        """
        kind = [] if output == "embedding" else [output]
        name = digests.of_parts([tower.fingerprint, *kind], num_bytes=12)
        store = media.open_media_store(self.folder / name, tower, output=output)
        placed = {item.id: _place(item) for item in items}
        first = {placed[item.id]: item for item in reversed(items)}
        report = media.embed_media(
            [replace(item, id=place) for place, item in first.items()],
            tower,
            store=store,
            wait_seconds=runs.cache_wait_seconds(),
        )
        why = {one.id: one.reason for one in report.quarantined}
        ids = [item.id for item in items if placed[item.id] not in why]
        places = [placed[identity] for identity in ids]
        return EncodedItems(
            ids=ids,
            vectors=store.vectors(places),
            keys=store.keys(places),
            quarantined=tuple(
                # Said of the place, which may lie in the cache; the user knows the id.
                Quarantined(item.id, why[placed[item.id]].replace(placed[item.id], item.id))
                for item in items
                if placed[item.id] in why
            ),
        )


def _place(item: MediaFile) -> str:
    """The full path of a file; of a member of a tar with where it begins."""
    path = os.path.abspath(item.path)
    return path if item.span is None else f"{path}#{item.span[0]}"
