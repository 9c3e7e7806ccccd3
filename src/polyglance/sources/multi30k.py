"""Captions and parallel lines of Multi30K, and how its photos are named."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyglance.languages.registry import normalise_language
from polyglance.records import Caption, Pair
from polyglance.sources.captions import _file_of_language, read_caption_lines
from polyglance.sources.text_lines import SetAside
from polyglance.sources.text_lines import read_lines as read_lines
from polyglance.sources.text_lines import read_table as read_table


@dataclass(frozen=True, slots=True)
class ParallelLines:
    """The same captions in several languages, line by line.

    Attributes:
        images: The image of each line.
        lines: Language to its lines.
    """

    images: tuple[str, ...]
    lines: Mapping[str, tuple[str, ...]]

    def pairs(self, language_a: str, language_b: str) -> list[Pair]:
        """The lines of two of the languages side by side."""
        both = zip(self.lines[language_a], self.lines[language_b], strict=True)
        return [Pair(text_a, language_a, text_b, language_b) for text_a, text_b in both]

    def leaving_out(self, images: Collection[str]) -> ParallelLines:
        """Without the lines about certain photos: Multi30K and Flickr8k share some.

        Args:
            images: Image names of either data set.

        Returns:
            The other lines; how many went is the difference in length.
        """
        gone = {photo_number(name) for name in images}
        kept = [row for row, name in enumerate(self.images) if photo_number(name) not in gone]
        return ParallelLines(
            tuple(self.images[row] for row in kept),
            {name: tuple(rows[row] for row in kept) for name, rows in self.lines.items()},
        )


def photo_number(name: str) -> str:
    """The number that Flickr gave a photo, by which Multi30K and Flickr8k names agree.

    >>> photo_number("1000268201_693b08cb0e.jpg"), photo_number("1000268201.jpg")
    ('1000268201', '1000268201')
    """
    return name.partition("_")[0].partition(".")[0]


def read_multi30k_captions(
    folder: Path, split: str, language: str, *, set_aside: SetAside | None = None
) -> list[Caption]:
    """The captions of Multi30K task 1 in one language: `SPLIT.LANG.gz`, a line a photo.

    Args:
        folder: As for `read_multi30k`.
        split: As for `read_multi30k`.
        language: Which captions.
        set_aside: As for `read_caption_lines`.

    Raises:
        UnavailableError, LanguageError, InputError: As `read_multi30k`.
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


def read_multi30k(folder: Path, split: str, *, languages: Sequence[str]) -> ParallelLines:
    """Multi30K task 1, parallel, and the photo of each line.

    Args:
        folder: The release's `data/task1`, with `raw/SPLIT.LANG.gz` and `image_splits/SPLIT.txt`;
            or a folder of its files, where the list may be called `SPLIT.images.txt`, too.
        split: `train`, `val`, `test_2016_flickr`, ...
        languages: Which languages, in the order wanted.

    Raises:
        UnavailableError: No such split.
        LanguageError: A language that the folder lacks.
        InputError: Files of different length.
    """
    images = read_lines(multi30k_files(folder, split)[1])
    lines = {}
    for language in languages:
        captions = read_multi30k_captions(folder, split, language)
        known = normalise_language(language, dataset="multi30k")
        lines[known] = tuple(caption.text for caption in captions)
    return ParallelLines(tuple(images), lines)


def multi30k_files(folder: Path, split: str) -> tuple[Path, Path]:
    """Where Multi30K's captions are, and the list of a split's photos, which may be absent."""
    raw, lists = Path(folder) / "raw", Path(folder) / "image_splits"
    lists = lists if lists.is_dir() else Path(folder)
    published = lists / f"{split}.txt"
    listed = published if published.is_file() else lists / f"{split}.images.txt"
    return raw if raw.is_dir() else Path(folder), listed
