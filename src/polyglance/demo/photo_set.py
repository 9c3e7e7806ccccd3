"""A captioned set of photos in the form of Flickr8k, as the demo takes it.

    FOLDER/images.tsv            image, split: train, dev or test
    FOLDER/captions.LANG.tsv     image, caption; English and any others
    FOLDER/.../*.jpg             the photos, in the folder or in one inside of it

The test photos are searched and measured; captions of train photos are there for a pack to learn
from, each photo's in English or in the other languages, never both.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Caption, Pair
from polyglance.sources import captions
from polyglance.tasks import retrieval_loaders
from polyglance.tasks.retrieval import RetrievalData

SPLITS_FILE, CAPTIONS = "images.tsv", "captions.*.tsv"
# English captions a photo to learn from, and texts a language that say where it lies: the demo
# trains in a minute. All five captions gain a point.
CAPTIONS_A_PHOTO, TEXTS_A_LANGUAGE = 2, 1_000


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoSet:
    """A captioned set of photos.

    Attributes:
        folder: As it was given.
        photos: The folder, there or inside, that holds most of the test photos.
        test: The test photos' captions, the first one of each.
        exclude: Patterns of the photos of other splits.
    """

    folder: Path
    photos: Path
    test: RetrievalData
    exclude: Sequence[str]

    @property
    def english_captions(self) -> Mapping[str, str]:
        """What people say in English of each test photo, by its name; the first caption."""
        listed = self.test.captions.get(ENGLISH, ())
        return {each.item_id: each.text for each in reversed(listed)}


def is_captioned(folder: Path) -> bool:
    """Whether a folder is such a set, and no plain folder of photos."""
    return (folder / SPLITS_FILE).is_file() and any(folder.glob(CAPTIONS))


def load(folder: Path) -> PhotoSet:
    """Read what is said of the test photos, and find them.

    Raises:
        InputError: A file that cannot be read, or none of the test photos is there.
    """
    split_of = captions.read_splits(folder / SPLITS_FILE)
    test = retrieval_loaders.load_flickr8k(folder, None).asked_with("first")
    return PhotoSet(
        folder=folder,
        photos=_folder_of(folder, set(test.item_ids)),
        test=test,
        exclude=tuple(glob.escape(name) for name, split in split_of.items() if split != "test"),
    )


def _folder_of(folder: Path, names: set[str]) -> Path:
    """The folder that holds most of these files: itself, or one inside of it.

    Raises:
        InputError: None holds any.
    """
    inside = sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    count = {each: len(names.intersection(os.listdir(each))) for each in (folder, *inside)}
    best = max(count, key=lambda each: count[each])
    if not count[best]:
        raise errors.InputError(
            f"{folder} has captions of {len(names):,} test photos, and none of those photos",
            hint=f"put them into {folder / 'photos'}, under the names that {SPLITS_FILE} has",
        )
    return best


def training_data(folder: Path) -> tuple[TrainingData, list[Pair]]:
    """What a pack learns from, and the translations that measure it.

    Every second train photo gives its English captions, the others give texts in the other
    languages, so that no two texts are of one photo: nothing is paired. The dev photos give pairs
    of captions, which only measure.

    Raises:
        InputError: There are no English captions of train photos.
        LanguageError: There is no file of English captions.
    """
    train = _by_language(folder, "train")
    photos = list(dict.fromkeys(each.item_id for each in train[ENGLISH]))
    paired, other = set(photos[::2]), set(photos[1::2])
    unpaired = []
    for language, listed in train.items():
        if language != ENGLISH:
            texts = _first(listed, 1, of=other)[:TEXTS_A_LANGUAGE]
            unpaired += [(language, text) for _, text in texts]
    english = [text for _, text in _first(train[ENGLISH], CAPTIONS_A_PHOTO, of=paired)]
    splits = captions.read_splits(folder / SPLITS_FILE).values()
    dev = _by_language(folder, "dev") if "dev" in splits else {ENGLISH: []}
    said = dict(_first(dev[ENGLISH], 1))
    pairs = [
        Pair(said[name], ENGLISH, text, language)
        for language, listed in dev.items()
        if language != ENGLISH
        for name, text in _first(listed, 1)
        if name in said
    ]
    return TrainingData(english=english, unpaired=unpaired), pairs


def _by_language(folder: Path, split: str) -> Mapping[str, list[Caption]]:
    """Captions of a split's photos by language, English first."""
    found = captions.find_files(folder, CAPTIONS, dataset="flickr8k")
    names = [ENGLISH, *(name for name in found.paths if name != ENGLISH)]
    return {name: captions.read_flickr8k(folder, name, split=split) for name in names}


def _first(
    listed: Sequence[Caption], count: int, *, of: set[str] | None = None
) -> list[tuple[str, str]]:
    """The first captions of each photo, so many at most, with its name."""
    taken: Counter[str] = Counter()
    found = []
    for each in listed:
        if (of is None or each.item_id in of) and taken[each.item_id] < count:
            taken[each.item_id] += 1
            found.append((each.item_id, each.text))
    return found
