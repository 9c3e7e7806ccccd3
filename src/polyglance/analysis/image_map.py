"""Two-dimensional maps of images by class, and the share of their neighbours of the same class.

Legend: M images, N of them shown, D width.

A plane distorts distances, so the share is counted in the full space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.analysis import text_map
from polyglance.analysis.text_map import Method
from polyglance.metrics import bootstrap
from polyglance.metrics.bootstrap import Interval
from polyglance.vectors import Vectors, unit

# As many as colours and shapes tell apart at a glance; uCLIP shows the ten of CIFAR-10.
MOST_CLASSES = 10
IMAGES_PER_CLASS = 100


@dataclass(frozen=True, kw_only=True)
class ImageMap:
    """Images on a plane.

    Attributes:
        method: How it was made.
        x: (N,)
        y: (N,)
        same_class: Of the ten nearest of each image by cosine, the share of its own class; the
            interval is about other images.
        same_class_by_chance: What that is for neighbours drawn at random.
    """

    method: Method
    x: tuple[float, ...]
    y: tuple[float, ...]
    same_class: Interval
    same_class_by_chance: float


def shown_images(
    classes: NDArray[np.int64],
    *,
    num_classes: int = MOST_CLASSES,
    images_per_class: int = IMAGES_PER_CLASS,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Which images are shown: of the classes with most images, some of each at random.

    Args:
        classes: (M,) the class of each.
        num_classes: How many classes at most, the largest first, of equal ones the first.
        images_per_class: How many images of each at most.
        seed: Of the draw.

    Returns:
        (N,) places, ascending.

    Raises:
        InputError: For fewer than 12 images, or one class alone.
    """
    found, counts = np.unique(classes, return_counts=True)
    largest = found[np.argsort(-counts, kind="stable")][:num_classes]
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(classes == one))[:images_per_class] for one in largest
    ]
    shown = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
    if len(shown) < text_map.FEWEST_TEXTS or len(largest) < 2:
        raise errors.InputError(
            f"{len(shown)} images of {len(largest)} classes are too few for a map by class; it "
            f"takes {text_map.FEWEST_TEXTS} images of 2 classes or more",
            hint="give more images: --images FOLDER",
        )
    return shown


def image_map(
    vectors: Vectors, *, classes: NDArray[np.int64], method: Method = "umap", seed: int = 0
) -> ImageMap:
    """Lay images out on a plane, and count their neighbours in the space.

    Args:
        vectors: (N, D), no row zero.
        classes: (N,) what is coloured.
        method: `tsne` or `umap`; see `text_map.layout`.
        seed: Of the layout and of the interval's draws.

    Raises:
        UnknownNameError: For another method.
        MissingExtraError: Where its package is not installed.

    Source: uCLIP, figure 5 (UMAP of CIFAR-10's images, raw and behind its projection).
    """
    rows = unit(vectors)
    plane = text_map.layout(rows, method=method, seed=seed)
    near = text_map.nearest(rows)
    shares = (classes[near] == classes[:, None]).mean(axis=1)  # (N,)
    return ImageMap(
        method=method,
        x=tuple(plane[:, 0].astype(np.float64).round(3).tolist()),
        y=tuple(plane[:, 1].astype(np.float64).round(3).tolist()),
        same_class=bootstrap.clustered_bootstrap(shares, range(len(shares)), seed=seed),
        same_class_by_chance=text_map.chance(classes),
    )
