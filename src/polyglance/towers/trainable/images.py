"""Trainable image towers: the small convolution, and any of torch, with one interface.

Legend: B images of a batch, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.towers import Tower
from polyglance.towers.tiny.tower import TinyImageTower
from polyglance.towers.trainable import tuned_images
from polyglance.towers.trainable.assembled import TorchImageTower


class TrainableImages(Protocol):
    """An image tower while it learns.

    Attributes:
        module: Its parameters.
        dim: D.
    """

    module: nn.Module
    dim: int

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """B arrays of the tower's `preprocess` to (B, D), raw, with gradient."""
        ...

    def export(self) -> tuple[Tower, str]:
        """What was learnt, as a frozen tower, and the reference it will have inside a pack."""
        ...


def live_images(tower: Tower, reference: str) -> TrainableImages:
    """A copy of an image tower, ready to learn; the given one stays as it is.

    Args:
        tower: A tiny one, or one of hf: or openclip:.
        reference: How it was loaded.

    Raises:
        ConfigError: For a tower of another kind.
    """
    if isinstance(tower, TinyImageTower):
        return TrainableTinyImages(tower)
    if isinstance(tower, tuned_images.TunedImageTower):
        return TrainableTorchImages(tower.tower, tower.base)
    if isinstance(tower, TorchImageTower):
        return TrainableTorchImages(tower, reference)
    raise errors.ConfigError(
        f"{reference} is a {type(tower).__name__}, which cannot learn; tiny towers and those of "
        "hf: and openclip: can",
        hint="keep the image tower frozen: regime=text-encoder",
    )


class TrainableTinyImages:
    """The small convolution, trained on.

    Args:
        tower: Is copied.
    """

    def __init__(self, tower: TinyImageTower) -> None:
        self.net = copy.deepcopy(tower.net)
        self.module: nn.Module = self.net
        self.dim = tower.dim

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """Arrays (3, S, S) to (B, D)."""
        vectors: Tensor = self.net(torch.from_numpy(np.stack(arrays)))
        return vectors

    def export(self) -> tuple[Tower, str]:
        """A `tiny` tower."""
        return TinyImageTower(self.net), "tiny:./image"


class TrainableTorchImages:
    """An image tower of a published model, trained on from its weights.

    Args:
        tower: Is copied.
        reference: How it was loaded.
    """

    def __init__(self, tower: TorchImageTower, reference: str) -> None:
        self.tower, self.reference = copy.copy(tower), reference
        self.tower.module = copy.deepcopy(tower.module)
        self.module: nn.Module = self.tower.module
        self.dim = tower.dim

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """Preprocessed arrays to (B, D)."""
        return self.tower.forward(self.tower.collate(arrays))

    def export(self) -> tuple[Tower, str]:
        """A `tuned-image` tower: the base's reference and the tensors now."""
        found = tuned_images.TunedImageTower(self.tower, base=self.reference)
        return found, "tuned-image:./image"
