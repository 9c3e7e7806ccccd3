"""Reader of MVL-SIB: sentences of SIB-200 by language with their topics, and images of the topics.

    data/sib200/LANG/{train,dev,test}.tsv       columns index_id, category, text
    data/images/sib200/TOPIC_N.jpg              ten images a topic, N from 0

The form is built from the release's file list and other people's readers and was not tried on the
real files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.sources import language_files
from polyglance.sources.language_files import LanguageFiles
from polyglance.sources.text_lines import SetAside, entry_of, read_table

TOPICS = ("entertainment", "geography", "health", "politics", "science", "sports", "travel")
IMAGES_A_TOPIC = 10
PARTS = ("train", "dev", "test")
TEXTS, IMAGES = ("data/sib200", "sib200"), ("data/images/sib200", "images/sib200")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what it is about; `number` is that of its translations as well."""

    number: int
    topic: str
    text: str


def image_names() -> tuple[str, ...]:
    """The 70 images, by topic.

    >>> image_names()[:2], len(image_names())
    (('entertainment_0.jpg', 'entertainment_1.jpg'), 70)
    """
    return tuple(f"{topic}_{n}.jpg" for topic in TOPICS for n in range(IMAGES_A_TOPIC))


def image_folder(folder: Path) -> Path | None:
    """Where the images stand in the release; None where it was taken without them."""
    return next((folder / name for name in IMAGES if (folder / name).is_dir()), None)


def find_files(folder: Path) -> LanguageFiles:
    """The folders of sentences by language.

    Raises:
        UnavailableError: There is none.
        LanguageError: No folder's name is understood.
    """
    where = next((folder / name for name in TEXTS if (folder / name).is_dir()), folder)
    named = [(path.parent.name, path.parent) for path in sorted(where.glob("*/test.tsv"))]
    if not named:
        raise errors.UnavailableError(
            f"there are no files {TEXTS[0]}/LANG/test.tsv in {folder}",
            hint="give the folder of the release, which holds data/sib200 and data/images",
        )
    return language_files.by_language(named, dataset="flores", folder=folder)


def read_sentences(folder: Path, *, set_aside: SetAside | None = None) -> list[Sentence]:
    """The sentences of all three parts of one language, by number.

    Args:
        folder: Of the language.
        set_aside: Told of each row that cannot be used; None stops at the first.

    Raises:
        UnavailableError: One of the parts is not there.
        InputError: Another form; without `set_aside`, also a row that cannot be used.
    """
    found: dict[int, Sentence] = {}
    for part in PARTS:
        path = Path(folder) / f"{part}.tsv"
        rows = read_table(path, ("index_id", "category", "text"), set_aside=set_aside)
        for place, (number, topic, text) in enumerate(rows, 1):
            with entry_of(path, f"row {place}", set_aside):
                if not number.isdecimal() or int(number) in found:
                    raise errors.InputError(
                        f"index_id is {number!r}; expected a number that stands once",
                        hint="fetch the file again",
                    )
                if topic not in TOPICS:
                    raise errors.InputError(
                        f"category is {topic!r}; allowed: {', '.join(TOPICS)}",
                        hint="fetch the file again",
                    )
                found[int(number)] = Sentence(int(number), topic, text)
    return [found[number] for number in sorted(found)]
