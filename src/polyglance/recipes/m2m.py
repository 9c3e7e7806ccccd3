"""`m2m`: linear layers from a multilingual text tower into a teacher's space, from English alone.

Source: Multilingual-To-Multimodal (M2M), sections 3 and 4. The paper's own schedule is
`M2MConfig.as_published()`; the default reaches its dev score in a tenth of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance import errors, heads, objectives, solvers
from polyglance import train as training
from polyglance.embed import VectorCache
from polyglance.model import DualEncoder
from polyglance.packs import LanguagePack
from polyglance.recipes import english_text
from polyglance.sides import HeadInput, Side

ObjectiveName = Literal["m2m", "mse", "cosine", "l1"]

# A start need not be the best ridge map, only near it: two penalties cost a third of seven.
START_PENALTIES = (1e-2, 1e-1)
# Table 1 of the paper compares these four; each takes unit (N, D) mapped and target rows.
OBJECTIVES: Mapping[str, Callable[[Tensor, Tensor], objectives.Terms]] = {
    "m2m": objectives.m2m,
    "mse": objectives.mean_squared_error,
    "cosine": objectives.cosine_distance,
    "l1": objectives.mean_absolute_error,
}


@dataclass(frozen=True, kw_only=True)
class M2MConfig:
    """Settings of `m2m`.

    Attributes:
        num_layers: Linear layers, 1, 2 or 4 in the paper.
        residual: Skip connections around layers of equal width.
        objective: `m2m` is equation 6; the others are rows of table 1.
        alignment_weight: lambda, given for D = 768 and rescaled to the space's width.
        structure_weight: beta.
        start: `ridge` begins at the closed form, `random` as the paper does. From the closed form
            a few epochs are enough, since only the structure term is still to be weighed in.
        num_epochs: Passes over the texts.
        batch_size: Texts a step; the structure term compares them pair by pair.
        learning_rate: Peak rate of AdamW, falling linearly.
        weight_decay: Decoupled decay.
        num_warmup_steps: Steps of linear warm-up.
        dev_fraction: Share of the texts that chooses the epoch.
        head_input: Whether the head takes the tower's vectors raw or at length one.
        seed: Fixes split, start and order.
    """

    num_layers: int = 2
    residual: bool = False
    objective: ObjectiveName = "m2m"
    alignment_weight: float = 48.0
    structure_weight: float = 1.0
    start: Literal["ridge", "random"] = "ridge"
    num_epochs: int = 6
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    num_warmup_steps: int = 50
    dev_fraction: float = 0.1
    head_input: HeadInput = "unit"
    seed: int = 0

    @classmethod
    def as_published(cls) -> M2MConfig:
        """The paper's schedule: 50 epochs of batches of 64 from a random start."""
        return cls(start="random", num_epochs=50, batch_size=64, learning_rate=3e-4)


def fit(pairs: english_text.EncodedPairs, config: M2MConfig) -> english_text.Fitted:
    """Descend to the map and fold its layers into one."""
    started = time.perf_counter()
    head = _start_head(pairs, config)
    objective = _objective(config)
    x, y = torch.from_numpy(pairs.x), torch.from_numpy(pairs.y)
    dev_x = torch.from_numpy(pairs.dev_x)

    def step(rows: Tensor) -> objectives.Terms:
        return objective(functional.normalize(head(x[rows]), dim=1), y[rows])

    def validate() -> float:
        return english_text.dev_score(head(dev_x).numpy(), pairs)

    steps_an_epoch = -(-len(x) // config.batch_size)
    report = training.fit(
        head,
        step,
        batches=training.shuffled_batches(len(x), batch_size=config.batch_size, seed=config.seed),
        config=training.TrainConfig(
            num_steps=config.num_epochs * steps_an_epoch,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            num_warmup_steps=config.num_warmup_steps,
            validate_every=steps_an_epoch,
        ),
        validate=validate,
        label="m2m",
    )
    facts = {"dev_hit_rate_at_1": report.best_score, "best_step": report.best_step}
    seconds = time.perf_counter() - started
    return english_text.Fitted(head.fold(), heads.count_parameters(head), seconds, facts)


def train(
    texts: Sequence[str],
    *,
    teacher: DualEncoder,
    tower: Side,
    config: M2MConfig,
    cache: VectorCache | None = None,
) -> LanguagePack:
    """English texts in, a language pack out; arguments as those of `ridge.train`."""
    return english_text.train_pack(
        "m2m",
        lambda pairs: fit(pairs, config),
        texts=texts,
        teacher=teacher,
        tower=tower,
        config=config,
        cache=cache,
    )


def _start_head(pairs: english_text.EncodedPairs, config: M2MConfig) -> heads.LinearHead:
    torch.manual_seed(config.seed)
    dim_in, dim_out = pairs.x.shape[1], pairs.y.shape[1]
    head = heads.LinearHead(dim_in, dim_out, num_layers=config.num_layers, residual=config.residual)
    if config.start == "ridge":
        solution, _ = solvers.best_ridge(
            pairs.x, pairs.y, dev_x=pairs.dev_x, dev_y=pairs.dev_y, penalties=START_PENALTIES
        )
        head.start_from(solution)
    return head


def _objective(config: M2MConfig) -> Callable[[Tensor, Tensor], objectives.Terms]:
    if config.objective not in OBJECTIVES:
        raise errors.unknown_name("objective", config.objective, allowed=OBJECTIVES)
    if config.objective != "m2m":
        return OBJECTIVES[config.objective]
    return lambda mapped, target: objectives.m2m(
        mapped,
        target,
        alignment_weight=config.alignment_weight,
        structure_weight=config.structure_weight,
    )
