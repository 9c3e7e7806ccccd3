"""What do uCLIP's claims compare? The full objective, and each of its parts left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from benchmarks.claims.arms import Arm
from benchmarks.claims.scores import Ran
from benchmarks.claims.worlds import World

from polyglance.recipes import uclip
from polyglance.recipes.uclip import UclipConfig

# As published but for the width of the shared space and the number of steps: five passes over the
# few texts here would teach nothing.
CONFIG = UclipConfig(dim=256)
NUM_STEPS = 200


def _run(config: UclipConfig) -> Callable[[World, int], Ran]:
    def run(world: World, seed: int) -> Ran:
        pack = uclip.train(
            list(dict.fromkeys(world.english)),
            world.banks(),
            teacher=world.teacher,
            tower=world.tower("others", frozen=True),
            config=replace(config, seed=seed, num_epochs=1, least_steps=world.steps(NUM_STEPS)),
            cache=world.cache,
        )
        return world.hits_of_pack(pack)

    return run


def _arm(name: str, says: str, config: UclipConfig) -> Arm:
    settings = {**asdict(config), "num_steps": NUM_STEPS, "tower": "frozen, others"}
    return Arm(name=name, says=says, run=_run(config), settings=settings)


ARMS = (
    _arm("uclip", "all terms, perturbed", CONFIG),
    _arm("no-perturbation", "no noise", replace(CONFIG, noise=0.0)),
    _arm("no-pseudo", "without L_pseudo", replace(CONFIG, pseudo_weight=0.0)),
    _arm("no-text", "without L_text", replace(CONFIG, text_weight=0.0)),
    _arm("no-intra", "without L_intra", replace(CONFIG, intra_weight=0.0)),
)
