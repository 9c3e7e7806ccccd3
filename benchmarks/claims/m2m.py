"""What do M2M's claims compare? Objectives, depths and numbers of texts of a linear map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from benchmarks.claims.arms import TEXT, Arm
from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

from polyglance.languages.registry import ENGLISH
from polyglance.model.side import Side
from polyglance.recipes import m2m
from polyglance.recipes.data import english_text
from polyglance.recipes.m2m import M2MConfig

# From a random start, as the paper: from the closed form every arm would start at its end.
# Passes over the texts, as many as it takes for these steps.
NUM_STEPS = 1500
CONFIG = M2MConfig(start="random", batch_size=128, learning_rate=1e-3, num_epochs=1)
FEW, SOME = 1000, 5000


def _run(
    config: M2MConfig, *, tower: str, num_texts: int | None, wrong: bool
) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        texts = list(dict.fromkeys(world.english))
        if num_texts is not None:
            rows = np.random.default_rng(seed).permutation(len(texts))[:num_texts]
            texts = [texts[row] for row in rows.tolist()]
        side = world.tower(tower, frozen=True)
        pairs = english_text.encode_pairs(
            texts, teacher=world.teacher, tower=side, dev_fraction=0.1, seed=seed, cache=world.cache
        )
        if wrong:
            pairs = english_text.shuffled(pairs, seed=seed)
        steps_an_epoch = -(-len(pairs.x) // config.batch_size)
        epochs = -(-world.steps(NUM_STEPS) // steps_an_epoch)
        fitted = m2m.fit(pairs, replace(config, num_epochs=epochs, seed=seed))
        head = Side(side.tower, side.reference, fitted.map, pairs.head_input)
        names = ("known", "lacked") if tower == "known" else ("others",)
        asked = [name for group in names for name in world.groups[group]]
        return world.hits(head, languages=asked, num_steps=fitted.facts["num_steps"])

    return run


def _arm(
    name: str,
    says: str,
    config: M2MConfig = CONFIG,
    *,
    tower: str = "others",
    num_texts: int | None = None,
    wrong: bool = False,
) -> Arm:
    return Arm(
        name=name,
        says=says,
        run=_run(config, tower=tower, num_texts=num_texts, wrong=wrong),
        settings={
            **asdict(config),
            "least_steps": NUM_STEPS,
            "tower": f"frozen, {tower}",
            "num_texts": num_texts,
            "shuffled": wrong,
        },
        data=TEXT,
    )


def _teacher(world: World, seed: int) -> Ran:
    del seed
    return world.hits(world.teacher.text, languages=(ENGLISH, *world.groups["others"]))


ARMS = (
    Arm(
        name="teacher",
        says="the English-only model alone",
        run=_teacher,
        settings={},
        data=TEXT,
        seeded=False,
    ),
    _arm("m2m", "two layers, equation 6, all English texts"),
    _arm("one-layer", "one layer", replace(CONFIG, num_layers=1)),
    _arm("four-layers", "four layers", replace(CONFIG, num_layers=4)),
    _arm("mse", "two layers, squared error alone", replace(CONFIG, objective="mse")),
    _arm("cosine", "two layers, 1 - cosine", replace(CONFIG, objective="cosine")),
    _arm("l1", "two layers, absolute error", replace(CONFIG, objective="l1")),
    _arm("texts-1000", "as m2m, from 1,000 texts", num_texts=FEW),
    _arm("texts-5000", "as m2m, from 5,000 texts", num_texts=SOME),
    _arm("shuffled", "as m2m, each text paired with another's vector", wrong=True),
    _arm("narrow", "as m2m, behind a tower that never saw some languages", tower="known"),
    _arm("narrow-shuffled", "the same on shuffled pairs", tower="known", wrong=True),
)
