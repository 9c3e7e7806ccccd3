"""Training on English text alone: encoded pairs, and the pack around a map.

Legend: N training rows, M dev rows, D_in width of the multilingual tower, D of the space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import closed_form
from polyglance.heads.affine import AffineMap, Head
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import HeadInput, Side
from polyglance.recipes.data.transfer import Map, transfer_test
from polyglance.recipes.data.unpaired_text import UnpairedVectors, encode_unpaired
from polyglance.storage import digests
from polyglance.vectors import Vectors, unit

# Fewer texts than this leave no dev split worth choosing by.
LEAST_TEXTS = 20
MOST_DEV_TEXTS = 2000


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """The same English texts by two towers, apart for fitting and for choosing.

    Attributes:
        x: Float32 (N, D_in), the multilingual tower's, as the head takes them.
        y: Float32 (N, D), unit, the teacher's.
        dev_x: Float32 (M, D_in).
        dev_y: Float32 (M, D), unit.
        head_input: How `x` was made from the tower's raw vectors.
        num_repeated: Texts left out because they came twice.
        data_id: Fingerprint of the texts and of both towers. Not of the vectors: these change in
            their last bits when a cache is made anew, and a run must be resumed in spite of it.
        unpaired: Texts of other languages that nobody paired, and the means of these.
    """

    x: Vectors
    y: Vectors
    dev_x: Vectors
    dev_y: Vectors
    head_input: HeadInput
    num_repeated: int
    data_id: str = ""
    unpaired: UnpairedVectors = field(default_factory=UnpairedVectors)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What fitting gave: the folded head, and what to tell of it."""

    map: Head
    num_trainable_parameters: int
    seconds: float
    facts: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SplitTexts:
    """Distinct texts, and which of them fit and which choose.

    Attributes:
        texts: All of them.
        fit_rows: int64 (N,), rows of `texts`.
        dev_rows: int64 (M,), the others.
        num_repeated: Texts left out because they came twice, or were empty.
    """

    texts: list[str]
    fit_rows: NDArray[np.int64]
    dev_rows: NDArray[np.int64]
    num_repeated: int


