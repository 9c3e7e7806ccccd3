"""Data of topic matching: sentences and images of a few topics, and questions among them.

MVL-SIB (Schmidt, Schneider, Biemann and Glavas, 2025). In `images to sentence` some images of one
topic ask which of four sentences is of their topic; in `sentences to image` some sentences ask for
one of four images. The three wrong candidates are of three other topics. Each sentence stands in
three questions of each kind.

The publisher's questions come from a script with a random seed that could not be run here; ours are
drawn with our own, the same for every model and for every language with the same sentences. So
figures compare with printed ones up to what the draw of questions does.

Legend: M images, S sentences of a language, Q = 3 S questions, R references.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, progress
from polyglance.records import MediaFile, Quarantined
from polyglance.sources import mvl_sib
from polyglance.sources.mvl_sib import Sentence
from polyglance.storage import digests
from polyglance.tasks import captioned
from polyglance.tasks.fetching import required
from polyglance.tasks.items import ItemData
from polyglance.tasks.rows import each_language

NUM_CANDIDATES = 4
QUESTIONS_A_SENTENCE = 3
REFERENCES = (1, 3, 5)
SEED = 0

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Questions:
    """Questions with a number of references; the right candidate comes first.

    Attributes:
        images: Int64 (Q, R), the images that ask for a sentence.
        sentences: Int64 (Q, 4), the sentences that they choose from.
        asking: Int64 (Q, R), the sentences that ask for an image.
        choices: Int64 (Q, 4), the images that they choose from.
    """

    images: Integers
    sentences: Integers
    asking: Integers
    choices: Integers


@dataclass(frozen=True, kw_only=True, eq=False)
class TopicData(ItemData):
    """Sentences by language and images, each with its topic.

    Attributes:
        sentences: By language, in the order of their numbers.
        topics: M topics, of the images.
    """

    sentences: Mapping[str, Sequence[Sentence]]
    topics: tuple[str, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages that it has sentences in."""
        return tuple(self.sentences)

    def questions(self, language: str, *, num_references: int) -> Questions | None:
        """The questions of one language; None where a topic has too little for them."""
        topics = tuple(sentence.topic for sentence in self.sentences[language])
        return draw_questions(topics, self.topics, num_references=num_references)

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's sentences and of the images they are matched with."""
        said = (f"{one.number}\0{one.topic}\0{one.text}\0" for one in self.sentences[language])
        return digests.of_parts([*(f"{item_id}\0" for item_id in self.item_ids), *said])

    def _rows(self, keep: NDArray[np.bool_]) -> Mapping[str, Any]:
        kept = zip(self.topics, keep.tolist(), strict=True)
        return {"topics": tuple(topic for topic, stays in kept if stays)}

    def _require(self, keep: NDArray[np.bool_]) -> None:
        there = Counter(self._rows(keep)["topics"])
        if len(there) < NUM_CANDIDATES:
            raise errors.UnavailableError(
                f"{self.task} has images of {len(there)} topics at hand; one question needs "
                f"{NUM_CANDIDATES}; the first image is {', '.join(self.item_ids[:1])}",
                hint="give the folder of the release's images: --images FOLDER",
            )
        topic, fewest = min(there.items(), key=lambda each: each[1])
        if unasked := [str(number) for number in REFERENCES if number > fewest]:
            progress.say(
                f"{self.task} is not asked with {' and '.join(unasked)} references: of the topic "
                f"{topic} only {fewest} of {self.topics.count(topic)} images are at hand"
            )


@functools.lru_cache(maxsize=32)
def draw_questions(
    sentence_topics: tuple[str, ...], image_topics: tuple[str, ...], *, num_references: int
) -> Questions | None:
    """Draw questions among sentences and images of topics.

    Args:
        sentence_topics: S topics.
        image_topics: M topics.
        num_references: R, how many ask together.

    Returns:
        The questions, the same for the same arguments; None where fewer than four topics have both,
        or one of them has fewer than R images or sentences.

    >>> found = draw_questions(tuple("abcd"), tuple("dcba"), num_references=1)
    >>> found.sentences.shape, found.images[0].tolist(), found.sentences[0, 0].item()
    ((12, 4), [3], 0)
    """
    both = sorted(set(sentence_topics) & set(image_topics))
    sentences = {topic: np.flatnonzero(np.array(sentence_topics) == topic) for topic in both}
    images = {topic: np.flatnonzero(np.array(image_topics) == topic) for topic in both}
    fewest = min((len(rows) for rows in (*sentences.values(), *images.values())), default=0)
    if len(both) < NUM_CANDIDATES or fewest < num_references:
        return None
    random = np.random.default_rng([SEED, num_references])
    drawn: list[tuple[list[int], ...]] = []
    for _ in range(QUESTIONS_A_SENTENCE):
        for row, topic in enumerate(sentence_topics):
            if topic not in images:
                continue
            others = random.permutation([other for other in both if other != topic])
            wrong = others[: NUM_CANDIDATES - 1].tolist()
            mates = sentences[topic][sentences[topic] != row]
            drawn.append(
                (
                    random.permutation(images[topic])[:num_references].tolist(),
                    [row, *(int(random.choice(sentences[other])) for other in wrong)],
                    [row, *random.permutation(mates)[: num_references - 1].tolist()],
                    [int(random.choice(images[other])) for other in (topic, *wrong)],
                )
            )
    parts = (np.array(part, np.int64) for part in zip(*drawn, strict=True))
    return Questions(**dict(zip(("images", "sentences", "asking", "choices"), parts, strict=True)))


def load_mvl_sib(folder: Path | None, languages: list[str] | None) -> TopicData:
    """MVL-SIB: 1,004 sentences in 205 languages, and ten images of each of seven topics.

    Args:
        folder: Of the release; holds `data/sib200`, and `data/images/sib200` where the images are
            not given apart.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "mvl-sib")
    files = mvl_sib.find_files(where)
    aside = list(files.set_aside)
    wanted = captioned.pick(files.paths, languages or None, "mvl-sib")

    def failed(name: str, error: errors.InputError) -> None:
        aside.append(Quarantined(files.paths[name].name, f"{error.message}; {error.hint}"))

    sentences = each_language(
        wanted,
        lambda name: mvl_sib.read_sentences(files.paths[name], set_aside=aside.append),
        failed=failed,
    )
    names, images = mvl_sib.image_names(), mvl_sib.image_folder(where)
    media = (
        ()
        if images is None
        else tuple(
            MediaFile(name, images / name, modality="image")
            for name in names
            if (images / name).is_file()
        )
    )
    return TopicData(
        task="mvl-sib",
        item_ids=names,
        media_files=media,
        topics=tuple(name.rpartition("_")[0] for name in names),
        sentences=sentences,
        set_aside=tuple(aside),
    )
