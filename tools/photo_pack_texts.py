"""The texts that the shipped packs learn from, and which photos they are kept apart from.

Nothing of a dev or test photo is learnt from. The captions in other languages by which the means
of languages are found belong to train photos that are kept back: none of their English captions is
learnt from, so that no two texts of the two sides are about one photo.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from polyglance.languages.registry import ENGLISH, normalise_language
from polyglance.records import Caption, Pair
from polyglance.sources import captions, labels, multi30k, text_lines
from polyglance.tasks import load_task
from polyglance.tasks.text import BitextData

OTHERS = ("zho_Hans", "arb_Arab", "deu_Latn", "fra_Latn", "ces_Latn")
SPLITS = ("train", "dev", "test")
# Train photos whose captions in other languages only say where each language lies.
NUM_KEPT_BACK = 400
# A mean of more moves by less than its own error.
MOST_SENTENCES = 100
MOST_ENGLISH_SENTENCES = 5_000
PROMPTS = ("a photo of a {}", "a {} in the wild", "a picture with a {} in it")
Said = tuple[str, str]  # a language and a text in it


@dataclass(frozen=True)
class Texts:
    """Where the texts are.

    Attributes:
        flickr8k: `images.tsv` and `captions.LANG.tsv`.
        multi30k: Multi30K task 1, or None.
        tatoeba: LASER's test sets of Tatoeba, or None.
        class_names: English class names of ImageNet, as CLIP_benchmark has them, or None.
    """

    flickr8k: Path
    multi30k: Path | None = None
    tatoeba: Path | None = None
    class_names: Path | None = None

    @cached_property
    def split_of(self) -> Mapping[str, str]:
        """Photo to split."""
        return captions.read_splits(self.flickr8k / "images.tsv")

    def photos(self, split: str) -> list[str]:
        """The photos of a split."""
        return [name for name, found in self.split_of.items() if found == split]

    @cached_property
    def captions(self) -> dict[str, list[Caption]]:
        """By language, the captions of all splits."""
        return {
            language: [
                caption
                for split in SPLITS
                for caption in captions.read_flickr8k(self.flickr8k, language, split=split)
            ]
            for language in (ENGLISH, *OTHERS)
        }

    @cached_property
    def kept_back(self) -> frozenset[str]:
        """Train photos whose English captions nobody learns from."""
        names = sorted(self.photos("train"))
        order = np.random.default_rng(0).permutation(len(names))[:NUM_KEPT_BACK]
        return frozenset(names[row] for row in order.tolist())

    def english(self) -> list[str]:
        """English captions of the train photos that are not kept back."""
        return [
            caption.text
            for caption in self.captions[ENGLISH]
            if self.split_of[caption.item_id] == "train" and caption.item_id not in self.kept_back
        ]

    def unpaired(self) -> list[Said]:
        """Captions in other languages whose photos no English text is about."""
        found = [
            (language, caption.text)
            for language in OTHERS
            for caption in self.captions[language]
            if caption.item_id in self.kept_back
        ]
        if self.multi30k is not None:
            of_flickr8k = {_number(name) for name in self.split_of}
            for language, rows in self._multi30k_lines().items():
                found += [
                    (language, text)
                    for photo, text in rows
                    if language != ENGLISH and _number(photo) not in of_flickr8k
                ]
        return found

    def sentences(self) -> list[Said]:
        """Sentences of Tatoeba, English ones included; they belong to no photo."""
        if self.tatoeba is None:
            return []
        found: dict[Said, None] = {}
        task = load_task("tatoeba", self.tatoeba)
        assert isinstance(task, BitextData)
        for language, pairs in task.pairs.items():
            for pair in pairs[:MOST_SENTENCES]:
                found[language, pair.text_a] = found[ENGLISH, pair.text_b] = None
        return list(found)

    def english_sentences(self) -> list[str]:
        """Some of the English ones."""
        listed = [text for language, text in self.sentences() if language == ENGLISH]
        order = np.random.default_rng(0).permutation(len(listed))[:MOST_ENGLISH_SENTENCES]
        return [listed[row] for row in sorted(order.tolist())]

    def prompts(self) -> list[str]:
        """The English class names of ImageNet, each in a few sentences."""
        if self.class_names is None:
            return []
        names = labels.read_names(self.class_names, ENGLISH, dataset="imagenet1k").labels
        return [prompt.format(name) for name in names for prompt in PROMPTS]

    def parallel(self) -> list[Pair]:
        """English texts and their translations: of Multi30K, and captions of one train photo.

        Whatever reads like a caption of a dev or test photo goes: "a dog runs on grass" is said of
        several.
        """
        unseen = {name for name, split in self.split_of.items() if split != "train"}
        numbers = {_number(name) for name in unseen}
        pairs = []
        if self.multi30k is not None:
            lines = self._multi30k_lines()
            for language in lines:
                pairs += [
                    Pair(english, ENGLISH, text, language)
                    for (photo, english), (_, text) in zip(
                        lines[ENGLISH], lines[language], strict=True
                    )
                    if language != ENGLISH and _number(photo) not in numbers
                ]
        english_of = _by_photo(self.captions[ENGLISH], unseen)
        for language in OTHERS:
            for name, said in _by_photo(self.captions[language], unseen).items():
                both = itertools.product(english_of.get(name, ()), said)
                pairs += [Pair(text, ENGLISH, other, language) for text, other in both]
        forbidden = {
            (caption.language, _letters(caption.text))
            for listed in self.captions.values()
            for caption in listed
            if caption.item_id in unseen
        }
        return [
            pair
            for pair in dict.fromkeys(pairs)
            if (pair.language_a, _letters(pair.text_a)) not in forbidden
            and (pair.language_b, _letters(pair.text_b)) not in forbidden
        ]

    def _multi30k_lines(self) -> dict[str, list[tuple[str, str]]]:
        """By language the photo and text of each line of the train split."""
        assert self.multi30k is not None
        images = text_lines.read_lines(multi30k.multi30k_files(self.multi30k, "train")[1])
        found = {}
        for code in ("en", "de", "fr", "cs"):
            listed = multi30k.read_multi30k_captions(self.multi30k, "train", code)
            language = normalise_language(code, dataset="multi30k")
            found[language] = list(zip(images, (each.text for each in listed), strict=True))
        return found


def _by_photo(listed: Iterable[Caption], unseen: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for caption in listed:
        if caption.item_id not in unseen:
            found.setdefault(caption.item_id, []).append(caption.text)
    return found


def _number(name: str) -> str:
    """The number that Flickr gave a photo, by which names of both data sets agree."""
    return name.partition("_")[0].partition(".")[0]


def _letters(text: str) -> str:
    """What is compared: letters and digits alone, so that "runs ." reads like "runs."."""
    return "".join(character for character in text.casefold() if character.isalnum())
