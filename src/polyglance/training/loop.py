"""The only training loop: batches in, named loss terms out, the best or last good weights kept.

A recipe gives three things: the module whose parameters learn, a function from epoch to batches,
and a function from batch to loss terms. Everything else that training needs stands here once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from polyglance import errors, progress
from polyglance.training import checkpoints as runs
from polyglance.training import distributed, interrupts
from polyglance.training.batches import Batches, BatchWalk
from polyglance.training.best_weights import BestKeeper, WeightAverage
from polyglance.training.checkpoints import Checkpoints, Part, RunFolder
from polyglance.training.collectives import any_of
from polyglance.training.config import TrainConfig, TrainReport
from polyglance.training.fingerprints import fingerprint
from polyglance.training.logs import Log
from polyglance.training.optimizer_step import Descent
from polyglance.training.random_states import RandomStates
from polyglance.training.weights import ChangingWeights

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
    pass: see `distributed` for steps that share out a batch, `dealt_batches` for the others.

    Args:
        module: Holds every parameter that learns. It stays on the device it is on.
        step: One batch to loss terms, with gradient; "total" is what is minimised.
        batches: Epoch number to its batches; called again when they run out.
        config: Settings of the training.
        validate: Score on a dev split, higher is better; None keeps the last weights.
        run: Where checkpoints and logs go; a run that is there is resumed, one that has ended is
            read. None keeps nothing.
        label: What the progress bar and trackers say.

    Raises:
        TrainingError: For an epoch without batches, or a loss or gradient that is not finite; the
            module then holds the last good weights.
        ConfigError: For settings out of their range, or a run folder begun with others.
        KeyboardInterrupt: Where a run is stopped by Ctrl-C; a checkpoint is written before.
    """
    with distributed.connected(), contextlib.ExitStack() as stack:
        distributed.share_weights(module)
        stack.enter_context(runs.opened(run, training=lambda: _identity(module, config, run)))
        state = _State(
            module, batches=batches, config=config, validate=validate, run=run, label=label
        )
        checkpoints = Checkpoints(run, state.parts())
        if not checkpoints.resume():
            interrupt = stack.enter_context(interrupts.deferred(active=run is not None))
            stack.enter_context(state.log.opened(run.path if run else None))
            advance = stack.enter_context(progress.bar(label, total=config.num_steps))
            _descend(state, step, checkpoints=checkpoints, interrupt=interrupt, advance=advance)
            state.keeper.settle(state.clock.step)
            checkpoints.finish()
        module.eval()
        return state.report()


def _descend(
    state: _State,
    step: Step,
    *,
    checkpoints: Checkpoints,
    interrupt: interrupts.Interrupt,
    advance: progress.NotedAdvance,
) -> None:
    """Every step that is still to be taken."""
    clock, config = state.clock, state.config
    advance(clock.step)
    state.module.train()
    while clock.step < config.num_steps and not state.keeper.out_of_patience:
        batch = state.walk.next()
        state.descent.forget()
        with state.descent.casts():
            terms = step(batch)
        if not state.descent.take(terms["total"], step=clock.step + 1):
            state.keeper.settle(clock.step)
            raise _not_finite(terms, clock.step + 1, state.module)
        state.average.update()
        clock.tick()
        looks = clock.step == config.num_steps or clock.step % (config.validate_every or inf) == 0
        dev_score = state.keeper.look(clock.step) if looks else None
        row = state.log(clock.step, terms, rate=state.descent.rate, dev_score=dev_score)
        advance(1, row)
        stops, saves = any_of(interrupt.asked, checkpoints.is_due(clock.step))
        if stops or saves:
            checkpoints.save(clock.step)
        if stops:
            raise KeyboardInterrupt(
                f"stopped after step {clock.step} of {config.num_steps}; the same call with the "
                f"run folder {checkpoints.path} goes on from there"
            )


class _State:
    """All that changes while a module is trained."""

    def __init__(
        self,
        module: nn.Module,
        *,
        batches: Batches,
        config: TrainConfig,
        validate: Callable[[], float] | None,
        run: RunFolder | None,
        label: str,
    ) -> None:
        self.module, self.config = module, config
        self.descent = Descent(module, config)
        self.walk = BatchWalk(batches, remembers=run is not None)
        self.weights = ChangingWeights(module)
        self.average = WeightAverage(self.weights, config.average_decay)
        self.keeper = BestKeeper(
            module, self.weights, average=self.average, validate=validate, patience=config.patience
        )
        self.log, self.clock = Log(num_steps=config.num_steps, label=label), _Clock()

    def parts(self) -> dict[str, Part]:
        """By name, in the order in which they are put back: random generators last."""
        return {
            "weights": Part(of=self.weights),
            "keeper": Part(of=self.keeper),
            "log": Part(of=self.log),
            "clock": Part(of=self.clock),
            "average": Part(of=self.average, lasts=False),
            "descent": Part(of=self.descent, lasts=False),
            "walk": Part(of=self.walk, lasts=False, own=True),
            "random": Part(of=RandomStates(), own=True),
        }

    def report(self) -> TrainReport:
        """What happened so far."""
        return TrainReport(
            num_steps=self.clock.step,
            seconds=self.clock.seconds,
            best_step=self.keeper.best_step,
            best_score=self.keeper.best_score,
            stopped_early=self.clock.step < self.config.num_steps,
            history=self.log.history,
        )


def _identity(module: nn.Module, config: TrainConfig, run: RunFolder | None) -> dict[str, Any]:
    """What fixes the outcome, as far as the loop knows it."""
    start = None if run is None else run.start
    return {
        **asdict(config),
        "num_processes": distributed.world_size(),
        "weights_at_start": start or fingerprint(module.state_dict()),
    }


def _not_finite(terms: Mapping[str, Tensor], step: int, module: nn.Module) -> errors.TrainingError:
    values = {name: float(value.detach()) for name, value in terms.items()}
    what = "gradient" if isfinite(values["total"]) else "loss"
    is_good = all(bool(torch.isfinite(each).all()) for each in module.parameters())
    kept = "the last good weights are kept" if is_good else "the weights are not, either"
    return errors.TrainingError(
        f"the {what} at step {step} is not finite: {values}; {kept}",
        hint="lower the learning rate, or look for bad vectors among the inputs",
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
