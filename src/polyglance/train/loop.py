"""The only training loop: batches in, named loss terms out, the best or last good weights kept.

A recipe gives three things: the module whose parameters learn, a function from epoch to batches,
and a function from batch to loss terms. Everything else that training needs stands here once.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from polyglance import errors, processes, progress
from polyglance.train import interrupts, runs
from polyglance.train.agreement import any_of
from polyglance.train.batches import Batches, BatchWalk
from polyglance.train.config import TrainConfig, TrainReport
from polyglance.train.descent import Descent
from polyglance.train.fingerprints import fingerprint
from polyglance.train.keepers import BestKeeper, WeightAverage
from polyglance.train.logs import Log
from polyglance.train.random_states import RandomStates
from polyglance.train.runs import Checkpoints, Part, RunFolder

Step = Callable[[Any], Mapping[str, Tensor]]


def fit(
    module: nn.Module,
    step: Step,
    *,
    batches: Batches,
    config: TrainConfig,
    validate: Callable[[], float] | None = None,
    run: RunFolder | None = None,
    label: str = "training",
) -> TrainReport:
    """Train `module` in place; it ends in evaluation mode with the best weights seen on dev.

    For a resumed run to be exact, all that changes from step to step stands in `module`
    (parameters, buffers) or in the global random generators; `batches` may draw from those, too.
    In several processes every one calls this alike, and gradients are averaged after each backward
    pass: see `processes` for steps that share out a batch, `dealt_batches` for the others.

    Args:
        module: Holds every parameter that learns. It stays on the device it is on.
        step: One batch to loss terms, with gradient; "total" is what is minimised.
        batches: Epoch number to its batches; called again when they run out.
        config: How to descend.
        validate: Score on a dev split, higher is better; None keeps the last weights.
        run: Where checkpoints and logs go; a run that is there is resumed, one that has ended is
            read. None keeps nothing.
        label: What the progress bar says.

    Raises:
        TrainingError: For an epoch without batches, or a loss or gradient that is not finite; the
            module then holds the last good weights.
        ConfigError: For settings out of their range, or a run folder begun with others.
        KeyboardInterrupt: Where a run is stopped by Ctrl-C; a checkpoint is written before.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(processes.connected())
        processes.share_weights(module)
        stack.enter_context(runs.opened(run, training=lambda: _identity(module, config)))
        descent, walk = Descent(module, config), BatchWalk(batches, remembers=run is not None)
        average = WeightAverage(module, config.average_decay)
        keeper = BestKeeper(module, average, validate, patience=config.patience)
        log, clock = Log(num_steps=config.num_steps), _Clock()
        checkpoints = Checkpoints(
            run,
            {
                "module": Part(of=module),
                "kept": Part(of=keeper),
                "log": Part(of=log),
                "clock": Part(of=clock),
                "average": Part(of=average, lasts=False),
                "descent": Part(of=descent, lasts=False),
                "batches": Part(of=walk, lasts=False, own=True),
                "random": Part(of=RandomStates(), own=True),
            },
        )
        if checkpoints.resume():
            module.eval()
            return _report(clock, keeper, log, config)
        interrupt = stack.enter_context(interrupts.deferred(active=run is not None))
        stack.enter_context(log.opened(run.path if run and not processes.rank() else None))
        advance = stack.enter_context(progress.bar(label, total=config.num_steps))
        advance(clock.step)
        module.train()
        while clock.step < config.num_steps and not keeper.out_of_patience:
            batch = walk.next()
            descent.forget()
            with descent.casts():
                terms = step(batch)
            if not descent.take(terms["total"], step=clock.step + 1):
                keeper.settle(clock.step)
                raise _not_finite(terms, clock.step + 1, module)
            average.update()
            clock.tick()
            dev_score = keeper.look(clock.step) if _is_time_to_look(clock.step, config) else None
            row = log(clock.step, terms, rate=descent.rate, dev_score=dev_score)
            advance(1, row)
            stops, saves = any_of(interrupt.asked, checkpoints.is_due(clock.step))
            if stops or saves:
                checkpoints.save(clock.step)
            if stops:
                raise KeyboardInterrupt(
                    f"stopped after step {clock.step} of {config.num_steps}; the same call with "
                    f"the run folder {checkpoints.path} goes on from there"
                )
        keeper.settle(clock.step)
        checkpoints.finish()
        return _report(clock, keeper, log, config)


def _is_time_to_look(step: int, config: TrainConfig) -> bool:
    """Whether the dev split is to be looked at after a step."""
    return step == config.num_steps or (
        config.validate_every is not None and step % config.validate_every == 0
    )


def _identity(module: nn.Module, config: TrainConfig) -> dict[str, Any]:
    """What fixes the outcome, as far as the loop knows it."""
    return {
        **asdict(config),
        "num_processes": processes.world_size(),
        "weights_at_start": fingerprint(module.state_dict()),
    }


def _not_finite(terms: Mapping[str, Tensor], step: int, module: nn.Module) -> errors.TrainingError:
    values = {name: float(value.detach()) for name, value in terms.items()}
    what = "gradient" if math.isfinite(values["total"]) else "loss"
    is_good = all(bool(torch.isfinite(each).all()) for each in module.parameters())
    kept = "the last good weights are kept" if is_good else "the weights are not, either"
    return errors.TrainingError(
        f"the {what} at step {step} is not finite: {values}; {kept}",
        hint="lower the learning rate, or look for bad vectors among the inputs",
    )


def _report(clock: _Clock, keeper: BestKeeper, log: Log, config: TrainConfig) -> TrainReport:
    return TrainReport(
        num_steps=clock.step,
        seconds=clock.seconds,
        best_step=keeper.best_step,
        best_score=keeper.best_score,
        stopped_early=clock.step < config.num_steps,
        history=log.history,
    )


class _Clock:
    """How many steps are done, and in how many seconds, over all sessions of a run."""

    def __init__(self) -> None:
        self.step = 0
        self._seconds_before, self._started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the run was begun, pauses left out."""
        return self._seconds_before + time.perf_counter() - self._started

    def tick(self) -> None:
        """One step more is done."""
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.step, self._seconds_before = state["step"], state["seconds"]
        self._started = time.perf_counter()
