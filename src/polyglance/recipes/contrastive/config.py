"""Settings that all contrastive recipes have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polyglance import errors, training
from polyglance.recipes import bounds
from polyglance.training.optimizers import OPTIMIZERS


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """What `nllb-clip` and `etcl` have in common.

    Attributes:
        regime: `projection` learns what is behind a frozen text tower, which then encodes each
            text once; `text-encoder` the text tower as well; `full` the image tower besides.
        image_projection: `frozen` leaves the content side unchanged, `behind` learns a linear map
            on its vectors, `trained` the image projection itself. With `full` it does not count:
            the image tower's own learns.
        augmentation: With `full`: `crop-flip` learns from random crops, every other one mirrored;
            images are resized to 346/289 of what the tower reads for it, whatever their shape.
        trainable_image_stages: With `full`: so many of the image tower's last stages learn; what
            the frozen ones in front of them give is computed once an image and kept on disk, in
            half precision. None lets all of the tower learn, from pixels.
        optimizer: A row of `training.optimizers`.
        batch_size: Rows of each view a step.
        projection_rate: Peak rate of projections and logit scale.
        trunk_rate: Peak rate of transformers, and of an image tower that learns.
        ngram_rate: Peak rate of an n-gram table.
        weight_decay: Decoupled decay.
        warmup_share: Share of the steps in which the rate rises.
        temperature: Where it starts; its inverse, the logit scale, learns and stops at 100.
        dev_fraction: Share of the images that chooses the step; 0 keeps the last one.
        most_dev_images: Images that choose the step at most; none for all of that share.
        chunk_rows: Rows whose activations are held at a time; none holds the whole batch.
        max_tokens: Tokens of a text in training; none leaves that to the tower.
        num_buckets: Rows of the table of a fresh n-gram tower, which is what learns where no
            tower is given.
        width: Width of that table.
        dropout: Share of n-grams that a training step leaves out.
        precision: What products are computed in.
        seed: Fixes start and draws.

    Raises:
        UnknownNameError: For a value that is none of a field's choices.
        ConfigError: For a number out of its range.
    """

    regime: Literal["projection", "text-encoder", "full"] = "text-encoder"
    image_projection: Literal["frozen", "behind", "trained"] = "frozen"
    augmentation: Literal["none", "crop-flip"] = "none"
    trainable_image_stages: bounds.Count | None = None
    optimizer: str = "adamw"
    batch_size: bounds.Count = 512
    projection_rate: bounds.Positive = 1e-3
    trunk_rate: bounds.Positive = 1e-5
    ngram_rate: bounds.Positive = 2e-2
    weight_decay: bounds.NotNegative = 0.01
    warmup_share: bounds.Share = 0.05
    temperature: bounds.Positive = 0.07
    dev_fraction: bounds.DevShare = 0.0
    most_dev_images: bounds.Count | None = 1000
    chunk_rows: bounds.Count | None = None
    max_tokens: bounds.Count | None = None
    num_buckets: bounds.Count = 36_000
    width: bounds.Count = 128
    dropout: bounds.Share = 0.2
    precision: training.Precision = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)
        if self.optimizer not in OPTIMIZERS:
            raise errors.unknown_name("optimizer", self.optimizer, allowed=OPTIMIZERS)
        if self.augmentation != "none" and self.regime != "full":
            raise errors.ConfigError(
                f"augmentation {self.augmentation} with regime {self.regime}; pixels are cropped "
                "only where the image tower learns",
                hint="set regime=full as well, or augmentation=none",
            )
        if self.trainable_image_stages is None:
            return
        if self.regime != "full" or self.augmentation != "none":
            raise errors.ConfigError(
                f"trainable_image_stages={self.trainable_image_stages} with regime {self.regime} "
                f"and augmentation {self.augmentation}; stages of the image tower learn with "
                "regime full, from feature maps that are kept, which cannot be cropped",
                hint="set regime=full and augmentation=none, or leave trainable_image_stages out",
            )