def split_texts(texts: Sequence[str], *, dev_fraction: float, seed: int) -> SplitTexts:
    """Drop repeats and set a dev split aside.

    Args:
        texts: English texts.
        dev_fraction: Share that chooses and does not fit, in (0, 0.5].
        seed: Fixes the split.

    Raises:
        TrainingError: For too few texts.
        ConfigError: For a dev fraction out of its range.
    """
    if not 0 < dev_fraction <= 0.5:
        raise errors.ConfigError(
            f"dev_fraction {dev_fraction}; it must be above 0 and at most 0.5", hint="try 0.1"
        )
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    if len(distinct) < LEAST_TEXTS:
        raise errors.TrainingError(
            f"{len(distinct)} different texts; a map needs {LEAST_TEXTS} or more",
            hint="give captions like those that will be searched; 1,000 come close to the best",
        )
    order = np.random.default_rng(seed).permutation(len(distinct))
    num_dev = min(MOST_DEV_TEXTS, max(LEAST_TEXTS // 2, int(len(distinct) * dev_fraction)))
    return SplitTexts(distinct, order[num_dev:], order[:num_dev], len(texts) - len(distinct))


def encode_pairs(
    texts: Sequence[str],
    *,
    teacher: DualEncoder,
    tower: Side,
    dev_fraction: float,
    seed: int,
    head_input: HeadInput = "unit",
    unpaired: Sequence[tuple[str, str]] = (),
    cache: VectorCache | None = None,
) -> EncodedPairs:
    """Encode English texts with both towers and set a dev split aside.

    Args:
        texts: English texts; repeats are dropped.
        teacher: Gives the targets, by its own text side.
        tower: The multilingual tower; a head it has is ignored.
        dev_fraction: Share of the texts that choose and do not fit, in (0, 0.5].
        seed: Fixes the split.
        head_input: Whether the map takes raw vectors or unit ones.
        unpaired: Language ids and texts that nobody paired.
        cache: Keeps what the towers gave.

    Raises:
        TrainingError: For too few texts.
        ConfigError: For a dev fraction out of its range.
    """
    split = split_texts(texts, dev_fraction=dev_fraction, seed=seed)
    english = [ENGLISH] * len(split.texts)
    raw = text_vectors(split.texts, tower.tower, languages=english, cache=cache)
    x = unit(raw) if head_input == "unit" else raw
    y = teacher.with_no_pack().encode_texts(split.texts, languages=english, cache=cache)
    fit, dev = split.fit_rows, split.dev_rows
    return EncodedPairs(
        x[fit],
        y[fit],
        x[dev],
        y[dev],
        head_input,
        split.num_repeated,
        data_id(
            [*split.texts, *(part for said in unpaired for part in said)],
            tower.tower.fingerprint,
            teacher.text.space_id,
        ),
        encode_unpaired(unpaired, tower=tower, english=x[fit], head_input=head_input, cache=cache),
    )


def data_id(texts: Sequence[str], *towers: str) -> str:
    """Fingerprint of texts and of the towers that encode them, which no vector enters."""
    said = "".join(f"{len(part)}\0{part}" for part in (*towers, *texts))
    return digests.of_parts([said])


def shuffled(pairs: EncodedPairs, *, seed: int) -> EncodedPairs:
    """The control: the same vectors, each text paired with another one's target.

    A map fitted on it has seen all the statistics of both spaces and no correspondence.
    """
    order = np.random.default_rng(seed).permutation(len(pairs.y))
    dev_order = np.random.default_rng(seed + 1).permutation(len(pairs.dev_y))
    return replace(
        pairs,
        y=pairs.y[order],
        dev_y=pairs.dev_y[dev_order],
        data_id=f"{pairs.data_id}, shuffled by {seed}",
    )


class Judge:
    """What chooses among maps: unpaired text of other languages where there is some, else English.

    Args:
        pairs: Dev texts and unpaired text.
    """

    def __init__(self, pairs: EncodedPairs) -> None:
        self._pairs = pairs
        self._test = transfer_test(pairs.unpaired.vectors, english=pairs.x, targets=pairs.y)

    def score(self, fitted: Map) -> float:
        """See `transfer.TransferTest.score`; in English the hit rate at 1 of dev texts."""
        if self._test is not None:
            return self._test.score(fitted)
        return dev_score(fitted(self._pairs.dev_x), self._pairs)

    def best_ridge(self, penalties: Sequence[float]) -> tuple[AffineMap, float]:
        """The ridge map and its penalty; where English chooses, by mean cosine.

        Args:
            penalties: Candidates, each above zero.
        """
        pairs = self._pairs
        return closed_form.best_ridge(
            pairs.x,
            pairs.y,
            dev_x=pairs.dev_x,
            dev_y=pairs.dev_y,
            penalties=penalties,
            score=None if self._test is None else self._test.score,
        )

    def facts(self, fitted: Map) -> dict[str, float]:
        """The dev scores of what was chosen, for a pack's manifest."""
        found = {"dev_hit_rate_at_1": dev_score(fitted(self._pairs.dev_x), self._pairs)}
        if self._test is not None:
            found["transfer_hit_rate_at_10"] = self._test.score(fitted)
        return found


def dev_score(mapped: Vectors, pairs: EncodedPairs) -> float:
    """Hit rate at 1 of finding a dev text's target among all dev targets.

    Args:
        mapped: Float32 (M, D): `pairs.dev_x` through the map.
        pairs: Holds the targets.
    """
    return retrieval.bitext_accuracy(unit(mapped), pairs.dev_y)


class MapConfig(Protocol):
    """What every config of these recipes has; see the recipes."""

    @property
    def dev_fraction(self) -> float:
        """Share of the texts that chooses."""

    @property
    def head_input(self) -> HeadInput:
        """Whether the map takes raw vectors or unit ones."""

    @property
    def seed(self) -> int:
        """Fixes the dev split."""


def train_pack(
    recipe: str,
    fit: Callable[[EncodedPairs], Fitted],
    *,
    texts: Sequence[str],
    teacher: DualEncoder,
    tower: Side,
    config: MapConfig,
    cache: VectorCache | None,
    unpaired: Sequence[tuple[str, str]] = (),
) -> LanguagePack:
    """English texts in, a language pack out, by whichever way to fit the map.

    Args:
        recipe: Its name.
        fit: Pairs to a map.
        texts: English, like those that will be searched.
        teacher: The dual encoder that learns languages.
        tower: A multilingual text tower.
        config: The recipe's config, a dataclass.
        cache: Keeps what the towers gave.
        unpaired: Language ids and texts that nobody paired; see `encode_unpaired`.
    """
    pairs = encode_pairs(
        texts,
        teacher=teacher,
        tower=tower,
        dev_fraction=config.dev_fraction,
        seed=config.seed,
        head_input=config.head_input,
        unpaired=unpaired,
        cache=cache,
    )
    return make_pack(recipe, fit(pairs), pairs=pairs, teacher=teacher, tower=tower, config=config)


def make_pack(
    recipe: str,
    fitted: Fitted,
    *,
    pairs: EncodedPairs,
    teacher: DualEncoder,
    tower: Side,
    config: Any,
) -> LanguagePack:
    """Put a fitted map behind its tower."""
    return new_pack(
        recipe,
        Side(
            tower.tower,
            tower.reference,
            fitted.map,
            pairs.head_input,
            means=pairs.unpaired.means,
        ),
        teacher=teacher,
        config=config,
        data={
            "kind": "English text",
            "num_texts": len(pairs.x),
            "num_dev_texts": len(pairs.dev_x),
            "num_repeated_texts_left_out": pairs.num_repeated,
            **pairs.unpaired.facts,
            **fitted.facts,
        },
        num_trainable_parameters=fitted.num_trainable_parameters,
        training_seconds=fitted.seconds,
    )
