"""What do NLLB-CLIP's claims compare? Which towers learn, and how captions share the languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from benchmarks.claims.arms import Arm
from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

from polyglance.languages.registry import ENGLISH
from polyglance.recipes.contrastive import nllb_clip
from polyglance.recipes.contrastive.nllb_clip import NllbClipConfig
from polyglance.recipes.data import image_text
from polyglance.recipes.data.image_text import ImageText

# The small convolution is trained at the projections' rate, as its own recipe does: 1e-5, which is
# for transformers, would leave it where it is. Batches of 128: pixels are dear on two cores.
FULL = NllbClipConfig(regime="full", num_steps=75, batch_size=128, trunk_rate=1e-3)
# A published image tower, as on photos: of EfficientNet-Lite2 the last stage learns, at a rate for
# pretrained weights; what the frozen stages give is kept.
LAST_STAGE = {"trainable_image_stages": 1, "trunk_rate": 1e-4}
SHARES = NllbClipConfig(num_steps=200, batch_size=512)
# By how much text the web has in them, most first.
BY_RESOURCES = (
    ENGLISH,
    "rus_Cyrl",
    "spa_Latn",
    "deu_Latn",
    "fra_Latn",
    "jpn_Jpan",
    "ces_Latn",
    "zho_Hans",
    "arb_Arab",
    "fin_Latn",
    "hin_Deva",
    "tam_Taml",
    "swh_Latn",
)


def spread(data: ImageText, *, equal: bool, seed: int) -> ImageText:
    """One caption a picture: languages in equal numbers, or as one over their rank.

    Args:
        data: Captions in all languages.
        equal: Whether languages get the same number; else the r-th of them gets a share of 1 / r.
        seed: Fixes which picture gets which.
    """
    random = np.random.default_rng(seed)
    ranked = [name for name in BY_RESOURCES if name in data.languages]
    weight = np.ones(len(ranked)) if equal else 1 / np.arange(1, len(ranked) + 1)
    there: dict[str, dict[str, list[image_text.Caption]]] = {}
    for caption in data.captions:
        there.setdefault(caption.item_id, {}).setdefault(caption.language, []).append(caption)
    chosen = []
    for item_id in data.item_ids:
        share = np.array([w * (n in there[item_id]) for n, w in zip(ranked, weight, strict=True)])
        if share.sum():
            language = ranked[random.choice(len(ranked), p=share / share.sum())]
            listed = there[item_id][language]
            chosen.append(listed[random.integers(len(listed))])
    return image_text.join(chosen, item_ids=data.item_ids, contents=data.contents)


def _regime(config: NllbClipConfig) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        told = replace(config, seed=seed, num_steps=world.steps(config.num_steps))
        teacher, pixels, files = world.teacher, None, None
        if config.regime == "full" and world.whole is not None:
            told = replace(told, **LAST_STAGE)
            teacher, files = world.whole()
        elif config.regime == "full":
            assert world.pixels is not None
            if "pixels" not in world.kept:
                world.kept["pixels"] = world.pixels()
            pixels = world.kept["pixels"]
        pack = nllb_clip.train(
            world.image_text.speaking(ENGLISH, *world.groups["others"]),
            teacher=teacher,
            config=told,
            tower=world.tower("others"),
            pixels=pixels,
            files=files,
            cache=world.cache,
        )
        return world.hits_of_pack(pack, languages=(ENGLISH, *world.groups["others"]))

    return run


def _shares(config: NllbClipConfig, *, equal: bool) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        pack = nllb_clip.train(
            spread(world.image_text, equal=equal, seed=seed),
            teacher=world.teacher,
            config=replace(config, seed=seed, num_steps=world.steps(config.num_steps)),
            tower=world.tower("others"),
            cache=world.cache,
        )
        return world.hits_of_pack(pack, languages=(ENGLISH, *world.groups["others"]))

    return run


def _arm(name: str, says: str, config: NllbClipConfig) -> Arm:
    settings = {**asdict(config), "on photos": LAST_STAGE if config.regime == "full" else {}}
    return Arm(name=name, says=says, run=_regime(config), settings=settings)


def _share_arm(name: str, says: str, config: NllbClipConfig, *, equal: bool) -> Arm:
    settings = {**asdict(config), "captions": "equal" if equal else "1 / rank"}
    return Arm(name=name, says=says, run=_shares(config, equal=equal), settings=settings)


_BEHIND = replace(FULL, image_projection="behind")
ARMS = (
    _arm(
        "full",
        "text tower, image tower (on photos its last stage) and projections learn",
        FULL,
    ),
    _arm(
        "text-encoder",
        "text tower and both projections learn; image tower frozen",
        replace(_BEHIND, regime="text-encoder"),
    ),
    _arm(
        "projection", "both projections learn; towers frozen", replace(_BEHIND, regime="projection")
    ),
    _share_arm("equal-captions", "one caption a picture, languages equal", SHARES, equal=True),
    _share_arm(
        "natural-captions",
        "one caption a picture, the r-th language 1/r of them, drawn as they come",
        replace(SHARES, language_sampling="proportional"),
        equal=False,
    ),
    _share_arm(
        "natural-equal-draws",
        "the same captions, every language drawn equally often",
        SHARES,
        equal=False,
    ),
)
