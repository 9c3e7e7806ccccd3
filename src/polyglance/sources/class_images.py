"""Readers of classed items: by folder, by a table, or by a file of numbers.

    labels.npy beside ids.txt    precomputed vectors: the class index of each id
    labels.tsv                   columns `image` or `audio`, and `class`: index or folder name
    CLASS/FILE                   as torchvision's ImageFolder; a class may lie deeper (SUN397)
    *.bin                        CIFAR's and STL-10's own binary files, see `binary_images`

Legend: M content items, C classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import MediaFile, Modality, Quarantined
from polyglance.sources import binary_images
from polyglance.sources.labels import class_name
from polyglance.sources.skipped import LINKS, REASONS
from polyglance.sources.text_lines import read_json, read_lines, read_table
from polyglance.sources.walking import find_and_survey

# Keras' list of ImageNet's classes: {"0": ["n01440764", "tench"], ...}.
CLASS_INDEX = "imagenet_class_index.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassedImages:
    """Items, or ids of vectors, with what their classes are called.

    Attributes:
        ids: M ids.
        keys: M names of classes, as folders, a table or numbers give them.
        media_files: The items that are there; empty where there are only ids of vectors.
        folder: Where they were found.
        links: Linked folders and files of it that were not followed, and why.
    """

    ids: tuple[str, ...]
    keys: tuple[str, ...]
    media_files: tuple[MediaFile, ...]
    folder: Path
    links: tuple[Quarantined, ...] = ()


def read_classed_images(folder: Path, modality: Modality = "image") -> ClassedImages:
    """The items of a folder with their classes, in whichever of the forms it is.

    Args:
        folder: Of the items, or of the vectors.
        modality: What they are.

    Raises:
        InputError: For a folder without any of the forms, or numbers that do not fit the ids.
    """
    folder = Path(folder)
    if (folder / "labels.npy").is_file():
        ids, keys = _numbered(folder)
        return ClassedImages(ids=ids, keys=keys, media_files=(), folder=folder)
    if modality == "image":
        folder = binary_images.unpack(folder) or folder
    if (folder / "labels.tsv").is_file():
        rows = read_table(folder / "labels.tsv", (modality, "class"))
        class_of = _one_class_each(rows, path=folder / "labels.tsv")
        listed = (MediaFile(item, folder / item, modality=modality) for item in class_of)
        return ClassedImages(
            ids=tuple(class_of),
            keys=tuple(class_of.values()),
            media_files=tuple(file for file in listed if file.path.is_file()),
            folder=folder,
        )
    found, left_out = find_and_survey(folder, modality)
    return ClassedImages(
        ids=tuple(item.id for item in found),
        keys=tuple(item.id.rpartition("/")[0] for item in found),
        media_files=tuple(found),
        folder=folder,
        links=tuple(
            Quarantined(one.id, REASONS[one.why].one) for one in left_out if one.why in LINKS
        ),
    )


def _one_class_each(rows: Sequence[tuple[str, ...]], *, path: Path) -> dict[str, str]:
    """The class of each item; one that is named twice is one, and of two classes refused."""
    class_of: dict[str, str] = {}
    for number, (item, key) in enumerate(rows, 2):
        if class_of.setdefault(item, key) != key:
            raise errors.InputError(
                f"{path}, line {number}: {item!r} is of the class {key!r}, and of "
                f"{class_of[item]!r} before",
                hint="keep one line for each image",
            )
    return class_of


def class_indices(found: ClassedImages, *, names: Sequence[str]) -> NDArray[np.int64]:
    """The class index of each item, from what its folder or its row calls the class.

    Keys are, in this order: numbers from 0 to C - 1, or all of 1 to C; English names of classes;
    WordNet ids of a Keras class list in the folder or above it; or exactly C folders, which then
    count in sorted order as in torchvision. Fewer folders than classes would be numbered wrongly
    that way, and so would numbers in names (`class10` before `class2`): both are refused.

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
            f"allowed are numbers from 0 to {len(names) - 1} or all of 1 to {len(names)}, English "
            f"names of the classes, or one folder for each of the {len(names)} classes, whose "
            "order as text is that of the numbers in them",
            hint=f"name the folders by class index, or put {CLASS_INDEX} into the folder",
        )
    return np.array([index_of[key] for key in found.keys], np.int64)


def _one_each(distinct: Sequence[str], names: Sequence[str]) -> bool:
    """Whether folders in the order of their names are the classes in their order."""
    return (
        len(distinct) == len(names)
        and "" not in distinct
        and list(distinct) == sorted(distinct, key=_numbers_by_value)
    )


def _numbers_by_value(key: str) -> list[tuple[int, str]]:
    """A name so that its numbers compare by value.

    >>> sorted(["class10", "class2"], key=_numbers_by_value)
    ['class2', 'class10']
    """
    pieces = re.split(r"(\d+)", key)
    # Letters stand at even places and numbers at odd ones.
    return [(int(piece), "") if at % 2 else (0, piece) for at, piece in enumerate(pieces)]


def _by_number(distinct: Sequence[str], *, num_classes: int) -> dict[str, int] | None:
    if not all(key.isascii() and key.isdigit() for key in distinct):
        return None
    numbers = {key: int(key) for key in distinct}
    if max(numbers.values(), default=0) < num_classes:
        return numbers
    # Counted from 1: told from a wrong number only where every class is there.
    if set(numbers.values()) == set(range(1, num_classes + 1)):
        return {key: number - 1 for key, number in numbers.items()}
    return None


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
            found = read_json(path)
            try:
                listed = {row[0]: int(index) for index, row in found.items()}
            except (AttributeError, TypeError, ValueError, IndexError, KeyError) as error:
                raise errors.InputError(
                    f'{path} is no class list of Keras: {{"0": ["n01440764", "tench"], ...}}',
                    hint="fetch the file again, or delete it",
                ) from error
            return listed if all(key in listed for key in distinct) else None
    return None


def _numbered(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and numbers of `labels.npy` beside `ids.txt`."""
    try:
        numbers = np.load(folder / "labels.npy", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise errors.InputError(
            f"{folder}/labels.npy cannot be read: {errors.first_line(error)}",
            hint="save the class index of each id again: numpy.save",
        ) from error
    ids = tuple(read_lines(folder / "ids.txt"))
    if numbers.shape != (len(ids),) or numbers.dtype.kind not in "iu":
        raise errors.InputError(
            f"{folder}/labels.npy is {numbers.dtype} {numbers.shape} beside {len(ids)} ids; one "
            "whole number for each line of ids.txt is allowed",
            hint="save the class index of each id, in the same order",
        )
    return ids, tuple(map(str, numbers.tolist()))
