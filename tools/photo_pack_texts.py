"""The texts that the shipped packs learn from, and which photos they are kept apart from.

Nothing of a dev or test photo is learnt from. The captions in other languages by which the means
of languages are found belong to train photos that are kept back: none of their English captions is
learnt from, so that no two texts of the two sides are about one photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from benchmarks import multi30k_lines, photo_world

from polyglance.languages.registry import ENGLISH
from polyglance.records import Caption, Pair
from polyglance.sources import captions, labels
from polyglance.tasks import load_task
from polyglance.tasks.text import BitextData

OTHERS = photo_world.OTHER_LANGUAGES
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
                for split in photo_world.SPLITS
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
            lines = multi30k_lines.read_multi30k(
                self.multi30k, "train", languages=photo_world.MULTI30K_LANGUAGES
            )
            for language, rows in lines.leaving_out(self.split_of).lines.items():
                found += [(language, text) for text in rows]
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
        """English texts and their translations: of Multi30K, and captions of one train photo."""
        found = photo_world.parallel_text(self.captions, self.split_of, multi30k=self.multi30k)
        return list(found.pairs)
