"""Training data that is test data as well: found by text, by normal form and by image.

Texts are compared within their language; images by the hash of their bytes, or by id where vectors
are all that there is. Labels of classes are words, not sentences: of such tasks the images count.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from polyglance import errors
from polyglance.encoding.reading import content_key
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data.dev_sets import normal_form
from polyglance.records import Caption, MediaFile, Modality
from polyglance.sources import named_items
from polyglance.sources.webdataset import read_span
from polyglance.tasks.items import ItemData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.rows import TaskData
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.tasks.topics import TopicData

if TYPE_CHECKING:
    from polyglance.recipes.data.training_data import TrainingData

Policy = Literal["refuse", "leave-out", "allow"]
Text = tuple[str, str]  # language, text


@dataclass(frozen=True, kw_only=True, eq=False)
class TestData:
    """What of a task no training may have seen.

    Attributes:
        task: Its name.
        texts: Languages and texts, as they stand.
        forms: The same in the form in which texts are compared.
        images: Keys of its images; None where no image was at hand, and none is compared.
    """

    __test__ = False  # pytest takes the name for a test's

    task: str
    texts: frozenset[Text]
    forms: frozenset[Text]
    images: frozenset[str] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Screened:
    """What is left of the training data, and what was found in it.

    Attributes:
        training_data: To train on.
        facts: Counts by task and kind, and what was done, for a pack's manifest.
    """

    training_data: TrainingData
    facts: Mapping[str, Any]


def of_task(
    data: TaskData, *, items: Path | None = None, modality: Modality, by_id: bool = False
) -> TestData:
    """The texts and images of a task.

    Args:
        data: With its texts at hand.
        items: Folder of its items, where it does not bring them.
        modality: What they are.
        by_id: Whether ids stand for items: of vectors that were computed elsewhere.
    """
    texts = frozenset(_texts_of(data))
    return TestData(
        task=data.task,
        texts=texts,
        forms=frozenset((language, normal_form(text)) for language, text in texts),
        images=frozenset(_keys_of(data, folder=items, modality=modality, by_id=by_id)) or None,
    )


def require_policy(policy: str) -> None:
    """Refuse an unknown leakage policy.

    Raises:
        UnknownNameError: For another one.
    """
    if policy not in get_args(Policy):
        raise errors.unknown_name("way with leakage", policy, allowed=get_args(Policy))


def screen(
    training_data: TrainingData,
    tests: Sequence[TestData],
    *,
    policy: Policy,
    item_keys: Mapping[str, str] | None = None,
    bank_ids: Sequence[str] = (),
) -> Screened:
    """Look for test data in training data, and refuse it, leave it out, or allow it.

    Args:
        training_data: What there is to learn from.
        tests: Of the tasks that the pack will be measured on.
        policy: What to do with what is found; it is counted in any case.
        item_keys: By id, the keys of the training images, as `of_task` makes them.
        bank_ids: The ids of the bank's images, in their order.

    Raises:
        UnknownNameError: For another policy.
        TrainingError: Where something is found, and the policy is to refuse.
    """
    require_policy(policy)
    keys = item_keys or {}
    found = {test.task: _count(training_data, test, keys=keys, bank_ids=bank_ids) for test in tests}
    facts: dict[str, Any] = {"checked_against": found, "policy": policy}
    leaky = {task: counts for task, counts in found.items() if any(counts.values())}
    if policy == "refuse" and leaky:
        said = "; ".join(
            f"{task}: {counts['texts']} texts as they stand, {counts['texts_in_other_spelling']} "
            f"in another spelling, {counts['images'] or 0} images"
            for task, counts in leaky.items()
        )
        raise errors.TrainingError(
            f"what is learnt from is also what is tested ({said})",
            hint="train without them: --leakage leave-out; or with them, which the pack then says: "
            "--leakage allow",
        )
    if policy == "leave-out" and leaky:
        training_data = _without(training_data, tests, keys=keys, bank_ids=bank_ids)
    return Screened(training_data=training_data, facts=facts)


def _count(
    training_data: TrainingData, test: TestData, *, keys: Mapping[str, str], bank_ids: Sequence[str]
) -> dict[str, int | None]:
    """Different training texts and images that a task has as well; None where not compared."""
    texts, images = set(_training_texts(training_data)), test.images
    exact = texts & test.texts
    spelt = {one for one in texts - exact if (one[0], normal_form(one[1])) in test.forms}
    ids = set(bank_ids) if training_data.banks is not None else set()
    if training_data.image_text is not None:
        ids |= set(training_data.image_text.item_ids)
    return {
        "texts": len(exact),
        "texts_in_other_spelling": len(spelt),
        "images": None if images is None else sum(keys.get(one) in images for one in ids),
    }


def _without(
    training_data: TrainingData,
    tests: Sequence[TestData],
    *,
    keys: Mapping[str, str],
    bank_ids: Sequence[str],
) -> TrainingData:
    """The training_data without any row that has a text or image of a test."""
    forms = frozenset[Text]().union(*(test.forms for test in tests))
    images = frozenset[str]().union(*(test.images or () for test in tests))

    def leaks(language: str, text: str) -> bool:
        return (language, normal_form(text)) in forms

    def kept(pairs: Iterable[Any]) -> list[Any]:
        return [
            pair
            for pair in pairs
            if not leaks(pair.language_a, pair.text_a) and not leaks(pair.language_b, pair.text_b)
        ]

    data, banks = training_data.image_text, training_data.banks
    if data is not None:
        rows = [row for row, one in enumerate(data.item_ids) if keys.get(one) not in images]
        data = data.take(np.array(rows, np.int64))
        captions = [c for c in data.captions if not leaks(c.language, c.text)]
        data = _with_captions(data, captions)
    if banks is not None:
        there = [keys.get(one) not in images for one in bank_ids]
        is_kept = np.array(there, bool) if bank_ids else np.ones(len(banks.images), bool)
        banks = replace(
            banks.with_texts(lambda language, text: not leaks(language, text)),
            images=banks.images[is_kept],
            content_keys=list(itertools.compress(banks.content_keys, is_kept)),
        )
    return replace(
        training_data,
        english=[text for text in training_data.english if not leaks(ENGLISH, text)],
        parallel=kept(training_data.parallel),
        translations=kept(training_data.translations),
        related=kept(training_data.related),
        image_text=data,
        banks=banks,
        unpaired=[one for one in training_data.unpaired if not leaks(*one)],
    )


def _with_captions(data: Any, captions: Sequence[Caption]) -> Any:
    """The items that have one of some captions, with those."""
    spoken = {caption.item_id for caption in captions}
    rows = [row for row, one in enumerate(data.item_ids) if one in spoken]
    kept = replace(data, captions=tuple(captions))
    return kept.take(np.array(rows, np.int64)) if rows else None


def _training_texts(training_data: TrainingData) -> Iterable[Text]:
    yield from ((ENGLISH, text) for text in training_data.english)
    sides = training_data.parallel, training_data.translations, training_data.related
    for pair in itertools.chain(*sides):
        yield pair.language_a, pair.text_a
        yield pair.language_b, pair.text_b
    if training_data.image_text is not None:
        yield from ((c.language, c.text) for c in training_data.image_text.captions)
    yield from training_data.unpaired
    if training_data.banks is not None:
        yield from zip(training_data.banks.languages, training_data.banks.texts, strict=True)


def _texts_of(data: TaskData) -> Iterable[Text]:
    if isinstance(data, RetrievalData):
        for language, captions in data.captions.items():
            yield from ((language, caption.text) for caption in captions)
    elif isinstance(data, TopicData):
        for language, sentences in data.sentences.items():
            yield from ((language, sentence.text) for sentence in sentences)
    elif isinstance(data, BitextData):
        for listed in data.pairs.values():
            for pair in listed:
                yield pair.language_a, pair.text_a
                yield pair.language_b, pair.text_b
    elif isinstance(data, SimilarityData):
        for by_other in data.pairs.values():
            for scored in by_other.values():
                for row in scored:
                    yield row.language_a, row.text_a
                    yield row.language_b, row.text_b


def _keys_of(
    data: TaskData, *, folder: Path | None, modality: Modality, by_id: bool
) -> Iterable[str]:
    """Content keys, or ids, of a task's items."""
    if not isinstance(data, ItemData):
        return
    if by_id:
        yield from data.item_ids
        return
    listed: Collection[MediaFile] = data.media_files
    if not listed and folder is not None:
        listed = named_items.find_named(folder, data.item_ids, modality).items
    for file in listed:
        yield content_key(read_span(file.path, file.span))
