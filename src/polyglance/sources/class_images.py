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
from polyglance.sources.images import find_images
from polyglance.sources.labels import class_name

# Keras' list of ImageNet's classes: {"0": ["n01440764", "tench"], ...}.
CLASS_INDEX = "imagenet_class_index.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassedImages:
    """Pictures, or ids of vectors, with their classes.

    Attributes:
        ids: M ids.
        classes: Int64 (M,), from 0.
        image_files: The pictures; empty where there are only ids of vectors.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    image_files: tuple[ImageFile, ...]


def read_classed_images(folder: Path, *, names: Sequence[str]) -> ClassedImages:
    """The pictures of a folder with their classes, in whichever of the forms it is.

    Args:
        folder: Of the pictures, or of the vectors.
        names: English names of all C classes, by which folders may be called.

    Raises:
        UnavailableError: For a folder without any of the forms.
        InputError: For classes that cannot be numbered, or that do not fit the ids.
    """
    folder = Path(folder)
    if (folder / "labels.npy").is_file():
        return _numbered(folder, num_classes=len(names))
    binary = binary_images.unpack(folder)
    if binary is not None:
        folder = binary
    if (folder / "labels.tsv").is_file():
        rows = read_table(folder / "labels.tsv", ("image", "class"))
        there = {image: folder / image for image, _ in rows}
        listed = tuple(ImageFile(image, path) for image, path in there.items() if path.is_file())
        keys = [key for _, key in rows]
        return ClassedImages(
            ids=tuple(image for image, _ in rows),
            classes=class_indices(keys, names=names, folder=folder),
            image_files=listed,
        )
    found = find_images(folder)
    keys = [image.id.rpartition("/")[0] for image in found]
    return ClassedImages(
        ids=tuple(image.id for image in found),
        classes=class_indices(keys, names=names, folder=folder),
        image_files=tuple(found),
    )


def class_indices(keys: Sequence[str], *, names: Sequence[str], folder: Path) -> NDArray[np.int64]:
    """The class index of each item, from what its folder or its row calls the class.

    Keys are, in this order: numbers; English names of classes; WordNet ids of a Keras class list
    in the folder or above it; or exactly C folders, which then count in sorted order as in
    torchvision. Fewer folders than classes would be numbered wrongly that way, and are refused.

    Args:
        keys: M keys.
        names: English names of all C classes.
        folder: Where they were found.

    Returns:
        Int64 (M,).

    Raises:
        InputError: For keys that are none of these.
    """
    distinct = sorted(set(keys))
    index_of = (
        _by_number(distinct, num_classes=len(names))
        or _by_name(distinct, names)
        or _by_class_list(distinct, folder)
        or (
            dict(zip(distinct, range(len(names)), strict=True))
            if _one_each(distinct, names)
            else None
        )
    )
    if index_of is None:
        raise errors.InputError(
            f"{folder}: its {len(distinct)} classes ({', '.join(map(repr, distinct[:3]))}, ...) "
            f"cannot be numbered; allowed are numbers from 0 to {len(names) - 1}, English names "
            f"of the classes, or one folder for each of the {len(names)} classes",
            hint=f"name the folders by class index, or put {CLASS_INDEX} into the folder",
        )
    return np.array([index_of[key] for key in keys], np.int64)


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


def _numbered(folder: Path, *, num_classes: int) -> ClassedImages:
    """`labels.npy` beside `ids.txt`."""
    numbers = np.load(folder / "labels.npy", allow_pickle=False)
    ids = tuple(read_lines(folder / "ids.txt"))
    if numbers.shape != (len(ids),) or numbers.dtype.kind not in "iu":
        raise errors.InputError(
            f"{folder}/labels.npy is {numbers.dtype} {numbers.shape} beside {len(ids)} ids; one "
            "whole number for each line of ids.txt is allowed",
            hint="save the class index of each id, in the same order",
        )
    if len(ids) and not 0 <= numbers.min() <= numbers.max() < num_classes:
        raise errors.InputError(
            f"{folder}/labels.npy runs from {numbers.min()} to {numbers.max()}; classes count "
            f"from 0 to {num_classes - 1}",
            hint="number the classes in the order of the task",
        )
    return ClassedImages(ids=ids, classes=numbers.astype(np.int64), image_files=())
