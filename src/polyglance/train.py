"""The only training loop: batches in, named loss terms out, the best or last good weights kept.

A recipe gives three things: the module whose parameters learn, a function from epoch to batches,
and a function from batch to loss terms. Everything else that training needs stands here once.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polyglance import errors, progress

Schedule = Literal["linear", "cosine", "constant"]
Step = Callable[[Any], Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to descend.

    Attributes:
        num_steps: Optimiser steps in all; the schedule ends there.
        learning_rate: Peak rate of AdamW.
        weight_decay: Decoupled decay; vectors (biases, norms) are left out of it.
        schedule: Shape after the warm-up.
        num_warmup_steps: Steps of linear warm-up.
        betas: Decays of AdamW's two averages.
        rate_factors: Factors on the learning rate for parameters whose names begin so.
        clip_norm: Largest gradient norm; None leaves gradients as they are.
        average_decay: Decay a step of an exponential average of the weights, which is what is
            validated and kept; None keeps the weights themselves.
        validate_every: Steps between two looks at the dev split; None looks at the end only.
    """

    num_steps: int
    learning_rate: float
    weight_decay: float = 0.01
    schedule: Schedule = "linear"
    num_warmup_steps: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    clip_norm: float | None = 1.0
    average_decay: float | None = None
    validate_every: int | None = None


