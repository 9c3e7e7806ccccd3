"""Image preprocessing: the array that an image tower reads, by Pillow and numpy alone.

Legend: C channels, H height, W width.

The libraries' own processors want torchvision or import for seconds. These are the same steps in
the same order: to RGB, resize, centre crop, scale, normalise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyglance.errors import ConfigError, InputError

Fit = Literal["shortest", "exact", "patches"]
Rounding = Literal["down", "half_even"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelRecipe:
    """The steps from an image to an array.

    Attributes:
        fit: `shortest` brings the shorter side to `height` (equal to `width`) and keeps the shape,
            `exact` makes it height x width, `patches` keeps the shape as nearly as a grid of at
            most `max_patches` squares of `patch_size` allows; None leaves the size alone.
        height: Pixels.
        width: Pixels.
        resample: Pillow's number of the filter: 2 bilinear, 3 bicubic.
        crop: Height and width of the centre crop; None for no crop.
        crop_rounding: Where the crop starts if an odd number of pixels is to go: transformers
            rounds down, torchvision (open_clip) to the even one.
        scale: Factor from 0..255 to the model's range.
        mean: Of each channel, after scaling.
        std: Of each channel, after scaling.
        patch_size: Pixels, for `patches`.
        max_patches: For `patches`.
    """

    fit: Fit | None
    height: int = 0
    width: int = 0
    resample: int = 3
    crop: tuple[int, int] | None = None
    crop_rounding: Rounding = "down"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    patch_size: int = 0
    max_patches: int = 0

    def facts(self) -> dict[str, Any]:
        """The recipe as JSON, for fingerprints."""
        return asdict(self)


def from_preprocessor_config(config: Mapping[str, Any], *, crops_by_default: bool) -> PixelRecipe:
    """Read the settings as transformers stores them (`preprocessor_config.json`).

    Args:
        config: The file's content, or the part of `processor_config.json` called
            `image_processor`.
        crops_by_default: What the family's processor does where the file does not say: CLIP,
            Chinese-CLIP and AltCLIP crop, SigLIP does not.

    Raises:
        ConfigError: For a size that is none of the known forms.
    """
    recipe = PixelRecipe(
        fit=None,
        resample=int(config.get("resample", 3)),
        crop=_height_width(config.get("crop_size", 224))
        if config.get("do_center_crop", crops_by_default)
        else None,
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1,
    )
    if config.get("do_normalize", True):
        mean, std = _triple(config.get("image_mean", 0.5)), _triple(config.get("image_std", 0.5))
        recipe = replace(recipe, mean=mean, std=std)
    if config.get("rescale_offset"):  # EfficientNet's, for ALIGN: scaled to -1..1, not 0..1
        recipe = replace(recipe, mean=tuple(value + 1 for value in recipe.mean))
    if config.get("include_top"):  # the same: divided by the deviation once more
        again = _triple(config.get("image_std", 0.5))
        twice = tuple(a * b for a, b in zip(recipe.std, again, strict=True))
        recipe = replace(recipe, std=twice)
    if "max_num_patches" in config:
        return replace(
            recipe,
            fit="patches",
            resample=int(config.get("resample", 2)),
            patch_size=int(config["patch_size"]),
            max_patches=int(config["max_num_patches"]),
        )
    if not config.get("do_resize", True):
        return recipe
    size = config.get("size", 224)
    # Files of transformers 4.20 and older give the shorter side as a bare number.
    if isinstance(size, int) and crops_by_default:
        size = {"shortest_edge": size}
    height, width = _height_width(size)
    by_edge = isinstance(size, Mapping) and "shortest_edge" in size
    return replace(recipe, fit="shortest" if by_edge else "exact", height=height, width=width)


def to_array(image: Any, *, recipe: PixelRecipe) -> NDArray[np.float32]:
    """One image to the array of a tower. Thread-safe; the image is not changed.

    Args:
        image: A PIL image of any mode.
        recipe: The steps.

    Returns:
        float32 (C, H, W).

    Raises:
        InputError: Where it is no PIL image.

    >>> image = Image.new("RGB", (6, 4), (255, 0, 0))
    >>> recipe = PixelRecipe(fit="shortest", height=2, width=2, crop=(2, 2))
    >>> to_array(image, recipe=recipe)[0].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return finished(resized(image, recipe=recipe), recipe=recipe)


def resized(image: Any, *, recipe: PixelRecipe) -> NDArray[np.uint8]:
    """The first steps, up to the crop: what may be kept on disk.

    Args:
        image: A PIL image of any mode.
        recipe: The steps.

    Returns:
        uint8 (H, W, C).

    Raises:
        InputError: Where it is no PIL image.
    """
    if not isinstance(image, Image.Image):
        raise InputError(
            f"{type(image).__name__} is no image; PIL images are allowed",
            hint="open it with PIL.Image.open",
        )
    picture = image if image.mode == "RGB" else image.convert("RGB")
    if recipe.fit is not None:
        height, width = _target_size(picture.height, picture.width, recipe=recipe)
        if (width, height) != picture.size:
            picture = picture.resize((width, height), resample=Image.Resampling(recipe.resample))
    pixels = np.asarray(picture)  # (H, W, C)
    if recipe.crop is not None:
        pixels = centre_crop(pixels, size=recipe.crop, rounding=recipe.crop_rounding)
    return np.ascontiguousarray(pixels)


