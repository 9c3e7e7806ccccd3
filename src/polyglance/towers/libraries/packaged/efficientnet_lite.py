"""EfficientNet-Lite image towers: the network, the conversion of its weights, and the tower.

    packaged:efficientnet-lite2                      1280 pooled features
    packaged:efficientnet-lite2?features=roots       their square roots, so that no few peaks rule
    packaged:efficientnet-lite2?features=classes     probabilities of the 1,000 classes of ImageNet
    packaged:efficientnet-lite2?features=classes&top=10     the ten largest of them, to sum 1

Options: `features` (pooled), `top` (classes that keep their probability, all), `temperature` (of
the classes, 1), `size` (pixels, 224: native are 224, 240 and 260), `device`.

Source: Tan and Le (2019), EfficientNet, table 1 and the scaling rule; the Lite variants (Google,
2020) have no squeeze-and-excitation, ReLU6 in the place of swish, a stem and head of fixed size.
The weights were made with TensorFlow's `SAME` padding and batch norms of eps 1e-3. Batch norms are
folded into the convolutions in front of them at conversion: nothing here computes one.

Legend: B images of a batch, C channels, H height, W width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polyglance import errors
from polyglance.storage import tensor_files
from polyglance.towers import TowerReference
from polyglance.towers.runtime import devices, weights
from polyglance.towers.trainable import pixels
from polyglance.towers.trainable.assembled import Identity, ProjectedEncoder, TorchImageTower

WEIGHTS = "model.safetensors"
OPTIONS = ("features", "top", "temperature", "size", "device")
FEATURES = ("pooled", "roots", "classes")
EPSILON = 1e-3
STEM, HEAD, NUM_CLASSES = 32, 1280, 1000
SIZE, SIZES = 224, range(32, 1025)
# Images that go through the network together on a processor: more of them leave its cache (one
# thread, Lite0: 4 take 14.1 ms an image, 8 take 19.4, 32 take 24.2).
PART = 4
# What the weights saw in training: (x - 127) / 128 of 0..255.
PIXELS = pixels.PixelRecipe(fit="exact", resample=3, scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3)


@dataclass(frozen=True)
class Stage:
    """Blocks that follow each other: kernel, stride of the first, expansion, channels, repeats."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


# EfficientNet-B0; the first and the last stage are not repeated more often in deeper ones.
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
# Width and depth as multiples of those.
VARIANTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "efficientnet-lite0": (1.0, 1.0),
        "efficientnet-lite1": (1.0, 1.1),
        "efficientnet-lite2": (1.1, 1.2),
    }
)


