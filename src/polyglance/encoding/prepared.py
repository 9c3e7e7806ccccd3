"""What a learning image tower reads, prepared once and kept on disk: pixels, or feature maps.

A file an image, named by the content key: what is there is never decoded again, in whatever data
set the image lies, and a stopped run goes on where it was. Training reads a batch at a time.

Legend: C channels, H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.encoding.reading import read_ahead
from polyglance.encoding.runs import bar_of
from polyglance.records import MediaFile
from polyglance.storage import atomic, digests, locations

# uint8 (H, W, 3), or float16 (C, H, W).
Array = NDArray[Any]
Kind = Literal["pixels", "feature maps"]
NUM_THREADS = 2


class PreparedImages(Mapping[str, Array]):
    """Arrays by image id, read from disk when they are asked for; made by `prepare`.

    Args:
        folder: Where they lie.
        keys: By id the content key.
        kind: Of the arrays.
    """

    def __init__(self, folder: Path, keys: Mapping[str, str], *, kind: Kind = "pixels") -> None:
        self._folder, self._keys, self._kind = folder, keys, kind

    def __getitem__(self, image_id: str) -> Array:
        place = place_of(self._folder, self._keys[image_id])
        try:
            found: Array = np.load(place, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise errors.StoreError(
                f"the prepared {self._kind} of {image_id} cannot be read "
                f"({errors.first_line(error)})",
                hint=f"delete {place} and run the same command again",
            ) from error
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def place_of(folder: Path, key: str) -> Path:
    """The file of a content key."""
    return folder / key[:2] / f"{key}.npy"


def prepare(
    files: Mapping[str, MediaFile],
    make: Callable[[Any], Array],
    *,
    name: str,
    kind: Kind = "pixels",
    known_keys: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> PreparedImages:
    """Prepare the images that are not there yet, and give them all.

    Args:
        files: By image id where it lies.
        make: A decoded image to its array; threads run it.
        name: Of what `make` does: tower, size.
        kind: Of the arrays.
        known_keys: By id, content keys that are known; a file whose array is there is not opened.
        folder: Where; None for the user's cache.

    Raises:
        InputError: Where an image cannot be read.
        DiskFullError: No room; what was prepared stays.
    """
    place = locations.cache_folder() / kind.replace(" ", "-") if folder is None else folder
    place = place / digests.of_parts([name], num_bytes=12)
    keys = {each: key for each, key in (known_keys or {}).items() if each in files}
    wanted = [
        file
        for image_id, file in files.items()
        if image_id not in keys or not place_of(place, keys[image_id]).is_file()
    ]
    id_of = {id(file): image_id for image_id, file in files.items()}
    damaged: dict[str, str] = {}
    # A file whose key nobody gave is read for it; what is there under that key is not made again.
    there = {found.stem for found in place.glob("*/*.npy")} if wanted else set()
    ahead = read_ahead(wanted, preprocess=make, known_keys=there, num_threads=NUM_THREADS)
    with bar_of(kind, total=len(wanted)) as advance, closing(ahead):
        for read in ahead:
            image_id = id_of[id(read.file)]
            if read.reason is not None:
                damaged[image_id] = read.reason
            else:
                keys[image_id] = read.key
                if read.key not in there:
                    _write(place_of(place, read.key), read.item)
            advance(1)
    if damaged:
        first, reason = next(iter(damaged.items()))
        raise errors.InputError(
            f"{len(damaged)} of {len(files)} images cannot be read, first {first}: {reason}",
            hint="put them back, or leave their captions out",
        )
    return PreparedImages(place, keys, kind=kind)


def _write(place: Path, array: Array) -> None:
    if not place.is_file():
        held = io.BytesIO()
        np.save(held, array, allow_pickle=False)
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(place, held.getvalue())
