"""What do ETCL's claims compare? What comes after MURAL: triples, or pictures in some languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from benchmarks.claims.arms import BOTH, Arm
from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

from polyglance.languages.registry import ENGLISH
from polyglance.model.pack import LanguagePack
from polyglance.recipes.contrastive import etcl
from polyglance.recipes.contrastive.etcl import EtclConfig

# What comes second gets the same number of steps and, as in the paper, a tenth of the first rates,
# triples as well as pictures (its section 5.4); `SLOWLY` has the hundredth of its fine-tuning on
# one data set (section 4.4). Twice as many pictures as texts a step would be another fairness:
# triples show two captions a picture, pairs one.
MURAL = EtclConfig(stage="mural", num_mural_steps=250, batch_size=512)
TRIPLES = replace(MURAL, stage="etcl", num_etcl_steps=150, etcl_rate_factor=0.1)
PICTURES = replace(
    MURAL, stage="fine-tuning", num_fine_tuning_steps=150, fine_tuning_rate_factor=0.1
)
SLOWLY = replace(PICTURES, fine_tuning_rate_factor=0.01)
AT_FULL_RATE = replace(TRIPLES, etcl_rate_factor=1.0)


def _mural(world: World, seed: int) -> LanguagePack:
    """English pictures and parallel text of all languages; kept for the arms that go on from it."""
    if ("mural", seed) not in world.kept:
        world.kept["mural", seed] = etcl.train(
            world.image_text.speaking(ENGLISH),
            teacher=world.teacher,
            config=_told(MURAL, world, seed),
            parallel=world.parallel,
            cache=world.cache,
        )
    pack: LanguagePack = world.kept["mural", seed]
    return pack


def _told(config: EtclConfig, world: World, seed: int) -> EtclConfig:
    names = ("num_mural_steps", "num_etcl_steps", "num_fine_tuning_steps")
    counts: dict[str, Any] = {name: world.steps(getattr(config, name)) for name in names}
    return replace(config, seed=seed, **counts)


def _start(world: World, seed: int) -> Ran:
    return world.hits_of_pack(_mural(world, seed))


def _on(config: EtclConfig, *languages: str) -> Callable[[World, int], Ran]:
    """Go on from MURAL on pictures with captions in some languages; none means the group `well`."""

    def run(world: World, seed: int) -> Ran:
        spoken = languages or (ENGLISH, *world.groups["well"])
        pack = etcl.train(
            world.image_text.speaking(*spoken),
            teacher=world.teacher,
            config=_told(config, world, seed),
            tower=_mural(world, seed).side,
            cache=world.cache,
        )
        return world.hits_of_pack(pack)

    return run


def _steps(config: EtclConfig) -> int:
    """Of the one stage that a config has."""
    return {
        "mural": config.num_mural_steps,
        "etcl": config.num_etcl_steps,
        "fine-tuning": config.num_fine_tuning_steps,
    }[config.stage]


def _arm(
    name: str,
    says: str,
    config: EtclConfig,
    *languages: str,
    data: tuple[str, ...] = BOTH,
) -> Arm:
    settings = {
        "mural": asdict(MURAL),
        "then": asdict(config),
        "languages": list(languages),
        "num_steps": _steps(config),
    }
    return Arm(name=name, says=says, run=_on(config, *languages), settings=settings, data=data)


ARMS = (
    Arm(
        name="mural",
        says="English pictures, parallel text of all languages",
        run=_start,
        settings={**asdict(MURAL), "num_steps": _steps(MURAL)},
    ),
    _arm("triples", "then triples of English and the languages with much data", TRIPLES),
    _arm("triples-fast", "the same triples at MURAL's own rate", AT_FULL_RATE),
    _arm("pictures", "then pictures in the same languages, without the text pair", PICTURES),
    _arm("pictures-slow", "the same pictures at a hundredth of MURAL's rate", SLOWLY),
    *(
        _arm(
            f"pictures-{code}",
            f"then pictures in {name} alone",
            PICTURES,
            language,
            data=("pictograms",),
        )
        for code, name, language in (
            ("rus", "Russian", "rus_Cyrl"),
            ("spa", "Spanish", "spa_Latn"),
            ("deu", "German", "deu_Latn"),
            ("jpn", "Japanese", "jpn_Jpan"),
        )
    ),
)
