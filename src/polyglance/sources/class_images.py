"""Which class does each picture belong to? By its folder, a table, or a file of numbers.

    labels.npy beside ids.txt    precomputed vectors: the class index of each id
    labels.tsv                   columns `image` and `class`: an index, or what a folder would say
    CLASS/picture.jpg            as torchvision's ImageFolder; a class may lie deeper (SUN397)
    *.bin                        CIFAR's and STL-10's own binary files, see `binary_images`

Legend: M content items, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, files
from polyglance.records import ImageFile
from polyglance.sources import binary_images
from polyglance.sources.captions import read_lines, read_table
from polyglance.sources.labels import class_name
from polyglance.sources.walking import find_images

# Keras' list of ImageNet's classes: {"0": ["n01440764", "tench"], ...}.
CLASS_INDEX = "imagenet_class_index.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassedImages:
    """Pictures, or ids of vectors, with what their classes are called.

    Attributes:
        ids: M ids.
        keys: M names of classes, as folders, a table or numbers give them.
        image_files: The pictures that are there; empty where there are only ids of vectors.
        folder: Where they were found.
    """

    ids: tuple[str, ...]
    keys: tuple[str, ...]
    image_files: tuple[ImageFile, ...]
    folder: Path


def read_classed_images(folder: Path) -> ClassedImages:
    """The pictures of a folder with their classes, in whichever of the forms it is.

    Args:
        folder: Of the pictures, or of the vectors.

    Raises:
        InputError: For a folder without any of the forms, or numbers that do not fit the ids.
    """
    folder = Path(folder)
    if (folder / "labels.npy").is_file():
        ids, keys = _numbered(folder)
        return ClassedImages(ids=ids, keys=keys, image_files=(), folder=folder)
    folder = binary_images.unpack(folder) or folder
    if (folder / "labels.tsv").is_file():
        rows = read_table(folder / "labels.tsv", ("image", "class"))
        listed = (ImageFile(image, folder / image) for image, _ in rows)
        return ClassedImages(
            ids=tuple(image for image, _ in rows),
            keys=tuple(key for _, key in rows),
            image_files=tuple(file for file in listed if file.path.is_file()),
            folder=folder,
        )
    found = find_images(folder)
    return ClassedImages(
        ids=tuple(image.id for image in found),
        keys=tuple(image.id.rpartition("/")[0] for image in found),
        image_files=tuple(found),
        folder=folder,
    )


def class_indices(found: ClassedImages, *, names: Sequence[str]) -> NDArray[np.int64]:
    """The class index of each item, from what its folder or its row calls the class.

    Keys are, in this order: numbers; English names of classes; WordNet ids of a Keras class list
    in the folder or above it; or exactly C folders, which then count in sorted order as in
    torchvision. Fewer folders than classes would be numbered wrongly that way, and are refused.

    Args:
        found: M items.
        names: English names of all C classes, by which folders may be called.

    Returns:
        Int64 (M,).

    Raises:
        InputError: For keys that are none of these.
    """
    distinct = sorted(set(found.keys))
    index_of = (
        _by_number(distinct, num_classes=len(names))
        or _by_name(distinct, names)
        or _by_class_list(distinct, found.folder)
        or (
            dict(zip(distinct, range(len(names)), strict=True))
            if _one_each(distinct, names)
            else None
        )
    )
    if index_of is None:
        shown = ", ".join(map(repr, distinct[:3]))
        raise errors.InputError(
            f"{found.folder}: its {len(distinct)} classes ({shown}, ...) cannot be numbered; "
            f"allowed are numbers from 0 to {len(names) - 1}, English names of the classes, or "
            f"one folder for each of the {len(names)} classes",
            hint=f"name the folders by class index, or put {CLASS_INDEX} into the folder",
        )
    return np.array([index_of[key] for key in found.keys], np.int64)


def _one_each(distinct: Sequence[str], names: Sequence[str]) -> bool:
    return len(distinct) == len(names) and "" not in distinct


def _by_number(distinct: Sequence[str], *, num_classes: int) -> dict[str, int] | None:
    if not all(key.isascii() and key.isdigit() and int(key) < num_classes for key in distinct):
        return None
    return {key: int(key) for key in distinct}


def _by_name(distinct: Sequence[str], names: Iterable[str]) -> dict[str, int] | None:
    index_of: dict[str, int] = {}
    twice = set()
    for index, name in enumerate(names):
        folded = class_name(name).casefold()
        if folded in index_of:
            twice.add(folded)
        index_of[folded] = index
    folded_keys = {key: class_name(key).casefold() for key in distinct}
    if not all(name in index_of and name not in twice for name in folded_keys.values()):
        return None
    return {key: index_of[name] for key, name in folded_keys.items()}


def _by_class_list(distinct: Sequence[str], folder: Path) -> dict[str, int] | None:
    for path in (folder / CLASS_INDEX, folder.parent / CLASS_INDEX):
        if path.is_file():
            listed = {row[0]: int(index) for index, row in files.read_json(path).items()}
            return listed if all(key in listed for key in distinct) else None
    return None


def _numbered(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and numbers of `labels.npy` beside `ids.txt`."""
    numbers = np.load(folder / "labels.npy", allow_pickle=False)
    ids = tuple(read_lines(folder / "ids.txt"))
    if numbers.shape != (len(ids),) or numbers.dtype.kind not in "iu":
        raise errors.InputError(
            f"{folder}/labels.npy is {numbers.dtype} {numbers.shape} beside {len(ids)} ids; one "
            "whole number for each line of ids.txt is allowed",
            hint="save the class index of each id, in the same order",
        )
    return ids, tuple(map(str, numbers.tolist()))
