"""Captions of Multi30K, a line a photo."""

from __future__ import annotations

from pathlib import Path

from polyglance.records import Caption
from polyglance.sources.captions import _file_of_language, read_caption_lines
from polyglance.sources.text_lines import SetAside
from polyglance.sources.text_lines import read_lines as read_lines
from polyglance.sources.text_lines import read_table as read_table


def read_multi30k_captions(
    folder: Path, split: str, language: str, *, set_aside: SetAside | None = None
) -> list[Caption]:
    """The captions of Multi30K task 1 in one language: `SPLIT.LANG.gz`, a line a photo.

    Args:
        folder: The release's `data/task1`, with `raw/SPLIT.LANG.gz` and `image_splits/SPLIT.txt`;
            or a folder of its files, where the list may be called `SPLIT.images.txt`, too.
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
    raw, lists = Path(folder) / "raw", Path(folder) / "image_splits"
    lists = lists if lists.is_dir() else Path(folder)
    published = lists / f"{split}.txt"
    listed = published if published.is_file() else lists / f"{split}.images.txt"
    return raw if raw.is_dir() else Path(folder), listed
