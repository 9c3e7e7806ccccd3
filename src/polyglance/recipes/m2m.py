"""`m2m`: linear layers from a multilingual text tower into a teacher's space, from English alone.

For search, `train` makes a language pack: unit vectors, alignment and structure. For a generator
that was built on an English text encoder, `generation.m2m.fit` makes a head that gives that
encoder's raw vectors: squared error alone, no structure, lengths learnt with directions.

Source: Multilingual-To-Multimodal (M2M), sections 3 and 4; 7 for generation. The paper's own
schedules are `M2MConfig.as_published()` and `M2MConfig.for_generation_as_published()`; the default
reaches the first one's dev score in a tenth of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache
from polyglance.heads import linear
from polyglance.losses import Terms, regression
from polyglance.losses.m2m import m2m
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import HeadInput, Side
from polyglance.recipes import bounds
from polyglance.recipes.data import english_text

ObjectiveName = Literal["m2m", "mse", "cosine", "l1"]

# A start need not be the best ridge map, only near it: two penalties cost a third of seven.
START_PENALTIES = (1e-2, 1e-1)
# Table 1 of the paper compares these four; each takes unit (N, D) mapped and target rows.
OBJECTIVES: Mapping[str, Callable[[Tensor, Tensor], Terms]] = {
    "m2m": m2m,
    "mse": regression.mean_squared_error,
    "cosine": regression.cosine_distance,
    "l1": regression.mean_absolute_error,
}


@dataclass(frozen=True, kw_only=True)
class M2MConfig:
    """Settings of `m2m`.

    Attributes:
        purpose: What the head is for. For `generation`, vectors are raw on both sides and the
            objective is the squared error, whatever `objective`, its weights and `head_input` say.
        num_layers: Linear layers, 1, 2 or 4 in the paper.
        residual: Skip connections around layers of equal width.
        layer_norm: A layer norm behind the layers, as the published heads for generation have.
        objective: `m2m` is equation 6; the others are rows of table 1.
        alignment_weight: lambda, given for D = 768 and rescaled to the space's width.
        structure_weight: beta.
        start: `ridge` begins at the closed form, `random` as the paper does. From the closed form
            a few epochs are enough, since only the structure term is still to be weighed in.
        num_epochs: Passes over the texts.
        batch_size: Texts a step; the structure term compares them pair by pair.
        learning_rate: Peak rate of AdamW, falling linearly.
        weight_decay: Decoupled decay of the layers' matrices; biases have none.
        num_warmup_steps: Steps of linear warm-up.
        clip_norm: Largest gradient norm; none leaves gradients as they are.
        dev_fraction: Share of the texts that chooses the epoch; with unpaired text of other
            languages by how well that is carried.
        head_input: Whether the head takes the tower's vectors raw or at length one.
        precision: What products are computed in; the weights are float32 in any case.
        seed: Fixes split, start and order.
    """

    purpose: Literal["retrieval", "generation"] = "retrieval"
    num_layers: bounds.Count = 2
    residual: bool = False
    layer_norm: bool = False
    objective: ObjectiveName = "m2m"
    alignment_weight: bounds.NotNegative = 48.0
    structure_weight: bounds.NotNegative = 1.0
    start: Literal["ridge", "random"] = "ridge"
    num_epochs: bounds.Count = 6
    batch_size: bounds.Count = 512
    learning_rate: bounds.Positive = 1e-3
    weight_decay: bounds.NotNegative = 0.01
    num_warmup_steps: bounds.CountOrZero = 50
    clip_norm: bounds.Positive | None = 1.0
    dev_fraction: bounds.DevShareAboveZero = 0.1
    head_input: HeadInput = "unit"
    precision: training.Precision = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)
        if self.layer_norm and self.purpose == "retrieval":
            raise errors.ConfigError(
                "layer_norm for retrieval; a head with a norm does not fold into one map",
                hint='leave it out, or set purpose="generation"',
            )

    @classmethod
    def as_published(cls) -> M2MConfig:
        """The paper's head for search.

        | the paper | source | ours |
        | --- | --- | --- |
        | 2 layers with bias, no skip connection | table 1, V6 | num_layers=2, residual=false |
        | torch's own draw at the start | released model.py | start=random |
        | 48 L_align + L_str, unit vectors | equation 6 | alignment_weight=48.0, at D = 768 |
        | beta 1 | section 4 | structure_weight=1.0, objective=m2m |
        | the encoder's vectors as they are | released model.py | head_input=raw |
        | 50 epochs in batches of 64 | section 4 | num_epochs=50, batch_size=64 |
        | the last batch dropped if not full | released main.py | learnt from |
        | AdamW, 3e-4, decay 0.01 | section 4 | learning_rate=0.0003, weight_decay=0.01 |
        | biases decayed as well | released main.py | matrices alone |
        | linear, 50 steps of warm-up | section 4 | num_warmup_steps=50 |
        | gradients as they are | released trainer.py | clip_norm=none |
        | epoch chosen on XTD, a test set | section 4 | on dev texts: dev_fraction=0.1 |
        | 250,000 English captions | section 4 | those of --text |
        """
        return cls(
            start="random",
            num_epochs=50,
            batch_size=64,
            learning_rate=3e-4,
            clip_norm=None,
            head_input="raw",
        )

    @classmethod
    def for_generation_as_published(cls) -> M2MConfig:
        """The paper's head for FLUX: 10 epochs, products in bfloat16, a layer norm, no clipping.

        The released run kept its weights in bfloat16, too, where steps of 3e-4 are rounded away
        from a norm's weights of 1. Here they are float32.

        | the paper | source | ours |
        | --- | --- | --- |
        | a head for FLUX's text encoder | section 7 | purpose=generation |
        | linear layers, a norm behind | released heads | num_layers=2, layer_norm=true |
        | squared error of raw vectors | section 7 | the same, whatever the objective says |
        | torch's own draw at the start | released model | start=random |
        | 10 epochs in batches of 64 | section 7, main_flux.py | num_epochs=10, batch_size=64 |
        | AdamW, 3e-4, decay 0.01 | main_flux.py | learning_rate=0.0003, weight_decay=0.01 |
        | linear, 50 steps of warm-up | main_flux.py | num_warmup_steps=50 |
        | gradients as they are | released trainer.py | clip_norm=none |
        | bfloat16 | section 7 | precision=bf16, of products alone |
        | the last epoch | section 7 | the best on dev texts: dev_fraction=0.1 |
        """
        return cls(
            purpose="generation",
            layer_norm=True,
            start="random",
            num_epochs=10,
            batch_size=64,
            learning_rate=3e-4,
            clip_norm=None,
            precision="bf16",
        )


def fit(
    pairs: english_text.EncodedPairs,
    config: M2MConfig,
    *,
    run: training.RunFolder | None = None,
) -> english_text.Fitted:
    """Descend to the map and fold its layers into one.

    Args:
        pairs: Encoded texts.
        config: Settings, for retrieval.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For settings of a head for generation.
    """
    if config.purpose != "retrieval":
        raise errors.ConfigError(
            "purpose 'generation' gives raw vectors for a generator, and no pack for search",
            hint="call polyglance.generation.m2m.fit, which makes such a head",
        )
    started = time.perf_counter()
    judge = english_text.Judge(pairs)
    head = _start_head(pairs, config, judge)
    start = f"ridge map of {pairs.data_id}" if config.start == "ridge" else None
    objective = _objective(config)
    x, y = torch.from_numpy(pairs.x), torch.from_numpy(pairs.y)

    def step(rows: Tensor) -> Terms:
        return objective(functional.normalize(head(x[rows]), dim=1), y[rows])

    def validate() -> float:
        return judge.score(lambda rows: head(torch.from_numpy(rows)).numpy())

    report = descend(
        head,
        step,
        num_texts=len(x),
        config=config,
        validate=validate,
        run=run and run.about(config=asdict(config), data=pairs.data_id or None, start=start),
    )
    seconds = time.perf_counter() - started
    fitted = head.fold()
    facts = {
        "num_steps": report.num_steps,
        **judge.facts(fitted),
        "best_step": report.best_step,
    }
    return english_text.Fitted(fitted, linear.count_parameters(head), seconds, facts)


def train(
    texts: Sequence[str],
    *,
    teacher: DualEncoder,
    tower: Side,
    config: M2MConfig,
    unpaired: Sequence[tuple[str, str]] = (),
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """English texts in, a language pack out.

    Args:
        texts: English, like those that will be searched.
        teacher: The dual encoder that learns languages.
        tower: A multilingual text tower.
        config: Settings, for retrieval.
        unpaired: Language ids and texts that nobody paired: where each language lies.
        cache: Keeps what the towers gave.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For settings of a head for generation.
    """
    return english_text.train_pack(
        "m2m",
        lambda pairs: fit(pairs, config, run=run),
        texts=texts,
        teacher=teacher,
        tower=tower,
        config=config,
        cache=cache,
        unpaired=unpaired,
    )


def descend(
    head: linear.LinearHead,
    step: training.Step,
    *,
    num_texts: int,
    config: M2MConfig,
    validate: Callable[[], float],
    run: training.RunFolder | None,
) -> training.TrainReport:
    """Train the layers, for either purpose; the dev split is looked at after each epoch.

    Args:
        head: The layers.
        step: Rows of a batch to loss terms.
        num_texts: Rows of the data.
        config: Settings.
        validate: Score on the dev split, higher is better.
        run: Where checkpoints and logs go.
    """
    steps_an_epoch = -(-num_texts // config.batch_size)
    return training.fit(
        head,
        step,
        batches=training.shuffled_batches(
            num_texts, batch_size=config.batch_size, seed=config.seed
        ),
        config=training.TrainConfig(
            num_steps=config.num_epochs * steps_an_epoch,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            num_warmup_steps=config.num_warmup_steps,
            validate_every=steps_an_epoch,
            precision=config.precision,
            clip_norm=config.clip_norm,
        ),
        validate=validate,
        run=run,
        label="m2m",
    )


def new_head(dim_in: int, dim_out: int, config: M2MConfig) -> linear.LinearHead:
    """Layers with random weights, as the config has them."""
    return linear.LinearHead(
        dim_in,
        dim_out,
        num_layers=config.num_layers,
        residual=config.residual,
        layer_norm=config.layer_norm,
    )


def _start_head(
    pairs: english_text.EncodedPairs, config: M2MConfig, judge: english_text.Judge
) -> linear.LinearHead:
    torch.manual_seed(config.seed)
    head = new_head(pairs.x.shape[1], pairs.y.shape[1], config)
    if config.start == "ridge":
        solution, _ = judge.best_ridge(START_PENALTIES)
        head.start_from(solution)
    return head


def _objective(config: M2MConfig) -> Callable[[Tensor, Tensor], Terms]:
    if config.objective != "m2m":
        return OBJECTIVES[config.objective]
    return lambda mapped, target: m2m(
        mapped,
        target,
        alignment_weight=config.alignment_weight,
        structure_weight=config.structure_weight,
    )
