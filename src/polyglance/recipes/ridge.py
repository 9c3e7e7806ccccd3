"""`ridge`: the linear map of M2M in closed form, from English text alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from polyglance.encoding.texts import VectorCache
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import HeadInput, Side
from polyglance.recipes import bounds
from polyglance.recipes.data import english_text

# A factor of ten each way from what won on every world tried so far (1e-2 to 1e-1).
PENALTIES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


@dataclass(frozen=True, kw_only=True)
class RidgeConfig:
    """Settings of `ridge`.

    Attributes:
        penalties: Tried on the dev split, in units of the inputs' mean variance. Unpaired text of
            other languages chooses by how well it is carried, where there is some.
        dev_fraction: Share of the texts that chooses the penalty.
        head_input: Whether the map takes the tower's vectors raw or at length one.
        seed: Fixes the dev split.
    """

    penalties: tuple[bounds.Positive, ...] = PENALTIES
    dev_fraction: bounds.DevShareAboveZero = 0.1
    head_input: HeadInput = "unit"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)


def fit(pairs: english_text.EncodedPairs, config: RidgeConfig) -> english_text.Fitted:
    """Solve for the map; the whole fit is two matrix products and one eigendecomposition."""
    started = time.perf_counter()
    judge = english_text.Judge(pairs)
    solution, penalty = judge.best_ridge(config.penalties)
    seconds = time.perf_counter() - started
    facts = {"penalty": penalty, **judge.facts(solution)}
    return english_text.Fitted(solution, solution.weight.size + solution.bias.size, seconds, facts)


def train(
    texts: Sequence[str],
    *,
    teacher: DualEncoder,
    tower: Side,
    config: RidgeConfig,
    unpaired: Sequence[tuple[str, str]] = (),
    cache: VectorCache | None = None,
) -> LanguagePack:
    """English texts in, a language pack out.

    Args:
        texts: English, like those that will be searched.
        teacher: The dual encoder that learns languages.
        tower: A multilingual text tower.
        config: Settings.
        unpaired: Language ids and texts that nobody paired: where each language lies.
        cache: Keeps what the towers gave.
    """
    return english_text.train_pack(
        "ridge",
        lambda pairs: fit(pairs, config),
        texts=texts,
        teacher=teacher,
        tower=tower,
        config=config,
        cache=cache,
        unpaired=unpaired,
    )
