"""Parallel lines of Multi30K to train on, without those of photos that are tested."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyglance.languages.registry import normalise_language
from polyglance.records import Pair
from polyglance.sources import multi30k
from polyglance.sources.text_lines import read_lines


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


def read_multi30k(folder: Path, split: str, *, languages: Sequence[str]) -> ParallelLines:
    """Multi30K task 1, parallel, and the photo of each line.

    Args:
        folder: As for `read_multi30k_captions`.
        split: `train`, `val`, `test_2016_flickr`, ...
        languages: Which languages, in the order wanted.

    Raises:
        UnavailableError: No such split.
        LanguageError: A language that the folder lacks.
        InputError: Files of different length.
    """
    images = read_lines(multi30k.multi30k_files(folder, split)[1])
    lines = {}
    for language in languages:
        captions = multi30k.read_multi30k_captions(folder, split, language)
        known = normalise_language(language, dataset="multi30k")
        lines[known] = tuple(caption.text for caption in captions)
    return ParallelLines(tuple(images), lines)
