"""The settings of a training, and the report at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from polyglance import errors

Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training.

    Attributes:
        num_steps: Optimiser steps in all; the schedule ends there.
        learning_rate: Peak rate.
        optimizer: A row of `optimizers.OPTIMIZERS`.
        weight_decay: Decoupled decay; vectors (biases, norms) are left out of it.
        schedule: Shape after the warm-up: falling to zero in a line or a cosine, or constant.
        num_warmup_steps: Steps of linear warm-up.
        warmup_share: The same as a share of `num_steps`, in [0, 1); give one of the two.
        betas: Decays of the optimiser's averages; None takes those it is usually run with.
        rate_factors: Factors on the learning rate for parameters whose names begin so; the first
            that fits counts.
        clip_norm: Largest gradient norm; None leaves gradients as they are.
        average_decay: Decay a step of an exponential average of the weights, which is what is
            validated and kept; None keeps the weights themselves.
        validate_every: Steps between two looks at the dev split; None looks at the end only.
        patience: Ends the training after so many looks without a better score; None never does.
        precision: What products are computed in. The weights stay float32 and so do their updates.
    """

    num_steps: int
    learning_rate: float
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    schedule: Schedule = "linear"
    num_warmup_steps: int = 0
    warmup_share: float = 0.0
    betas: tuple[float, float] | None = None
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    clip_norm: float | None = 1.0
    average_decay: float | None = None
    validate_every: int | None = None
    patience: int | None = None
    precision: Precision = "no"

    def __post_init__(self) -> None:
        if self.schedule not in get_args(Schedule):
            raise errors.unknown_name("schedule", self.schedule, allowed=get_args(Schedule))
        if self.precision not in get_args(Precision):
            raise errors.unknown_name("precision", self.precision, allowed=get_args(Precision))
        if self.num_warmup_steps and self.warmup_share:
            raise errors.ConfigError(
                f"num_warmup_steps {self.num_warmup_steps} and warmup_share {self.warmup_share}; "
                "the warm-up is given once",
                hint="leave one of the two out",
            )
        for name, allowed, is_allowed in (
            ("num_steps", "1 or more", self.num_steps >= 1),
            ("learning_rate", "above 0 and finite", 0 < self.learning_rate < math.inf),
            ("weight_decay", "0 or more and finite", 0 <= self.weight_decay < math.inf),
            ("num_warmup_steps", "0 or more", self.num_warmup_steps >= 0),
            ("warmup_share", "in [0, 1)", 0 <= self.warmup_share < 1),
            ("clip_norm", "above 0, or None", self.clip_norm is None or self.clip_norm > 0),
            (
                "average_decay",
                "in (0, 1), or None",
                self.average_decay is None or 0 < self.average_decay < 1,
            ),
            (
                "validate_every",
                "1 or more, or None",
                self.validate_every is None or self.validate_every >= 1,
            ),
            ("patience", "1 or more, or None", self.patience is None or self.patience >= 1),
        ):
            if not is_allowed:
                raise errors.ConfigError(
                    f"{name} {getattr(self, name)}; it must be {allowed}",
                    hint=f"see polyglance.training.TrainConfig for what {name} does",
                )


@dataclass(kw_only=True)
class TrainReport:
    """The report of a training.

    Attributes:
        num_steps: Steps taken; fewer than asked for where the training stopped early.
        seconds: Time in the loop, summed over all sessions of a resumed run.
        best_step: Where the kept weights are from.
        best_score: Their dev score; None where nothing was validated.
        stopped_early: Whether `patience` ended it.
        history: A row a logged step: the loss terms by name, the rate, the dev score if looked at.
    """

    num_steps: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_score: float | None = None
    stopped_early: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