def finished(pixels: NDArray[np.uint8], *, recipe: PixelRecipe) -> NDArray[np.float32]:
    """The last steps: uint8 (H, W, C) scaled and normalised, to float32 (C, H, W)."""
    mean = np.asarray(recipe.mean, dtype=np.float32)
    std = np.asarray(recipe.std, dtype=np.float32)
    scaled = pixels.astype(np.float32) * np.float32(recipe.scale)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))  # (C, H, W)


def to_patches(array: NDArray[Any], *, patch_size: int) -> NDArray[Any]:
    """Cut an array into squares, row by row, channels last inside each.

    Args:
        array: (C, H, W); H and W multiples of `patch_size`.
        patch_size: Pixels.

    Returns:
        (H W / patch_size^2, patch_size^2 C).

    >>> to_patches(np.arange(8.0).reshape(1, 2, 4), patch_size=2).tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    channels, height, width = array.shape
    rows, columns = height // patch_size, width // patch_size
    grid = array.reshape(channels, rows, patch_size, columns, patch_size)
    return grid.transpose(1, 3, 2, 4, 0).reshape(rows * columns, -1)


def _target_size(height: int, width: int, *, recipe: PixelRecipe) -> tuple[int, int]:
    if recipe.fit == "exact":
        return recipe.height, recipe.width
    if recipe.fit == "patches":
        return _patch_grid(height, width, recipe=recipe)
    # int(), not round(): the libraries cut the longer side, and one pixel shifts the crop.
    longer = int(recipe.height * max(height, width) / min(height, width))
    return (recipe.height, longer) if height <= width else (longer, recipe.height)


def _patch_grid(height: int, width: int, *, recipe: PixelRecipe) -> tuple[int, int]:
    """The largest grid of whole patches that fits; the scale is bisected as SigLIP 2 does."""
    patch = recipe.patch_size

    def grid(scale: float) -> tuple[int, int]:
        sides = (max(patch, math.ceil(side * scale / patch) * patch) for side in (height, width))
        tall, wide = sides
        return tall, wide

    low, high = 1e-6, 100.0
    while high - low >= 1e-5:
        middle = (low + high) / 2
        tall, wide = grid(middle)
        if (tall // patch) * (wide // patch) <= recipe.max_patches:
            low = middle
        else:
            high = middle
    return grid(low)


def input_size(recipe: PixelRecipe) -> tuple[int, int]:
    """Height and width of what a tower reads.

    Raises:
        ConfigError: Where these are not the same for all images.
    """
    if recipe.crop is not None:
        return recipe.crop
    if recipe.fit == "exact":
        return recipe.height, recipe.width
    raise ConfigError(
        f"images keep their shape here (fit {recipe.fit}); random crops have one size for all",
        hint="take augmentation=none, or another image tower",
    )


def crop_at(
    pixels: NDArray[Any], *, size: tuple[int, int], top: int, left: int, mirrored: bool
) -> NDArray[Any]:
    """A part of an image (H, W, C), perhaps mirrored.

    >>> crop_at(np.arange(6).reshape(2, 3, 1), size=(1, 2), top=1, left=0, mirrored=True).tolist()
    [[[4], [3]]]
    """
    part = pixels[top : top + size[0], left : left + size[1]]
    return part[:, ::-1] if mirrored else part


def centre_crop(
    pixels: NDArray[Any], *, size: tuple[int, int], rounding: Rounding = "down"
) -> NDArray[Any]:
    """The middle of an image; one that is smaller gets black borders."""
    height, width = pixels.shape[:2]
    short = max(0, size[0] - height), max(0, size[1] - width)
    if any(short):
        # The odd pixel of a border goes in front, as in transformers.
        before = -(-short[0] // 2), -(-short[1] // 2)
        borders = [(b, s - b) for b, s in zip(before, short, strict=True)]
        pixels = np.pad(pixels, [*borders, (0, 0)])
        height, width = pixels.shape[:2]
    spare = height - size[0], width - size[1]
    # Python's round() goes to the even number, as torchvision's does.
    top, left = (x // 2 if rounding == "down" else round(x / 2) for x in spare)
    return pixels[top : top + size[0], left : left + size[1]]


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and "shortest_edge" in size and "longest_edge" not in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    raise ConfigError(
        f"image size {size!r}; a number, shortest_edge, or height and width are allowed",
        hint="check preprocessor_config.json of the checkpoint",
    )


def _triple(value: float | Sequence[float]) -> tuple[float, ...]:
    return (float(value),) * 3 if isinstance(value, (int, float)) else tuple(map(float, value))
