"""Parallel-text training data: groups of translations, and their batches.

Legend: N texts, G groups, B texts of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Pair
from polyglance.towers.tiny import ngrams

# Fewer translations of a language than this leave it unlearnt; it is counted and told.
LEAST_TEXTS_A_LANGUAGE = 10
MIN_GROUPS = 2


@dataclass(frozen=True, eq=False)
class GroupedText:
    """Texts that say the same as an English text.

    Attributes:
        english: G distinct English texts; one a group.
        texts: N texts, the English ones among them.
        text_languages: N language ids.
        groups: int64 (N,), which English text each belongs to.
        exact: bool (N,), whether it translates that text or only belongs to it, as a keyword does.
    """

    english: tuple[str, ...]
    texts: tuple[str, ...]
    text_languages: tuple[str, ...]
    groups: NDArray[np.int64]
    exact: NDArray[np.bool_]

    @property
    def languages(self) -> dict[str, int]:
        """By language id, how many exact texts."""
        found = dict.fromkeys(self.text_languages, 0)
        for language, exact in zip(self.text_languages, self.exact.tolist(), strict=True):
            found[language] += exact
        return found


@dataclass(frozen=True, eq=False)
class ParallelText:
    """Texts that say the same as an English text, featurised.

    Attributes:
        english: G distinct English texts; one a group.
        features: Of N texts.
        groups: int64 (N,), which English text each belongs to.
        exact: bool (N,), whether it translates that text or only belongs to it, as a keyword does.
        languages: By language id, how many texts.
    """

    english: tuple[str, ...]
    features: ngrams.Features
    groups: NDArray[np.int64]
    exact: NDArray[np.bool_]
    languages: dict[str, int]


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts of one step.

    Attributes:
        features: Of B texts.
        groups: int64 (B,).
        weights: float32 (B,), how much each counts.
    """

    features: ngrams.Features
    groups: Tensor
    weights: Tensor


def group(pairs: Sequence[Pair], related: Sequence[Pair] = ()) -> GroupedText:
    """Group pairs by their English text, which is a text of its group as well.

    Args:
        pairs: English text and translation.
        related: English text and something that only belongs to it.

    Raises:
        TrainingError: For fewer than two groups: there would be nothing to tell apart.
    """
    english = tuple(dict.fromkeys(pair.text_a for pair in pairs))
    if len(english) < MIN_GROUPS:
        raise errors.TrainingError(
            f"{len(english)} different English texts; parallel text needs {MIN_GROUPS} or more",
            hint="give a table with the columns english, language and text",
        )
    number = {text: i for i, text in enumerate(english)}
    rows = [(text, i, ENGLISH, True) for text, i in number.items()]
    rows += [(p.text_b, number[p.text_a], p.language_b, True) for p in pairs]
    rows += [
        (p.text_b, number[p.text_a], p.language_b, False) for p in related if p.text_a in number
    ]
    rows = list(dict.fromkeys(rows))
    return GroupedText(
        english,
        tuple(row[0] for row in rows),
        tuple(row[2] for row in rows),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[3] for row in rows], bool),
    )


def gather(pairs: Sequence[Pair], related: Sequence[Pair] = ()) -> ParallelText:
    """The same as `group`, featurised; arguments and errors are those."""
    return featurised(group(pairs, related))


def featurised(data: GroupedText) -> ParallelText:
    """Hash the n-grams of grouped texts."""
    return ParallelText(
        data.english, ngrams.featurise(data.texts), data.groups, data.exact, data.languages
    )


def batches(
    data: ParallelText,
    *,
    batch_size: int,
    related_share: float,
    related_weight: float,
    seed: int,
) -> Callable[[int], Iterator[Batch]]:
    """Random batches: a share of related texts among exact ones; an epoch sees N texts.

    Args:
        data: The texts.
        batch_size: B.
        related_share: Share of related texts in a batch, where there are any.
        related_weight: How much one of those counts against an exact one.
        seed: Fixes the draws.
    """
    exact, related = np.flatnonzero(data.exact), np.flatnonzero(~data.exact)
    num_related = int(batch_size * related_share) if len(related) else 0
    weights = torch.ones(batch_size)
    weights[batch_size - num_related :] = related_weight

    def epoch_batches(epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([seed, epoch])
        for _ in range(max(1, len(data.groups) // batch_size)):
            rows = rng.choice(exact, batch_size - num_related)
            if num_related:
                rows = np.concatenate([rows, rng.choice(related, num_related)])
            yield Batch(
                ngrams.select(data.features, rows), torch.from_numpy(data.groups[rows]), weights
            )

    return epoch_batches


def thin_languages(data: ParallelText | GroupedText) -> list[str]:
    """Languages with too few translations to be learnt."""
    return sorted(name for name, n in data.languages.items() if n < LEAST_TEXTS_A_LANGUAGE)
