"""Held-out rows of training data: they measure the pack and are never fitted.

A hash of the English text fixes which ones; captions of an item go where its English caption
goes, so that a concept is on one side in all languages and in all kinds of data. Every language
gives a tenth of its rows, and ten at least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data import dev_sets
from polyglance.recipes.data.dev_sets import LEAST_QUERIES, DevSet, normal_form
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import Pair

if TYPE_CHECKING:
    from polyglance.recipes.data.training_data import TrainingData

SHARE = 0.1
# Of fewer rows a language cannot spare ten.
LEAST_ROWS = 4 * LEAST_QUERIES
# Two items whose vectors are so near are one image, saved twice.
SAME_ITEM = 0.9999

Spoken = tuple[str, str]  # a language and the normal form of a text in it


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Data cut in two.

    Attributes:
        fit: What a recipe may learn from.
        sets: What measures it; the first one that has a language speaks for it.
        facts: Counts, for the manifest.
    """

    fit: TrainingData
    sets: tuple[DevSet, ...]
    facts: Mapping[str, Any]


def require_share(share: float) -> None:
    """Refuse a share that cannot be held out.

    Raises:
        ConfigError: It is not in [0, 0.5].
    """
    if not 0 <= share <= 0.5:
        raise errors.ConfigError(
            f"a dev share of {share}; it must be from 0 to 0.5", hint="leave it out for 0.1"
        )


def split(
    training_data: TrainingData, *, share: float = SHARE, dev_parallel: Sequence[Pair] = ()
) -> HeldOut:
    """Hold a part of the data out.

    Args:
        training_data: All that there is to learn from.
        share: Of each language's rows, in [0, 0.5]; 0 holds nothing out.
        dev_parallel: Translations that only measure; their English texts are held out as well.

    Raises:
        ConfigError: For a share out of its range.
    """
    require_share(share)
    given = {normal_form(pair.text_a) for pair in dev_parallel}
    items = _chosen_items(training_data.image_text, share=share, given=given)
    texts = _chosen_texts(training_data, share=share, items=items) | given
    dev_items, fit_items = _cut_items(training_data.image_text, items)
    dev_pairs = [pair for pair in training_data.parallel if normal_form(pair.text_a) in texts]
    fit = replace(
        training_data,
        english=[text for text in training_data.english if normal_form(text) not in texts],
        parallel=[pair for pair in training_data.parallel if normal_form(pair.text_a) not in texts],
        related=[pair for pair in training_data.related if normal_form(pair.text_a) not in texts],
        image_text=fit_items,
    )
    for name in ("english", "parallel"):
        if getattr(training_data, name) and not getattr(fit, name):
            raise errors.ConfigError(
                f"each of the {len(getattr(training_data, name))} rows to learn from ({name}) says "
                "what is held out to measure",
                hint="measure with other texts than those that are learnt from: --dev-parallel",
            )
    # What is learnt from on the side makes way; what is learnt from itself stays, and the same
    # text then measures nothing.
    alone = [text for text in training_data.english if normal_form(text) in texts]
    dev_pairs += [Pair(text, ENGLISH, text, ENGLISH) for text in alone]
    asked = _said((*dev_pairs, *dev_parallel), dev_items)
    fit, num_aside = _without(fit, asked - _fitted(fit))
    seen = _fitted(fit)
    sets, num_seen = _sets(training_data, fit, dev_pairs, dev_items, dev_parallel, seen=seen)
    # Where nothing is to be held out, nothing is too small for it.
    rows = rows_by_language(training_data, dev_parallel) if share or dev_parallel else {}
    return HeldOut(fit=fit, sets=sets, facts=_facts(rows, sets, num_seen, num_aside))


