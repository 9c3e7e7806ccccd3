"""Settings that all contrastive recipes have."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin, get_type_hints

from polyglance import errors


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """What `nllb-clip` and `etcl` have in common.

    Attributes:
        optimizer: A row of `training.optimizers`.
        batch_size: Rows of each view a step.
        projection_rate: Peak rate of projections and logit scale.
        trunk_rate: Peak rate of transformers, and of an image tower that learns.
        ngram_rate: Peak rate of an n-gram table.
        weight_decay: Decoupled decay.
        warmup_share: Share of the steps in which the rate rises.
        temperature: Where it starts; its inverse, the logit scale, learns and stops at 100.
        dev_fraction: Share of the images that chooses the step; 0 keeps the last one.
        chunk_rows: Rows whose activations are held at a time; None holds the whole batch.
        max_tokens: Tokens of a text in training; None leaves that to the tower.
        num_buckets: Rows of the table of a fresh n-gram tower, which is what learns where no
            tower is given.
        width: Width of that table.
        dropout: Share of n-grams that a training step leaves out.
        precision: What products are computed in.
        seed: Fixes start and draws.

    Raises:
        UnknownNameError: For a value that is none of a field's choices.
        ConfigError: For a temperature or rate of zero or below.
    """

    optimizer: str = "adamw"
    batch_size: int = 512
    projection_rate: float = 1e-3
    trunk_rate: float = 1e-5
    ngram_rate: float = 2e-2
    weight_decay: float = 0.01
    warmup_share: float = 0.05
    temperature: float = 0.07
    dev_fraction: float = 0.0
    chunk_rows: int | None = None
    max_tokens: int | None = None
    num_buckets: int = 36_000
    width: int = 128
    dropout: float = 0.2
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            value, kind = getattr(self, each.name), hints[each.name]
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise errors.unknown_name(f"value of {each.name}", value, allowed=get_args(kind))
            if each.name.endswith(("temperature", "_rate")) and value <= 0:
                raise errors.ConfigError(
                    f"{each.name} {value}; it must be above 0",
                    hint=f"leave it out for {each.default}, the default",
                )
