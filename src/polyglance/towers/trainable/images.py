"""Trainable image towers: the small convolution, and any of torch, with one interface.

Legend: B images of a batch, H height, W width, D width of vectors.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.towers import Tower
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny.tower import TinyImageTower
from polyglance.towers.trainable import pixels, tuned_images
from polyglance.towers.trainable.assembled import TorchImageTower


class TrainableImages(Protocol):
    """An image tower while it learns.

    Attributes:
        module: Its parameters.
        dim: D.
    """

    module: nn.Module
    dim: int

    def input_size(self) -> tuple[int, int]:
        """Height and width of what it reads.

        Raises:
            ConfigError: Where these are not the same for all images.
        """
        ...

    def resized(self, image: Any, *, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """One PIL image to uint8 (H, W, 3), which may be kept; thread-safe.

        Args:
            image: Of any mode.
            size: Height and width, whatever the image's shape; None resizes and crops as the
                tower's `preprocess`.
        """
        ...

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """B arrays of the tower's `preprocess`, or uint8 (H, W, 3), to (B, D), with gradient."""
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

    def input_size(self) -> tuple[int, int]:
        """A square."""
        return image_net.SIDE, image_net.SIDE

    def resized(self, image: Any, *, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """One PIL image to uint8 (H, W, 3)."""
        return image_net.resized(image, size=size or self.input_size())

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """Arrays (3, S, S), or uint8 (S, S, 3), to (B, D)."""
        ready = [image_net.finished(x) if x.dtype == np.uint8 else x for x in arrays]
        vectors: Tensor = self.net(torch.from_numpy(np.stack(ready)))
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

    def input_size(self) -> tuple[int, int]:
        """As its recipe says."""
        return pixels.input_size(self.tower.recipe)

    def resized(self, image: Any, *, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """One PIL image to uint8 (H, W, 3)."""
        recipe = self.tower.recipe
        if size is not None:
            recipe = replace(recipe, fit="exact", height=size[0], width=size[1], crop=None)
        return pixels.resized(image, recipe=recipe)

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """Preprocessed arrays, or uint8 (H, W, 3), to (B, D)."""
        recipe = self.tower.recipe
        ready = [pixels.finished(x, recipe=recipe) if x.dtype == np.uint8 else x for x in arrays]
        return self.tower.forward(self.tower.collate(ready))

    def export(self) -> tuple[Tower, str]:
        """A `tuned-image` tower: the base's reference and the tensors now."""
        found = tuned_images.TunedImageTower(self.tower, base=self.reference)
        return found, "tuned-image:./image"