class Convolution(nn.Conv2d):
    """A convolution with bias and TensorFlow's `SAME` padding, perhaps with ReLU6 behind it.

    Where the stride does not divide evenly, the odd pixel of the padding goes to the right and
    below: symmetric padding shifts every feature map, and costs five points of R@10.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> None:
        # At stride 1 `SAME` is symmetric, and the convolution pads by itself.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(
            channels_in, channels_out, kernel, stride=stride, padding=padding, groups=groups
        )
        self.activated = activated

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] > 1:
            top, bottom = same_padding(maps.shape[2], self.kernel_size[0], self.stride[0])
            left, right = same_padding(maps.shape[3], self.kernel_size[1], self.stride[1])
            maps = F.pad(maps, [left, right, top, bottom])
        found = super().forward(maps)
        return F.relu6(found, inplace=True) if self.activated else found


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels in front and behind, so that ceil(size / stride) positions fit.

    >>> same_padding(224, 3, 2), same_padding(65, 5, 2), same_padding(7, 3, 1)
    ((0, 1), (2, 2), (1, 1))
    """
    needed = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return needed // 2, needed - needed // 2


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; added to its input if alike.

    Args:
        channels_in: C_in.
        stage: Kernel, expansion and C_out.
        stride: Of the middle convolution.
    """

    def __init__(self, channels_in: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        hidden, channels_out = channels_in * stage.expansion, stage.channels
        self.expand = Convolution(channels_in, hidden) if stage.expansion > 1 else nn.Identity()
        self.depthwise = Convolution(
            hidden, hidden, kernel=stage.kernel, stride=stride, groups=hidden
        )
        self.project = Convolution(hidden, channels_out, activated=False)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        found: Tensor = self.project(self.depthwise(self.expand(maps)))
        return found.add_(maps) if self.residual else found


class EfficientNetLite(nn.Module):
    """Pixels to pooled features; the classifier stands beside it.

    Args:
        name: A row of `VARIANTS`.
        stages: Of which it is a multiple.
        head: Width of the features.
    """

    def __init__(self, name: str, *, stages: tuple[Stage, ...] = STAGES, head: int = HEAD) -> None:
        super().__init__()
        scaled = list(scaled_stages(stages, *VARIANTS[name]))
        widths = [STEM, *(stage.channels for stage in scaled)]
        self.stem = Convolution(3, STEM, kernel=3, stride=2)
        self.blocks = nn.Sequential(
            *(
                Block(
                    before if number == 0 else stage.channels,
                    stage,
                    stride=stage.stride if number == 0 else 1,
                )
                for before, stage in zip(widths, scaled, strict=False)
                for number in range(stage.repeats)
            )
        )
        self.head = Convolution(widths[-1], head)
        self.num_stages = len(scaled)
        self._repeats = [stage.repeats for stage in scaled]

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`pixel_values` (B, 3, H, W), normalised, to (B, head)."""
        parts = _parts(batch["pixel_values"])
        return torch.cat([self.head(self.blocks(self.stem(p))).mean(dim=(2, 3)) for p in parts])

    def feature_maps(self, batch: Mapping[str, Tensor], *, stages: int) -> Tensor:
        """`pixel_values` (B, 3, H, W) to (B, C, H', W'), what the last `stages` stages take."""
        frozen = self.blocks[: self._first_block(stages)]
        return torch.cat([frozen(self.stem(part)) for part in _parts(batch["pixel_values"])])

    def features_of(self, maps: Tensor, *, stages: int) -> Tensor:
        """Feature maps (B, C, H', W') to (B, head); the head counts to the last stage."""
        last = self.blocks[self._first_block(stages) :]
        return torch.cat([self.head(last(part)).mean(dim=(2, 3)) for part in _parts(maps)])

    def last_stages(self, stages: int) -> list[nn.Module]:
        """The modules of the last stages, and the head behind them."""
        return [*self.blocks[self._first_block(stages) :].children(), self.head]

    def _first_block(self, stages: int) -> int:
        """The first block of the last stages."""
        return sum(self._repeats[: self.num_stages - stages])


def _parts(maps: Tensor) -> Sequence[Tensor]:
    """Images that go through the network together, with their channels last."""
    maps = maps.contiguous(memory_format=torch.channels_last)
    return torch.split(maps, PART if maps.device.type == "cpu" else len(maps))


