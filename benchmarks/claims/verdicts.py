"""Does a claim hold, going by an effect, its interval and what the claim says of it?

Legend: S seeds, B draws of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Direction = Literal["above", "within", "at most"]
Verdict = Literal["holds", "does not hold here", "no effect", "cannot tell"]

CONFIDENCE = 0.95
# A small difference between arms that hardly find anything shows nothing.
LEAST_LEVEL_IN_MARGINS = 4
# What a difference has to reach to count as one: the margin of all claims that call one small.
SMALL = 1.0
NOISE_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What was measured, in points of per cent.

    Attributes:
        value: Mean over seeds and images.
        low: Lower end of the 95 % interval, images drawn and seeds allowed for.
        high: Upper end.
        by_seed: The effect of each seed alone.
    """

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]


def verdict(
    effect: Effect, direction: Direction, *, margin: float = 0.0, level: float = 100.0
) -> Verdict:
    """What the interval says of a claim.

    Args:
        effect: With its interval.
        direction: `above`: the effect is more than `margin`. `within`: it is no further from zero
            than `margin`. `at most`: it is `margin` or less.
        margin: In points, 0 or more.
        level: What the best arm reaches, in per cent. Below four margins, a claim that a
            difference is small cannot be told from arms that learnt nothing.

    >>> verdict(Effect(value=2.0, low=1.0, high=3.0, by_seed=(2.0,)), "above")
    'holds'
    >>> verdict(Effect(value=0.2, low=-0.4, high=0.8, by_seed=(0.2,)), "within", margin=1.0)
    'holds'
    >>> verdict(Effect(value=0.2, low=-0.4, high=0.8, by_seed=(0.2,)), "above")
    'no effect'
    >>> verdict(Effect(value=0.2, low=-0.4, high=1.8, by_seed=(0.2,)), "above")
    'cannot tell'
    """
    if direction == "above":
        inside, outside = effect.low > margin, effect.high <= margin
    elif direction == "at most":
        inside, outside = effect.high <= margin, effect.low > margin
    else:
        inside = -margin <= effect.low and effect.high <= margin
        outside = effect.low > margin or effect.high < -margin
    if inside and direction != "above" and level < LEAST_LEVEL_IN_MARGINS * margin:
        return "cannot tell"
    if inside:
        return "holds"
    if outside:
        return "does not hold here"
    # Without this an effect of nothing could never be told, however narrow its interval.
    asks_for_any = direction == "above" and margin == 0 and level >= LEAST_LEVEL_IN_MARGINS * SMALL
    if asks_for_any and effect.low > -SMALL and effect.high < SMALL:
        return "no effect"
    return "cannot tell"


def difference(a: Doubles, b: Doubles) -> Doubles:
    """The first above the second."""
    return a - b


def first_above_the_rest(*scores: Doubles) -> Doubles:
    """The first above the best of the others."""
    found: Doubles = scores[0] - np.max(scores[1:], axis=0)
    return found


def the_rest_above_last(*scores: Doubles) -> Doubles:
    """The lowest of the others above the last."""
    found: Doubles = np.min(scores[:-1], axis=0) - scores[-1]
    return found


def bend(a: Doubles, b: Doubles, c: Doubles) -> Doubles:
    """How much more is lost from the first to the second than from there to the third."""
    return (a - b) - (b - c)


# How the scores that a claim compares become one effect, row by row.
COMBINATIONS: Mapping[str, Callable[..., Doubles]] = MappingProxyType(
    {
        "difference": difference,
        "first above the rest": first_above_the_rest,
        "the rest above the last": the_rest_above_last,
        "bend": bend,
    }
)


def effect_of(by_seed: Sequence[Doubles], drawn: Sequence[Doubles], *, combination: str) -> Effect:
    """Combine the scores that a claim compares.

    The interval holds both sources of doubt: images are drawn with replacement (the same for all
    scores, seeds averaged), and to each draw comes the doubt of a mean of S seeds, Student's t with
    the spread between them.

    Args:
        by_seed: Of each score its mean by seed, (S,) fractions; one that has no seed has (1,).
        drawn: Of each score its drawn means, seeds averaged, (B,) fractions.
        combination: A row of `COMBINATIONS`.
    """
    combine = COMBINATIONS[combination]
    num_seeds = max(len(each) for each in by_seed)
    seeds = 100 * combine(*(np.broadcast_to(each, num_seeds) for each in by_seed))  # (S,)
    value = float(100 * combine(*(np.array([each.mean()]) for each in by_seed))[0])
    draws = 100 * combine(*drawn)  # (B,)
    if num_seeds > 1:
        random = np.random.default_rng(NOISE_SEED)
        doubt = seeds.std(ddof=1) / np.sqrt(num_seeds)
        draws = draws + doubt * random.standard_t(num_seeds - 1, size=len(draws))
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [outside, 1 - outside])
    return Effect(value=value, low=float(low), high=float(high), by_seed=tuple(seeds.tolist()))
