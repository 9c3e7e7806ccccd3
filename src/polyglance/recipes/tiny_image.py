"""Training of a small image tower into a text tower's space: the demo's English-only model.

Each drawing is distorted in form and colour, and has to choose its name among all names (and each
name its drawing among the batch's). Trained on one artist's drawings, it must not learn the style:
the distortions below are what carried over to another artist's, measured one by one (docs/log.md).

Legend: N drawings, B of a batch, S side in pixels, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance import training
from polyglance.losses import Terms, cross_entropy
from polyglance.towers.tiny.image_net import SIDE, TinyImageNet
from polyglance.towers.tiny.tower import TinyImageTower
from polyglance.training import half_precision
from polyglance.vectors import Vectors

# Brightness and two colour axes: turning the last two turns the hue and keeps the brightness.
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)


@dataclass(frozen=True, kw_only=True)
class TinyImageConfig:
    """Settings of the image tower's training.

    Attributes:
        num_steps: Optimiser steps.
        batch_size: Drawings a step.
        learning_rate: Peak rate of AdamW, with 15 % warm-up and a cosine to zero.
        weight_decay: Decoupled decay.
        sides: Side in pixels by part of the training: small ones first, they are cheaper.
        temperature: Divides the cosines.
        text_to_image_weight: Of the loss in the other direction, inside the batch.
        most_description: Up to this share of the description is mixed into the name.
        mixed_share: Share of batches in which drawings are blended in pairs (mixup).
        distortion: How strongly form and colour are distorted; 0 leaves both as drawn.
        text_noise: Length of noise added to the texts, so that they are not learnt by heart.
        seed: Fixes order and distortions.
    """

    num_steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    sides: tuple[int, ...] = (48, 64, 64, 64)
    temperature: float = 1 / 30
    text_to_image_weight: float = 0.5
    most_description: float = 0.6
    distortion: float = 1.0
    text_noise: float = 0.5
    mixed_share: float = 0.2
    seed: int = 0


def train(
    drawings: Tensor, names: Vectors, descriptions: Vectors, *, config: TinyImageConfig
) -> TinyImageTower:
    """Train an image tower into the space of text vectors.

    Args:
        drawings: uint8 (N, 4, 64, 64), red, green, blue, opacity.
        names: Float32 (N, D), unit: the text tower's vectors of their names.
        descriptions: Float32 (N, D), unit: of name and keywords together.
        config: Settings.
    """
    torch.manual_seed(config.seed)
    net = TinyImageNet(names.shape[1])
    named, described = torch.from_numpy(names), torch.from_numpy(descriptions)
    by_side = {side: _premultiplied(drawings, side) for side in set(config.sides)}

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rows_of = training.shuffled_batches(
            len(drawings), batch_size=config.batch_size, seed=config.seed, drop_last=True
        )
        steps_an_epoch = max(1, len(drawings) // config.batch_size)
        for number, rows in enumerate(rows_of(epoch)):
            done = min(1.0, (epoch * steps_an_epoch + number) / config.num_steps)
            side = config.sides[min(len(config.sides) - 1, int(done * len(config.sides)))]
            yield rows, distort(by_side[side][rows], strength=config.distortion)

    def step(batch: tuple[Tensor, Tensor]) -> Terms:
        rows, pixels = batch
        partner, share = torch.arange(len(rows)), 1.0
        if torch.rand(()) < config.mixed_share:
            partner, share = torch.randperm(len(rows)), _blend_share()
            pixels = share * pixels + (1 - share) * pixels[partner]
        # Half precision halves the time of the convolutions and costs no accuracy here.
        with torch.autocast("cpu", torch.bfloat16, enabled=half_precision.pays()):
            found = net(pixels)
        images = functional.normalize(found.float(), dim=1)
        texts = _mixed_texts(named, described, config)
        scores = images @ texts.T / config.temperature  # (B, N)
        choosing = share * cross_entropy.choose_among(scores, rows)["total"]
        if share < 1:
            choosing += (1 - share) * cross_entropy.choose_among(scores, rows[partner])["total"]
            return {"image_to_text": choosing, "total": choosing}
        other_way = cross_entropy.choose_among(scores[:, rows].T, torch.arange(len(rows)))["total"]
        return {
            "image_to_text": choosing,
            "text_to_image": other_way,
            "total": choosing + config.text_to_image_weight * other_way,
        }

    training.fit(
        net,
        step,
        batches=batches,
        config=training.TrainConfig(
            num_steps=config.num_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            schedule="cosine",
            num_warmup_steps=int(0.15 * config.num_steps),
            betas=(0.9, 0.98),
            clip_norm=2.0,
        ),
        label="image tower",
    )
    return TinyImageTower(net)


def _blend_share() -> float:
    """Mostly near 0 or 1: a Beta(0.4, 0.4) draw."""
    draw: float = torch.distributions.Beta(0.4, 0.4).sample().item()
    return draw


def _mixed_texts(named: Tensor, described: Tensor, config: TinyImageConfig) -> Tensor:
    share = torch.rand(len(named), 1) * config.most_description
    texts = functional.normalize(named * (1 - share) + described * share, dim=1)
    length = config.text_noise * torch.rand(len(texts), 1) / math.sqrt(texts.shape[1])
    return functional.normalize(texts + torch.randn_like(texts) * length, dim=1)


def _premultiplied(drawings: Tensor, side: int) -> Tensor:
    """Colours times opacity, at another size: (N, 4, S, S) in [0, 1]."""
    pixels = drawings.float() / 255
    pixels[:, :3] *= pixels[:, 3:]
    if side == SIDE:
        return pixels
    return functional.interpolate(
        pixels, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )


def distort(pixels: Tensor, *, strength: float = 1.0) -> Tensor:
    """Bend, turn, recolour, cover and blur drawings, and put them on a background.

    Args:
        pixels: (B, 4, S, S), premultiplied, in [0, 1].
        strength: Factor on the ranges of form and colour.

    Returns:
        (B, 3, S, S).
    """
    size = len(pixels)
    grid = _grid(size, pixels.shape[-1], strength)
    bent = functional.grid_sample(pixels, grid, align_corners=False)
    colour, opacity = bent[:, :3], bent[:, 3:]
    recoloured = torch.einsum("bij,bjhw->bihw", _colour_change(size, strength), colour)
    # Offsets count where there is ink; 30 % of the drawings keep their brightness.
    offset = _between(size, -0.15, 0.15)[:, None] + 0.05 * torch.randn(size, 3)
    offset = strength * offset * (torch.rand(size, 1) < 0.7)
    recoloured = recoloured + offset[:, :, None, None] * opacity
    coloured = torch.rand(size, 1) < 0.1
    background = torch.where(coloured, torch.rand(size, 3), torch.ones(size, 3))
    painted = torch.minimum(recoloured.clamp(min=0), opacity)
    painted = painted + (1 - opacity) * background[:, :, None, None]
    noise = 0.02 * torch.rand(size, 1, 1, 1)
    covered = _cover(_blur_or_sharpen(painted))
    return covered + torch.randn_like(covered) * noise


def _grid(size: int, side: int, strength: float) -> Tensor:
    """Where each pixel comes from: turn, scale, shear, shift, and a gentle wave."""
    angle = torch.deg2rad(strength * _between(size, -12, 12))
    scale = torch.exp(strength * _between(size, -0.2, 0.2))
    aspect = torch.exp(strength * _between(size, -0.12, 0.12))
    shear = strength * _between(size, -0.08, 0.08)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    shift = strength * _between(2 * size, -0.07, 0.07).view(2, size)
    first = torch.stack([cosine * scale * aspect, (shear - sine) * scale, shift[0]], dim=1)
    second = torch.stack([sine * scale, cosine * scale / aspect, shift[1]], dim=1)
    affine = torch.stack([first, second], dim=1)
    grid = functional.affine_grid(affine, [size, 4, side, side], align_corners=False)
    wave = strength * torch.randn(size, 2, 5, 5) * 0.04 * torch.rand(size, 1, 1, 1)
    wave = functional.interpolate(wave, size=(side, side), mode="bicubic", align_corners=False)
    return grid + wave.permute(0, 2, 3, 1)


def _colour_change(size: int, strength: float) -> Tensor:
    """A matrix a drawing: hue turned, saturation and contrast scaled; (B, 3, 3)."""
    hue = strength * torch.randn(size) * 0.06 * math.pi / 2 * (torch.rand(size) < 0.8)
    # Two in a hundred lose their colours.
    saturation = torch.exp(strength * _between(size, -0.4, 0.4)) * (torch.rand(size) > 0.02)
    turn = torch.zeros(size, 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(hue) * saturation
    turn[:, 2, 1] = torch.sin(hue) * saturation
    turn[:, 1, 2] = -turn[:, 2, 1]
    contrast = torch.exp(strength * _between(size, -0.2, 0.2))
    changed: Tensor = _FROM_YIQ @ turn @ _TO_YIQ * contrast[:, None, None]
    return changed


def _blur_or_sharpen(pixels: Tensor) -> Tensor:
    """Towards or away from a blurred copy, six drawings in ten."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    padded = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    blurred = functional.conv2d(padded, kernel, groups=3)
    size = len(pixels)
    amount = _between(size, -1, 1) * (torch.rand(size) < 0.6)
    return pixels + amount[:, None, None, None] * (blurred - pixels)


def _cover(pixels: Tensor) -> Tensor:
    """A box of one colour over 15 % of the drawings."""
    size, side = len(pixels), pixels.shape[-1]
    place = torch.arange(side) / side
    half = _between(size, 0.08, 0.22)[:, None]
    in_column = (place[None] - torch.rand(size, 1)).abs() < half
    in_row = (place[None] - torch.rand(size, 1)).abs() < half
    box = in_row[:, :, None] & in_column[:, None, :] & (torch.rand(size) < 0.15)[:, None, None]
    return torch.where(box[:, None], torch.rand(size, 3)[:, :, None, None], pixels)


def _between(size: int, low: float, high: float) -> Tensor:
    return torch.empty(size).uniform_(low, high)


def as_drawings(images: Sequence[Vectors]) -> Tensor:
    """Stack RGBA arrays (64, 64, 4) into uint8 (N, 4, 64, 64)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
