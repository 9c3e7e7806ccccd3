"""What do the claims beyond M2M compare? Two maps behind two encoders, with unpaired text or none.

Legend: a bank is text of the other languages that nobody paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from types import ModuleType

import numpy as np
from benchmarks.claims import photos
from benchmarks.claims.arms import Arm
from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

from polyglance.model.side import Side
from polyglance.recipes import m2m, ridge
from polyglance.recipes.data import english_text
from polyglance.recipes.data.unpaired_text import UnpairedVectors
from polyglance.towers import load_tower

# In 8 bits, as photos are asked for; the same towers that the other maps go behind.
ENCODERS = {"e5": photos.ENCODER, "use": photos.NARROW_ENCODER}
RECIPES: dict[str, tuple[ModuleType, ridge.RidgeConfig | m2m.M2MConfig]] = {
    "ridge": (ridge, ridge.RidgeConfig()),
    "m2m": (m2m, m2m.M2MConfig()),
}
# English texts to fit on, drawn by the seed; texts a language of the bank, drawn once.
NUM_TEXTS, NUM_UNPAIRED = 5000, 1000
# What of the bank is used.
USES = {
    "": "no bank",
    "-means": "a bank for the means of languages; English chooses",
    "-chosen": "a bank for the means, and for the choice",
    "-shuffled": "the same, each English text paired with another's vector",
}


def _run(recipe: str, encoder: str, use: str) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        side = Side(load_tower(ENCODERS[encoder], modality="text"), ENCODERS[encoder])
        texts = list(dict.fromkeys(world.english))
        rows = np.random.default_rng(seed).permutation(len(texts))[:NUM_TEXTS]
        pairs = english_text.encode_pairs(
            [texts[row] for row in rows.tolist()],
            teacher=world.teacher,
            tower=side,
            dev_fraction=0.1,
            seed=seed,
            unpaired=world.unpaired(NUM_UNPAIRED) if use else (),
            cache=world.cache,
        )
        if use == "-shuffled":
            pairs = english_text.shuffled(pairs, seed=seed)
        means = pairs.unpaired.means
        if use == "-means":  # with no texts to judge by, English chooses
            pairs = replace(pairs, unpaired=UnpairedVectors(means=means))
        module, config = RECIPES[recipe]
        fitted = module.fit(pairs, replace(config, seed=seed))
        return world.hits(
            Side(side.tower, side.reference, fitted.map, pairs.head_input, means=means)
        )

    return run


def _arm(recipe: str, encoder: str, use: str) -> Arm:
    return Arm(
        name=f"{recipe}-{encoder}{use}",
        says=f"{recipe} behind {encoder}, {USES[use]}",
        run=_run(recipe, encoder, use),
        settings={
            **asdict(RECIPES[recipe][1]),
            "tower": ENCODERS[encoder],
            "num_texts": NUM_TEXTS,
            "num_unpaired_texts_a_language": NUM_UNPAIRED if use else 0,
            "use": USES[use],
        },
        data=("photos",),
    )


ARMS = tuple(
    _arm(recipe, encoder, use) for recipe in RECIPES for encoder in ENCODERS for use in USES
)
