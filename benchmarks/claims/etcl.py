"""What do ETCL's claims compare? What comes after MURAL: triples, or pictures in some languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from benchmarks.claims.arms import BOTH, Arm
from benchmarks.claims.scores import Hits
from benchmarks.claims.worlds import World

from polyglance.languages.registry import ENGLISH
from polyglance.model.pack import LanguagePack
from polyglance.recipes.contrastive import etcl
from polyglance.recipes.contrastive.etcl import EtclConfig

# Both second stages get the same number of steps, at the same rates. Twice as many pictures as
# texts a step would be another fairness: triples show two captions a picture, pairs one.
MURAL = EtclConfig(stage="mural", num_mural_steps=250, batch_size=512)
TRIPLES = replace(MURAL, stage="etcl", num_etcl_steps=150)
PICTURES = replace(MURAL, stage="fine-tuning", num_fine_tuning_steps=150)


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


def _start(world: World, seed: int) -> Hits:
    return world.hits_of_pack(_mural(world, seed))


def _on(config: EtclConfig, *languages: str) -> Callable[[World, int], Hits]:
    """Go on from MURAL on pictures with captions in some languages; none means the group `well`."""

    def run(world: World, seed: int) -> Hits:
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


def _arm(
    name: str,
    says: str,
    config: EtclConfig,
    *languages: str,
    data: tuple[str, ...] = BOTH,
) -> Arm:
    settings = {"mural": asdict(MURAL), "then": asdict(config), "languages": list(languages)}
    return Arm(name=name, says=says, run=_on(config, *languages), settings=settings, data=data)


ARMS = (
    Arm(
        name="mural",
        says="English pictures, parallel text of all languages",
        run=_start,
        settings=asdict(MURAL),
    ),
    _arm("triples", "then triples of English and the languages with much data", TRIPLES),
    _arm("pictures", "then pictures in the same languages, without the text pair", PICTURES),
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
