"""The cache of images: one store a tower, so that an image is encoded once for every task.

Legend: N images, D width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyglance.encoding import embed
from polyglance.records import ImageFile, Quarantined
from polyglance.storage import digests, locations
from polyglance.towers import Tower
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedImages:
    """The vectors of images that can be read.

    Attributes:
        ids: N, as they were given, in that order.
        vectors: Float32 (N, D), raw, as the tower gave them.
        keys: Content keys, N.
        quarantined: The images that cannot be read, and why.
    """

    ids: list[str]
    vectors: Vectors
    keys: list[str]
    quarantined: tuple[Quarantined, ...]


class ImageCache:
    """A folder with a store of vectors for each tower.

    Rows are known by the place of the file, under which it is not opened again while its size and
    time stay, and by content: what another data set holds as well is not encoded again.

    Args:
        folder: Where; None for the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = locations.cache_folder() / "images" if folder is None else Path(folder)

    def encode(self, images: Sequence[ImageFile], tower: Tower) -> EncodedImages:
        """Encode what is not known yet, and give the vectors of all; resumes.

        Args:
            images: Files with distinct ids.
            tower: An image tower; what is asked of it is its embedding.

        Raises:
            StoreError: Another process has been writing for long.
            DiskFullError: No room; what was appended stays.
        """
        name = digests.of_parts([tower.fingerprint], num_bytes=12)
        store = embed.open_image_store(self.folder / name, tower)
        placed = {image.id: _place(image) for image in images}
        first = {placed[image.id]: image for image in reversed(images)}
        report = embed.embed_images(
            [replace(image, id=place) for place, image in first.items()],
            tower,
            store=store,
            wait_seconds=embed.CACHE_WAIT_SECONDS,
        )
        why = {one.id: one.reason for one in report.quarantined}
        ids = [image.id for image in images if placed[image.id] not in why]
        places = [placed[identity] for identity in ids]
        return EncodedImages(
            ids=ids,
            vectors=store.vectors(places),
            keys=store.keys(places),
            quarantined=tuple(
                Quarantined(image.id, why[placed[image.id]])
                for image in images
                if placed[image.id] in why
            ),
        )


def _place(image: ImageFile) -> str:
    """The full path of a file; of a member of a tar with where it begins."""
    path = os.path.abspath(image.path)
    return path if image.span is None else f"{path}#{image.span[0]}"
