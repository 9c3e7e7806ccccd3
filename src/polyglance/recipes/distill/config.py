"""Settings of `distill`, for the small tower and for a whole transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polyglance import training
from polyglance.recipes import bounds

# Above this many English texts a memory of their vectors is larger than the tower itself.
MOST_MEMORIES = 8192


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Settings of `distill`.

    Attributes:
        ending: `memory` chooses among the teacher's vectors, `contrast` has to come nearest its own
            in a batch, `linear` meets them by squared error; `auto` takes the first for 8,192
            English texts or fewer, the second for more.
        num_buckets: Rows of the n-gram table.
        dim: Width of the table.
        dropout: Share of n-grams that a training step leaves out.
        num_steps: Optimiser steps.
        batch_size: Texts a step.
        learning_rate: Peak rate of the table; the layer behind it learns at a quarter.
        related_share: Share of related texts (keywords) in a batch.
        related_weight: How much one of them counts.
        squared_error_weight: Of the squared error beside the choice, with `memory`.
        sharpness: Factor on the scores in use, with `memory`.
        temperature: Of the choice in a batch, with `contrast`.
        trunk_epochs: With a given transformer, instead of steps: passes over all texts.
        trunk_batch_size: With one: texts a step.
        trunk_rate: With one: peak learning rate.
        trunk_warmup_share: With one: share of the steps in which the rate rises.
        max_tokens: With one: tokens of a text in training.
        vectors: With one: whether it meets the teacher's vectors as they are, or at length one.
            As they are, a teacher's own tower starts where it is to stay.
        seed: Fixes start and draws.
    """

    ending: Literal["auto", "memory", "contrast", "linear"] = "auto"
    num_buckets: bounds.Count = 36_000
    dim: bounds.Count = 96
    dropout: bounds.Share = 0.2
    num_steps: bounds.Count = 800
    batch_size: bounds.Count = 4096
    learning_rate: bounds.Positive = 2e-2
    related_share: bounds.Share = 0.3
    related_weight: bounds.NotNegative = 0.5
    squared_error_weight: bounds.NotNegative = 1.0
    sharpness: bounds.Positive = 1.3
    temperature: bounds.Positive = 0.1
    trunk_epochs: bounds.Count = 5
    trunk_batch_size: bounds.Count = 64
    trunk_rate: bounds.Positive = 5e-5
    trunk_warmup_share: bounds.Share = 0.1
    max_tokens: bounds.Count = 128
    vectors: Literal["raw", "unit"] = "raw"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)

    def ending_for(self, num_english_texts: int) -> Literal["memory", "contrast", "linear"]:
        """The ending of a small tower, `auto` decided."""
        if self.ending == "auto":
            return "memory" if num_english_texts <= MOST_MEMORIES else "contrast"
        return self.ending

    def descent(self) -> training.TrainConfig:
        """How a small tower learns."""
        return training.TrainConfig(
            num_steps=self.num_steps,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
            schedule="cosine",
            num_warmup_steps=int(0.05 * self.num_steps),
            betas=(0.9, 0.99),
            rate_factors={"keys": 0.25, "log_scale": 0.1},
            clip_norm=None,
        )