def scaled_stages(stages: tuple[Stage, ...], width: float, depth: float) -> Iterator[Stage]:
    """The stages of a wider and deeper network.

    >>> [(stage.channels, stage.repeats) for stage in scaled_stages(STAGES, 1.1, 1.2)]
    [(16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1)]
    """
    for stage in stages:
        # To a multiple of 8, and never below nine tenths.
        wanted = stage.channels * width
        channels = max(8, int(wanted + 4) // 8 * 8)
        channels += 8 if channels < 0.9 * wanted else 0
        at_the_end = stage in (stages[0], stages[-1])
        repeats = stage.repeats if at_the_end else math.ceil(stage.repeats * depth)
        yield Stage(stage.kernel, stage.stride, stage.expansion, channels, repeats)


def folded(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the published form under our names, batch norms folded in.

    Args:
        stored: Convolutions without bias (`_conv_stem`, `_blocks.N._expand_conv` ...), each with
            its batch norm (`_bn0`, `_blocks.N._bn0` ...), and `_fc`.

    Raises:
        StoreError: A tensor is missing.
    """
    try:
        return dict(_folded(stored))
    except KeyError as error:
        raise errors.StoreError(
            f"the weights have no tensor {error}; an EfficientNet-Lite of PyTorch is expected",
            hint="install the package again: its file may be another one",
        ) from error


def _folded(stored: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    # In a block without expansion the norms are numbered from 1 as well.
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in itertools.count():
        inside = f"_blocks.{number}."
        if f"{inside}_project_conv.weight" not in stored:
            break
        for part, norm in norms.items():
            convolution = f"{inside}_{part}_conv"
            if part != "expand" or f"{convolution}.weight" in stored:
                pairs[f"blocks.{number}.{part}"] = convolution, inside + norm
    for name, (convolution, norm) in pairs.items():
        deviation = (stored[f"{norm}.running_var"].double() + EPSILON).sqrt()
        factor = stored[f"{norm}.weight"].double() / deviation
        weight = stored[f"{convolution}.weight"].double() * factor[:, None, None, None]
        yield f"{name}.weight", weight.float().contiguous()
        bias = stored[f"{norm}.bias"].double() - stored[f"{norm}.running_mean"].double() * factor
        yield f"{name}.bias", bias.float()
    for kind in ("weight", "bias"):
        yield f"classifier.{kind}", stored[f"_fc.{kind}"].float().contiguous()


def convert(files: Mapping[str, Path], folder: Path) -> None:
    """Write a package's `.pth` as folded safetensors.

    Args:
        files: The package's one file of weights, by its name.
        folder: An empty one.

    Raises:
        StoreError: It holds other tensors, or more than tensors.
    """
    (file,) = files.values()
    tensor_files.write_torch(folder / WEIGHTS, folded(tensor_files.read_pickled(file)))


def load(folder: Path, reference: TowerReference) -> TorchImageTower:
    """The tower of a converted folder.

    Args:
        folder: As `convert` wrote it.
        reference: `packaged:NAME?options`, the name a row of `VARIANTS`.

    Raises:
        UnknownNameError: For an unknown option or kind of features.
        ConfigError: For a value that an option does not take.
    """
    for option in reference.options:
        if option not in OPTIONS:
            raise errors.unknown_name("option of efficientnet-lite towers", option, allowed=OPTIONS)
    name = reference.location.lower()
    features = reference.options.get("features", "pooled")
    if features not in FEATURES:
        raise errors.unknown_name("kind of features", features, allowed=FEATURES)
    size = int(_number(reference, "size", default=SIZE, low=SIZES[0], high=SIZES[-1]))
    recipe = replace(PIXELS, height=size, width=size)
    stored = tensor_files.read_torch(folder / WEIGHTS)
    classifier = {key: stored.pop(f"classifier.{key}") for key in ("weight", "bias")}
    network = EfficientNetLite(name)
    network.load_state_dict(stored)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    facts: dict[str, object] = {"network": name, "pixels": recipe.facts(), "features": features}
    projection: nn.Linear | None = None
    after: Callable[[Tensor], Tensor] | None = roots if features == "roots" else None
    if features == "classes":
        projection = nn.Linear(HEAD, NUM_CLASSES)
        projection.load_state_dict(classifier)
        top = int(_number(reference, "top", default=NUM_CLASSES, low=1, high=NUM_CLASSES))
        temperature = _number(reference, "temperature", default=1.0, low=0.01, high=100.0)
        facts |= {"top": top, "temperature": temperature}
        stored |= classifier
        after = partial(largest_shares, top=top, temperature=temperature)
    elif unread := {"top", "temperature"} & reference.options.keys():
        raise errors.ConfigError(
            f"{sorted(unread)[0]} of {reference}; it is of class probabilities",
            hint="leave it out, or say features=classes",
        )
    fingerprint = weights.fingerprint(stored, facts=facts)
    return TorchImageTower(
        ProjectedEncoder(network, projection, after=after),
        recipe=recipe,
        identity=Identity(
            dim=HEAD if projection is None else NUM_CLASSES,
            pre_projection_dim=HEAD,
            space_id=fingerprint,
            fingerprint=fingerprint,
        ),
        device=devices.device_of(reference.options.get("device")),
    )


def roots(pooled: Tensor) -> Tensor:
    """Square roots of features of 0 or more, with a gradient that is finite at 0."""
    return pooled.clamp_min(1e-12).sqrt()


def largest_shares(logits: Tensor, *, top: int, temperature: float) -> Tensor:
    """Softmax of (B, classes) over the `top` largest of each row; the others get 0.

    >>> largest_shares(torch.tensor([[0.0, 0.0, -9.0]]), top=2, temperature=1.0).tolist()
    [[0.5, 0.5, 0.0]]
    """
    values, classes = logits.topk(top, dim=1)
    return torch.zeros_like(logits).scatter_(1, classes, (values / temperature).softmax(dim=1))


def _number(
    reference: TowerReference, option: str, *, default: float, low: float, high: float
) -> float:
    """An option's number.

    Raises:
        ConfigError: It is none, or out of the range.
    """
    given = reference.options.get(option)
    if given is None:
        return default
    whole = isinstance(default, int)
    try:
        value = int(given) if whole else float(given)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise errors.ConfigError(
            f"{option}={given} of {reference}; {'a whole number' if whole else 'a number'} from "
            f"{low:g} to {high:g} is allowed",
            hint=f"leave it out for {default:g}",
        )
    return value
