"""A small convolutional image network that two cores can train, and its input.

Legend: N images, S side in pixels, D width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

SIDE = 64
WIDTHS = (32, 64, 128, 256)
# Pictograms are mostly white: this centres their pixels.
PIXEL_MEAN, PIXEL_SCALE = 0.7, 0.3


class TinyImageNet(nn.Module):
    """Four stages of two convolutions that halve the side each, mean pooling, one linear layer.

    Args:
        dim: Width D of the embeddings.
        widths: Channels of the stages.
    """

    def __init__(self, dim: int, *, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        layers = [*_stage(3, widths[0], stride=2)]
        for before, after in itertools.pairwise(widths):
            layers += [*_stage(before, after, stride=2), *_stage(after, after, stride=1)]
        self.trunk = nn.Sequential(*layers)
        self.project = nn.Linear(widths[-1], dim)
        for parameter in self.trunk.parameters():
            if parameter.ndim == 4:  # a third faster on CPU
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] to (N, D), not normalised; S from 32 up."""
        centred = ((pixels - PIXEL_MEAN) / PIXEL_SCALE).contiguous(
            memory_format=torch.channels_last
        )
        projected: Tensor = self.project(self.trunk(centred).mean(dim=(2, 3)))
        return projected


def _stage(before: int, after: int, *, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def preprocess(image: Image.Image) -> NDArray[np.float32]:
    """An image to (3, 64, 64) in [0, 1], transparency on white."""
    return finished(resized(image, size=(SIDE, SIDE)))


def resized(image: Image.Image, *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image to uint8 (H, W, 3) of a size, transparency on white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        image = Image.alpha_composite(white, coloured)
    small = image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(small)


def finished(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (H, W, 3) to (3, H, W) in [0, 1]."""
    return pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