@dataclass(kw_only=True)
class TrainReport:
    """What happened: `history` has one row a logged step, `best_score` the kept dev score."""

    num_steps: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_score: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    module: nn.Module,
    step: Step,
    *,
    batches: Callable[[int], Iterable[Any]],
    config: TrainConfig,
    validate: Callable[[], float] | None = None,
    log_file: Path | None = None,
    label: str = "training",
) -> TrainReport:
    """Train `module` in place; it ends in evaluation mode with the best weights seen on dev.

    Args:
        module: Holds every parameter that learns.
        step: One batch to loss terms, with gradient; "total" is what is minimised.
        batches: Epoch number to its batches; called again when they run out.
        config: How to descend.
        validate: Score on a dev split, higher is better; None keeps the last weights.
        log_file: Loss terms as JSON lines.
        label: What the progress bar says.

    Raises:
        TrainingError: For an epoch without batches, or a loss that is not finite; the module then
            holds the last good weights.
    """
    optimizer = _optimizer(module, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: _rate_at(at, config))
    average = _WeightAverage(module, config.average_decay)
    keeper = _BestKeeper(module, average, validate)
    report = TrainReport()
    started = time.perf_counter()
    log = _Log(report, log_file, every=max(1, config.num_steps // 100))
    module.train()
    with progress.bar(label, total=config.num_steps) as advance:
        for number, batch in enumerate(_endless(batches, config.num_steps), start=1):
            terms = step(batch)
            _refuse_nan(terms, number, keeper)
            optimizer.zero_grad(set_to_none=True)
            terms["total"].backward()  # type: ignore[no-untyped-call]
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
            optimizer.step()
            scheduler.step()
            average.update()
            log(number, terms, rate=float(scheduler.get_last_lr()[0]))
            advance(1)
            if config.validate_every and number % config.validate_every == 0:
                keeper.look(number)
    keeper.look(config.num_steps)
    keeper.restore()
    report.num_steps, report.seconds = config.num_steps, time.perf_counter() - started
    report.best_step, report.best_score = keeper.best_step, keeper.best_score
    return report


def shuffled_batches(
    num_rows: int, *, batch_size: int, seed: int, drop_last: bool = False
) -> Callable[[int], Iterable[Tensor]]:
    """Batches of row numbers, in another order each epoch, the same for the same seed.

    Args:
        num_rows: Rows of the data.
        batch_size: Rows of a batch.
        seed: Fixes every epoch's order.
        drop_last: Leaves out a last batch that is not full.
    """

    def epoch_batches(epoch: int) -> Iterable[Tensor]:
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
        order = torch.randperm(num_rows, generator=generator)
        end = num_rows - num_rows % batch_size if drop_last and num_rows >= batch_size else num_rows
        for start in range(0, end, batch_size):
            yield order[start : min(start + batch_size, end)]

    return epoch_batches


def _endless(batches: Callable[[int], Iterable[Any]], num_steps: int) -> Iterable[Any]:
    """`num_steps` batches, epoch after epoch."""
    given, epoch = 0, 0
    while given < num_steps:
        before = given
        for batch in batches(epoch):
            yield batch
            given += 1
            if given == num_steps:
                return
        if given == before:
            raise errors.TrainingError(
                f"epoch {epoch} had no batch; training needs at least one a epoch",
                hint="give more rows, or a smaller batch size",
            )
        epoch += 1


def _optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            factor = next((f for p, f in config.rate_factors.items() if name.startswith(p)), 1.0)
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((config.learning_rate * factor, decay), []).append(parameter)
    if not groups:
        raise errors.TrainingError("no parameter to train", hint="unfreeze a head or a tower")
    # One fused kernel for all tensors: a third faster than the default on CPU for small heads.
    return torch.optim.AdamW(
        [{"params": members, "lr": r, "weight_decay": d} for (r, d), members in groups.items()],
        lr=config.learning_rate,
        betas=config.betas,
        fused=True,
    )


def _rate_at(step: int, config: TrainConfig) -> float:
    """Factor on the peak learning rate after `step` steps."""
    if step < config.num_warmup_steps:
        return (step + 1) / config.num_warmup_steps
    done = (step - config.num_warmup_steps) / max(1, config.num_steps - config.num_warmup_steps)
    if config.schedule == "linear":
        return max(0.0, 1 - done)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return 1.0


def _refuse_nan(terms: Mapping[str, Tensor], step: int, keeper: _BestKeeper) -> None:
    if bool(torch.isfinite(terms["total"])):
        return
    keeper.restore()
    values = {name: float(value.detach()) for name, value in terms.items()}
    raise errors.TrainingError(
        f"the loss at step {step} is not finite: {values}; the last good weights are kept",
        hint="lower the learning rate, or look for bad vectors among the inputs",
    )


class _WeightAverage:
    """Exponential average of the weights; does nothing where no decay is asked for."""

    def __init__(self, module: nn.Module, decay: float | None) -> None:
        self.module, self.decay, self.num_updates = module, decay, 0
        self.shadow = copy.deepcopy(module.state_dict()) if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        if not self.decay:
            return
        self.num_updates += 1
        # Early steps weigh more, or the random start would linger in short runs.
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)

    def weights(self) -> dict[str, Tensor]:
        return self.shadow if self.decay else self.module.state_dict()


class _BestKeeper:
    """Remembers the best weights by dev score, or the last ones where nothing scores."""

    def __init__(
        self, module: nn.Module, average: _WeightAverage, validate: Callable[[], float] | None
    ) -> None:
        self.module, self.average, self.validate = module, average, validate
        self.looked_at: int | None = None
        self.best_step: int | None = None
        self.best_score: float | None = None
        self.best: dict[str, Tensor] = copy.deepcopy(module.state_dict())

    def look(self, step: int) -> None:
        """Validate the averaged weights; keep them if they are the best so far."""
        if self.looked_at == step:
            return
        self.looked_at = step
        candidate = copy.deepcopy(self.average.weights())
        if self.validate is not None:
            current = copy.deepcopy(self.module.state_dict())
            self.module.load_state_dict(candidate)
            self.module.eval()
            with torch.no_grad():
                score = self.validate()
            self.module.load_state_dict(current)
            self.module.train()
            if self.best_score is not None and score <= self.best_score:
                return
            self.best_score = score
        self.best_step, self.best = step, candidate

    def restore(self) -> None:
        """Put the kept weights into the module, in evaluation mode."""
        self.module.load_state_dict(self.best)
        self.module.eval()


class _Log:
    """Loss terms by name: kept in the report, and as JSON lines where a file is given."""

    def __init__(self, report: TrainReport, file: Path | None, *, every: int) -> None:
        self.report, self.file, self.every = report, file, every

    def __call__(self, step: int, terms: Mapping[str, Tensor], *, rate: float) -> None:
        if step % self.every and step != 1:
            return
        row = {name: float(value.detach()) for name, value in terms.items()}
        row |= {"step": float(step), "learning_rate": rate}
        self.report.history.append(row)
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