def _sets(
    training_data: TrainingData,
    fit: TrainingData,
    dev_pairs: Sequence[Pair],
    dev_items: ImageText | None,
    dev_parallel: Sequence[Pair],
    *,
    seen: set[Spoken],
) -> tuple[tuple[DevSet, ...], int]:
    """The dev sets, without texts that are fitted, and how many of those there were."""

    def fresh(pairs: Sequence[Pair]) -> list[Pair]:
        sides = [
            ((ENGLISH, normal_form(p.text_a)), (p.language_b, normal_form(p.text_b))) for p in pairs
        ]
        return [p for p, both in zip(pairs, sides, strict=True) if seen.isdisjoint(both)]

    others = [*fit.english, *(pair.text_a for pair in fit.parallel)]
    if fit.image_text is not None:
        others += [c.text for c in fit.image_text.captions if c.language == ENGLISH]
    found, num_seen = [], 0
    for pairs in (dev_parallel, dev_pairs):
        kept = fresh(pairs)
        num_seen += len(pairs) - len(kept)
        if kept:
            found.append(dev_sets.of_pairs(kept, others=others))
    if dev_items is not None and training_data.image_text is not None:
        kept_captions = [
            caption
            for caption in dev_items.captions
            if (caption.language, normal_form(caption.text)) not in seen
        ]
        num_seen += len(dev_items.captions) - len(kept_captions)
        asking = replace(dev_items, captions=tuple(kept_captions))
        pool = _pool(training_data.image_text, dev_items)
        # Items are what is searched for in the end; a file given for measuring comes before.
        found.insert(bool(dev_parallel), dev_sets.of_items(asking, pool=pool))
    return tuple(found), num_seen


def _pool(data: ImageText, dev: ImageText) -> ImageText:
    """The held-out items, and further ones to be told from."""
    row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
    ids = list(dev.item_ids)
    further = dev_sets.in_fixed_order(set(row_of) - set(ids))
    ids += further[: max(0, dev_sets.NUM_CANDIDATES - len(ids))]
    return data.take(np.array([row_of[item_id] for item_id in ids], np.int64))


def _chosen(rows_of: Mapping[str, Iterable[str]], *, share: float) -> set[str]:
    """Keys of every language, by the fixed order: a share of each language's, ten at least.

    Args:
        rows_of: By language, the keys that it has rows of.
        share: In [0, 0.5].
    """
    most = dev_sets.most_a_language(len(rows_of))
    chosen: set[str] = set()
    if not share:
        return chosen
    for keys in rows_of.values():
        ordered = dev_sets.in_fixed_order(keys)
        if len(ordered) >= LEAST_ROWS:
            chosen |= set(ordered[: min(most, max(LEAST_QUERIES, int(share * len(ordered))))])
    return chosen


def _item_keys(data: ImageText) -> list[str]:
    """Of each item the English caption that stands first in the fixed order; else its id."""
    keys: dict[str, str] = {}
    for caption in data.captions:
        if caption.language == ENGLISH:
            key = normal_form(caption.text)
            known = keys.get(caption.item_id)
            if known is None or dev_sets.place_of(key) < dev_sets.place_of(known):
                keys[caption.item_id] = key
    return [keys.get(item_id, f"item\0{item_id}") for item_id in data.item_ids]


def _chosen_items(data: ImageText | None, *, share: float, given: set[str]) -> set[int]:
    """Rows of the items that are held out."""
    if data is None:
        return set()
    keys = _item_keys(data)
    rows_of: dict[str, list[str]] = {}
    for caption, row in zip(data.captions, data.content_of.tolist(), strict=True):
        rows_of.setdefault(caption.language, []).append(keys[row])
    chosen = _chosen(rows_of, share=share) | given
    dev = np.array([key in chosen for key in keys], bool)
    # An image that was saved twice is one concept, whatever is said of it.
    for row in np.flatnonzero(dev).tolist():
        near = data.contents @ data.contents[row] >= SAME_ITEM
        if (near & ~dev).any():
            dev[row] = False
    return set(np.flatnonzero(dev).tolist())


