"""Captions of Multi30K, a line a photo: one caption (task 1), or five (task 2).

The form of task 2 is built from the names of the release's files and was not tried on them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Caption
from polyglance.sources.captions import _file_of_language, find_files, read_caption_lines
from polyglance.sources.text_lines import SetAside
from polyglance.sources.text_lines import read_lines as read_lines
from polyglance.sources.text_lines import read_table as read_table

FIVE, TEST_OF_TASK1, TEST_OF_TASK2 = range(1, 6), "test_2016_flickr", "test_2016"
LISTS_OF_TASK2 = ("test_2016_images.txt", "test_2016.txt")


def read_multi30k_captions(
    folder: Path, split: str, language: str, *, set_aside: SetAside | None = None
) -> list[Caption]:
    """The captions of Multi30K task 1 in one language: `SPLIT.LANG.gz`, a line a photo.

    Args:
        folder: The release, its `data` or its `data/task1`, with `raw/SPLIT.LANG.gz` and
            `image_splits/SPLIT.txt`; or a folder of its files, where the list may be called
            `SPLIT.images.txt`, too.
        split: `train`, `val`, `test_2016_flickr`, ...
        language: Which captions.
        set_aside: As for `read_caption_lines`.

    Raises:
        UnavailableError: No such split.
        LanguageError: A language that the folder lacks.
        InputError: Files of different length.
    """
    raw, listed = multi30k_files(folder, split)
    path, known = _file_of_language(raw, f"{split}.*.gz", language=language, dataset="multi30k")
    return read_caption_lines(
        path,
        images=read_lines(listed),
        images_path=listed,
        language=known,
        set_aside=set_aside,
    )


def multi30k_files(folder: Path, split: str) -> tuple[Path, Path]:
    """Where Multi30K's captions are, and the list of a split's photos, which may be absent."""
    folder = _inside(folder, "data/task1", "task1")
    raw, lists = folder / "raw", folder / "image_splits"
    lists = lists if lists.is_dir() else folder
    published = lists / f"{split}.txt"
    listed = published if published.is_file() else lists / f"{split}.images.txt"
    return raw if raw.is_dir() else folder, listed


def _inside(folder: Path, *places: str) -> Path:
    """The first of these places in a folder that is there, else the folder itself."""
    inside = (Path(folder) / name for name in places)
    return next((place for place in inside if place.is_dir()), Path(folder))


def read_all_captions(
    folder: Path,
    *,
    languages: Collection[str] | None = None,
    set_aside: SetAside | None = None,
) -> dict[str, list[Caption]]:
    """All captions of the test photos of 2016: of task 2 where a language has it, else of task 1.

    Where task 2 brings no list of its photos, that of task 1 names them; then task 1's English,
    which is one of task 2's five, must stand in the same line.

    Args:
        folder: The release or its `data`: `task1` as for `read_multi30k_captions`, and `task2` with
            `raw/test_2016.N.LANG.gz`, N from 1 to 5.
        languages: Language ids; None takes all.
        set_aside: As for `read_caption_lines`.

    Raises:
        UnavailableError: One of the tasks is not there.
        LanguageError: A language of `languages` that both lack.
        InputError: Files of different length, or photos in another order.
    """
    folder = _inside(folder, "data")
    task1, task2 = folder / "task1", folder / "task2"
    raw, listed = multi30k_files(task1, TEST_OF_TASK1)
    ones = find_files(raw, f"{TEST_OF_TASK1}.*.gz", dataset="multi30k").paths
    fives = find_files(task2 / "raw", f"{TEST_OF_TASK2}.1.*.gz", dataset="multi30k").paths
    own = [task2 / "image_splits" / name for name in LISTS_OF_TASK2]
    images_path = next((path for path in own if path.is_file()), listed)
    images = read_lines(images_path)
    rows: dict[str, list[Caption]] = {}
    for language in languages or dict.fromkeys([*fives, *ones]):
        if language in fives:
            code = fives[language].name.split(".")[-2]
            paths = [task2 / "raw" / f"{TEST_OF_TASK2}.{n}.{code}.gz" for n in FIVE]
        elif language in ones:
            paths = [ones[language]]
        else:
            raise errors.LanguageError(
                f"{folder} has no captions in {language}; it has: "
                f"{', '.join(sorted({*fives, *ones}))}",
                hint="choose one of those",
            )
        names = images if language in fives else read_lines(listed)
        rows[language] = [
            caption
            for path in paths
            for caption in read_caption_lines(
                path,
                images=names,
                images_path=images_path if language in fives else listed,
                language=language,
                set_aside=set_aside,
            )
        ]
    if images_path == listed and ENGLISH in rows and ENGLISH in ones:
        _require_same_order(rows[ENGLISH], read_lines(ones[ENGLISH]), images=images, folder=task2)
    return rows


def _require_same_order(
    found: list[Caption], ones: list[str], *, images: list[str], folder: Path
) -> None:
    said = {(caption.item_id, caption.text.strip().casefold()) for caption in found}
    pairs = zip(images, ones, strict=False)
    same = sum((image, line.strip().casefold()) in said for image, line in pairs)
    if 2 * same < len(ones):
        raise errors.InputError(
            f"of {len(ones)} English captions of task 1, {same} stand among the five of the same "
            f"line of {folder}: its photos are in another order",
            hint=f"put the list of its photos into {folder / 'image_splits' / LISTS_OF_TASK2[0]}",
        )
