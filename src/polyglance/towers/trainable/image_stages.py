"""Image towers of which only the last stages learn; what the frozen ones give is kept.

A convolutional network is a row of stages. Where the first of them stay frozen, the feature map
behind them is the same in every step: it is computed once an image, in half precision, and
training begins there.

Legend: B images of a batch, C channels, H height, W width, D width of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.towers import Tower
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.towers.trainable.images import TrainableTorchImages
from polyglance.towers.trainable.tuned_images import TunedImageTower

FeatureMap = NDArray[np.float16]
# What a half holds; a frozen stage that gives more cannot be kept in it.
MOST_IN_HALF = float(np.finfo(np.float16).max)


@runtime_checkable
class StagedFeatures(Protocol):
    """A network of images that can be cut in front of its last stages.

    Attributes:
        num_stages: Into how many stages; what stands in front of the first is never among them.
    """

    num_stages: int

    def feature_maps(self, batch: Mapping[str, Tensor], *, stages: int) -> Tensor:
        """A batch of pixels to (B, C, H, W), what the last `stages` stages take."""
        ...

    def features_of(self, maps: Tensor, *, stages: int) -> Tensor:
        """Those to (B, D'), with gradient."""
        ...

    def last_stages(self, stages: int) -> Sequence[nn.Module]:
        """The modules that this goes through."""
        ...


class TrainableStages(TrainableTorchImages):
    """The last stages of an image tower, trained on from their weights; the rest is frozen.

    Args:
        tower: Is copied.
        reference: How it was loaded.
        stages: How many of the last stages learn.

    Raises:
        ConfigError: For a network that is not cut into stages, or has fewer.
    """

    def __init__(self, tower: TorchImageTower, reference: str, *, stages: int) -> None:
        super().__init__(tower, reference)
        features = self.tower.module.features
        if not isinstance(features, StagedFeatures):
            raise errors.ConfigError(
                f"the image tower {reference} is not cut into stages; those of "
                "packaged:efficientnet-lite0, 1 and 2 are",
                hint="leave trainable_image_stages out: the whole image tower learns",
            )
        if stages > features.num_stages:
            raise errors.ConfigError(
                f"trainable_image_stages={stages}; {reference} has {features.num_stages}",
                hint="take 1 for the last stage, or leave it out for the whole tower",
            )
        self.features, self.stages = features, stages
        learning = [*features.last_stages(stages), self.tower.module.projection]
        self.module.requires_grad_(False)
        for part in learning:
            if part is not None:
                part.requires_grad_(True)

    def feature_map(self, image: Any) -> FeatureMap:
        """One PIL image to half-precision (C, H, W); thread-safe.

        Raises:
            InputError: Where the map leaves the range of half precision.
        """
        batch = self.tower.collate([self.tower.preprocess(image)])
        with torch.inference_mode():
            found = self.features.feature_maps(batch, stages=self.stages)[0].float().cpu()
        if not float(found.abs().amax()) <= MOST_IN_HALF:
            raise errors.InputError(
                "the feature map of an image leaves the range of half precision",
                hint="leave trainable_image_stages out: the whole image tower learns, from pixels",
            )
        return np.ascontiguousarray(found.numpy().astype(np.float16))

    def forward(self, arrays: Sequence[NDArray[Any]]) -> Tensor:
        """B feature maps to (B, D), with the gradient of the last stages."""
        maps = torch.from_numpy(np.stack(arrays)).to(self.tower.device, self.tower.dtype)
        return self.tower.module.embedding(self.features.features_of(maps, stages=self.stages))


def live_stages(tower: Tower, reference: str, *, stages: int) -> TrainableStages:
    """A copy of an image tower whose last stages learn; the given one stays as it is.

    Args:
        tower: An image tower.
        reference: How it was loaded.
        stages: How many of the last stages learn.

    Raises:
        ConfigError: For a tower that is not cut into stages, or has fewer.
    """
    if isinstance(tower, TunedImageTower):
        return TrainableStages(tower.tower, tower.base, stages=stages)
    if not isinstance(tower, TorchImageTower):
        raise errors.ConfigError(
            f"{reference} is a {type(tower).__name__}, which is not cut into stages; "
            "packaged:efficientnet-lite0, 1 and 2 are",
            hint="leave trainable_image_stages out, or keep the image tower frozen: "
            "regime=text-encoder",
        )
    return TrainableStages(tower, reference, stages=stages)