def _chosen_texts(training_data: TrainingData, *, share: float, items: set[int]) -> set[str]:
    """Normal forms of the English texts that are held out; captions go with their item."""
    data = training_data.image_text
    of_dev: set[str] = set()
    of_fit: set[str] = set()
    if data is not None:
        for caption, row in zip(data.captions, data.content_of.tolist(), strict=True):
            if caption.language == ENGLISH:
                (of_dev if row in items else of_fit).add(normal_form(caption.text))
    rows_of: dict[str, list[str]] = {}
    for text in training_data.english:
        rows_of.setdefault(ENGLISH, []).append(normal_form(text))
    for pair in training_data.parallel:
        key = normal_form(pair.text_a)
        rows_of.setdefault(ENGLISH, []).append(key)
        rows_of.setdefault(pair.language_b, []).append(key)
    free = {language: set(keys) - of_dev - of_fit for language, keys in rows_of.items()}
    return _chosen(free, share=share) | (of_dev - of_fit)


def _cut_items(
    data: ImageText | None, dev_rows: set[int]
) -> tuple[ImageText | None, ImageText | None]:
    """The held-out items, and the others."""
    if data is None or not dev_rows:
        return None, data
    every = np.arange(len(data.item_ids))
    is_dev = np.isin(every, sorted(dev_rows))
    return data.take(every[is_dev]), data.take(every[~is_dev])


def _said(pairs: Sequence[Pair], items: ImageText | None) -> set[Spoken]:
    """Every text of some pairs and items, in its language."""
    found = {(ENGLISH, normal_form(pair.text_a)) for pair in pairs}
    found |= {(pair.language_b, normal_form(pair.text_b)) for pair in pairs}
    if items is not None:
        found |= {(c.language, normal_form(c.text)) for c in items.captions}
    return found


def _fitted(training_data: TrainingData) -> set[Spoken]:
    """Every text that is learnt from together with what it means."""
    found = _said(training_data.parallel, training_data.image_text)
    return found | {(ENGLISH, normal_form(text)) for text in training_data.english}


def _without(training_data: TrainingData, asked: set[Spoken]) -> tuple[TrainingData, int]:
    """Leave held-out texts out of what is learnt on the side: keywords, bitexts, unpaired texts."""
    related = [
        p for p in training_data.related if (p.language_b, normal_form(p.text_b)) not in asked
    ]
    translations = [
        p
        for p in training_data.translations
        if (p.language_a, normal_form(p.text_a)) not in asked
        and (p.language_b, normal_form(p.text_b)) not in asked
    ]
    num_aside = len(training_data.related) - len(related)
    num_aside += len(training_data.translations) - len(translations)
    banks = training_data.banks
    if banks is not None:
        num_before = len(banks.texts)
        banks = banks.with_texts(lambda language, text: (language, normal_form(text)) not in asked)
        num_aside += num_before - len(banks.texts)
    unpaired = [
        (language, text)
        for language, text in training_data.unpaired
        if (language, normal_form(text)) not in asked
    ]
    num_aside += len(training_data.unpaired) - len(unpaired)
    kept = replace(
        training_data,
        related=related,
        translations=translations,
        banks=banks,
        unpaired=unpaired,
    )
    return kept, num_aside


def rows_by_language(training_data: TrainingData, dev_parallel: Sequence[Pair]) -> dict[str, int]:
    """How many rows there are of each language, unpaired texts left out."""
    count: Counter[str] = Counter(
        {ENGLISH: len(set(training_data.english))} if training_data.english else {}
    )
    count.update(pair.language_b for pair in (*training_data.parallel, *dev_parallel))
    if training_data.image_text is not None:
        count.update(training_data.image_text.caption_languages)
    return dict(count)


def _facts(
    rows: Mapping[str, int], sets: Sequence[DevSet], num_seen: int, num_aside: int
) -> dict[str, Any]:
    measured: dict[str, int] = {}
    for one in sets:
        for language, queries in one.queries.items():
            measured[language] = max(len(queries), measured.get(language, 0))
    short = {
        language: count
        for language, count in sorted(rows.items())
        if measured.get(language, 0) < LEAST_QUERIES
    }
    return {
        "num_queries": sum(measured.values()),
        "rows_of_languages_too_small_to_score": short,
        "num_texts_fitted_as_well_and_not_asked": num_seen,
        "num_texts_on_the_side_left_out_of_training": num_aside,
    }
