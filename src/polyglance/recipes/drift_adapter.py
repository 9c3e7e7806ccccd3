"""`procrustes`, `low-rank` and `residual-mlp`: Drift-Adapter's three query adapters.

There, queries of a new embedding model are brought into the space of an old one, so that an index
stays as it is. Here the new model is a multilingual text tower, and the old one the teacher's text
side. All three learn squared differences from English text alone.

Source: Drift-Adapter (Vejendla, EMNLP 2025, arXiv 2509.23471): the three forms. Its settings of the
training are not adopted: the numbers here are ours. Ours as well are the start of `low-rank` at a
truncated ridge map, and the rotation or ridge map beside the layers of `residual-mlp`: each has a
setting that gives the paper's form.

A map fitted on English meets vectors of other languages that lie beside it. Noise on its inputs
and units left out keep `residual-mlp` from leaning on what only English has: on photos that was
worth four points of R@10 in five languages over the best ridge map (`docs/log.md`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache
from polyglance.heads import closed_form, linear
from polyglance.heads.affine import AffineMap
from polyglance.heads.mlp import ResidualHead, Standard
from polyglance.losses import Terms, regression
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import HeadInput, Side
from polyglance.recipes import bounds, ridge
from polyglance.recipes.data import english_text
from polyglance.recipes.m2m import START_PENALTIES


@dataclass(frozen=True, kw_only=True)
class ProcrustesConfig:
    """Settings of `procrustes`.

    Attributes:
        centred: Whether both sides are centred before the rotation, by their means in English.
            Other languages have means of their own: centring cost eight points on the pictograms.
        scaling: Factors behind the rotation: `uniform`, or `diagonal` for one a dimension.
        dev_fraction: Share of the texts that only measures.
        head_input: Whether the map takes the tower's vectors raw or at length one.
        seed: Fixes the dev split.
    """

    centred: bool = False
    scaling: closed_form.Scaling = "uniform"
    dev_fraction: bounds.DevShareAboveZero = 0.1
    head_input: HeadInput = "unit"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)


@dataclass(frozen=True, kw_only=True)
class DescentConfig:
    """What both adapters share that learn by gradient.

    Attributes:
        num_epochs: Passes over the texts.
        batch_size: Texts a step.
        learning_rate: Peak rate of AdamW, falling linearly.
        weight_decay: Decoupled decay.
        dev_fraction: Share of the texts that chooses the epoch.
        head_input: Whether the head takes the tower's vectors raw or at length one.
        seed: Fixes split, start and order.
    """

    num_epochs: bounds.Count = 20
    batch_size: bounds.Count = 256
    learning_rate: bounds.Positive = 1e-3
    weight_decay: bounds.NotNegative = 0.01
    dev_fraction: bounds.DevShareAboveZero = 0.1
    head_input: HeadInput = "unit"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)


@dataclass(frozen=True, kw_only=True)
class LowRankConfig(DescentConfig):
    """Settings of `low-rank`.

    Attributes:
        rank: Of the map; one at or above the narrower width restricts nothing.
        start: `ridge` begins at the closed form cut to this rank, `random` at random weights.
    """

    rank: bounds.Count = 256
    start: Literal["ridge", "random"] = "ridge"


@dataclass(frozen=True, kw_only=True)
class ResidualMlpConfig(DescentConfig):
    """Settings of `residual-mlp`.

    Attributes:
        hidden: Units between its two layers.
        skip: What the layers are added to: the input turned by `procrustes`, or mapped by `ridge`,
            or with `identity` the input itself, which is the paper's and needs equal widths.
        standardise: Whether the layers take inputs that are centred and scaled.
        dropout: Share of the units that a step leaves out.
        input_noise: Deviation of normal noise on inputs in training, in units of their own mean
            deviation.
    """

    hidden: bounds.Count = 256
    skip: Literal["procrustes", "ridge", "identity"] = "procrustes"
    standardise: bool = False
    dropout: bounds.Share = 0.0
    input_noise: bounds.NotNegative = 0.0


def fit_procrustes(
    pairs: english_text.EncodedPairs,
    config: ProcrustesConfig,
    *,
    run: training.RunFolder | None = None,
) -> english_text.Fitted:
    """Solve for the rotation; there is nothing to resume."""
    started = time.perf_counter()
    solution = _rotation(pairs, centred=config.centred, scaling=config.scaling)
    seconds = time.perf_counter() - started
    facts = {"dev_hit_rate_at_1": english_text.dev_score(solution(pairs.dev_x), pairs)}
    return english_text.Fitted(solution, solution.weight.size + solution.bias.size, seconds, facts)


def fit_low_rank(
    pairs: english_text.EncodedPairs,
    config: LowRankConfig,
    *,
    run: training.RunFolder | None = None,
) -> english_text.Fitted:
    """Descend to an affine map of low rank."""
    started = time.perf_counter()
    torch.manual_seed(config.seed)
    head = linear.LowRankHead(pairs.x.shape[1], pairs.y.shape[1], rank=config.rank)
    if config.start == "ridge":
        solution, _ = english_text.Judge(pairs).best_ridge(START_PENALTIES)
        head.start_from(solution)
    start = f"ridge map of {pairs.data_id}" if config.start == "ridge" else None
    return _descended(head, pairs, config, run=run, start=start, started=started, label="low-rank")


def fit_residual_mlp(
    pairs: english_text.EncodedPairs,
    config: ResidualMlpConfig,
    *,
    run: training.RunFolder | None = None,
) -> english_text.Fitted:
    """Descend to two layers behind a fixed skip.

    Raises:
        ConfigError: For an identity between unequal widths.
    """
    started = time.perf_counter()
    torch.manual_seed(config.seed)
    head = ResidualHead(
        _skip(pairs, config),
        hidden=config.hidden,
        dropout=config.dropout,
        standard=Standard.of(pairs.x) if config.standardise else None,
    )
    start = None if config.skip == "identity" else f"{config.skip} map of {pairs.data_id}"
    noise = config.input_noise * float(pairs.x.std(axis=0).mean())
    return _descended(
        head,
        pairs,
        config,
        run=run,
        start=start,
        started=started,
        label="residual-mlp",
        noise=noise,
    )


def _rotation(
    pairs: english_text.EncodedPairs, *, centred: bool, scaling: closed_form.Scaling
) -> AffineMap:
    data = closed_form.moments(closed_form.paired_blocks(pairs.x, pairs.y))
    return closed_form.procrustes(data, centred=centred, scaling=scaling)


def _skip(pairs: english_text.EncodedPairs, config: ResidualMlpConfig) -> AffineMap:
    widths = pairs.x.shape[1], pairs.y.shape[1]
    if config.skip == "procrustes":
        return _rotation(pairs, centred=False, scaling="uniform")
    if config.skip == "ridge":
        return english_text.Judge(pairs).best_ridge(ridge.PENALTIES)[0]
    if widths[0] != widths[1]:
        raise errors.ConfigError(
            f"skip=identity from {widths[0]} to {widths[1]} dimensions; they must agree",
            hint="take skip=procrustes or skip=ridge",
        )
    return AffineMap(np.eye(widths[0], dtype=np.float32), np.zeros(widths[0], np.float32))


def _descended(
    head: linear.LowRankHead | ResidualHead,
    pairs: english_text.EncodedPairs,
    config: DescentConfig,
    *,
    run: training.RunFolder | None,
    start: str | None,
    started: float,
    label: str,
    noise: float = 0.0,
) -> english_text.Fitted:
    """Train a head on squared differences; the dev split is looked at after each epoch."""
    x, y = map(torch.from_numpy, (pairs.x, pairs.y))
    judge = english_text.Judge(pairs)
    steps_an_epoch = -(-len(x) // config.batch_size)

    def step(rows: Tensor) -> Terms:
        taken = x[rows]
        if noise:
            taken = taken + noise * torch.randn_like(taken)
        return regression.mean_squared_error(head(taken), y[rows])

    report = training.fit(
        head,
        step,
        batches=training.shuffled_batches(len(x), batch_size=config.batch_size, seed=config.seed),
        config=training.TrainConfig(
            num_steps=config.num_epochs * steps_an_epoch,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            validate_every=steps_an_epoch,
        ),
        validate=lambda: judge.score(lambda rows: head(torch.from_numpy(rows)).numpy()),
        run=run and run.about(config=asdict(config), data=pairs.data_id or None, start=start),
        label=label,
    )
    seconds = time.perf_counter() - started
    fitted = head.fold()
    facts = {
        "num_steps": report.num_steps,
        **judge.facts(fitted),
        "best_step": report.best_step,
    }
    return english_text.Fitted(fitted, linear.count_parameters(head), seconds, facts)


# Each config names its adapter.
FITS: Mapping[type, tuple[str, Callable[..., english_text.Fitted]]] = {
    ProcrustesConfig: ("procrustes", fit_procrustes),
    LowRankConfig: ("low-rank", fit_low_rank),
    ResidualMlpConfig: ("residual-mlp", fit_residual_mlp),
}


def train(
    texts: Sequence[str],
    *,
    teacher: DualEncoder,
    tower: Side,
    config: Any,
    unpaired: Sequence[tuple[str, str]] = (),
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """English texts in, a language pack out, by the adapter whose config is given.

    Args:
        texts: English, like those that will be searched.
        teacher: The dual encoder that learns languages.
        tower: A multilingual text tower.
        config: One of `FITS`.
        unpaired: Language ids and texts that nobody paired: where each language lies.
        cache: Keeps what the towers gave.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For settings out of their range.
    """
    name, fit = FITS[type(config)]
    return english_text.train_pack(
        name,
        lambda pairs: fit(pairs, config, run=run),
        texts=texts,
        teacher=teacher,
        tower=tower,
        config=config,
        cache=cache,
        unpaired=unpaired,
    )
