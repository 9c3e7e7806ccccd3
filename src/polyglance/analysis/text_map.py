"""Two-dimensional maps of texts, and the shares of their neighbours by language and image.

Legend: M images, K clusters of images, N texts, D width.

A plane distorts distances, so these shares are counted in the full space: how many of a text's
nearest neighbours are about the same cluster of images, and how many are in its own language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.vectors import Vectors, unit

Method = Literal["tsne", "umap"]

# M2M, section 5 and figure 4.
PERPLEXITY = 32
NUM_CLUSTERS = 100
NUM_LARGEST = 50
NUM_SHOWN = 17
POINTS_PER_CLUSTER = 10
NUM_NEIGHBOURS = 10
FEWEST_IMAGES = 6
FEWEST_TEXTS = NUM_NEIGHBOURS + 2


@dataclass(frozen=True, kw_only=True)
class TextMap:
    """Texts on a plane.

    Attributes:
        method: How it was made.
        x: (N,)
        y: (N,)
        same_cluster: Of the `NUM_NEIGHBOURS` nearest of each text by cosine, the share about its
            own cluster of images.
        same_cluster_by_chance: What that is for neighbours drawn at random.
        same_language: The share in its own language.
        same_language_by_chance: What that is for neighbours drawn at random.
    """

    method: Method
    x: tuple[float, ...]
    y: tuple[float, ...]
    same_cluster: float
    same_cluster_by_chance: float
    same_language: float
    same_language_by_chance: float


def require_images(count: int) -> None:
    """Refuse too few images for clusters.

    Raises:
        InputError: For fewer than `FEWEST_IMAGES`.
    """
    if count < FEWEST_IMAGES:
        raise errors.InputError(
            f"{count} images are too few for clusters; there are {FEWEST_IMAGES} or more",
            hint="take a task with more images",
        )


def require_texts(count: int) -> None:
    """Refuse too few texts for a map.

    Raises:
        InputError: For fewer than `FEWEST_TEXTS`.
    """
    if count < FEWEST_TEXTS:
        raise errors.InputError(
            f"{count} captions are too few for a map of texts (one of each image in each language, "
            f"English twice); {FEWEST_TEXTS} or more are needed",
            hint="take a task with more captions, or more of its languages and images",
        )


def image_clusters(
    images: Vectors,
    *,
    num_clusters: int = NUM_CLUSTERS,
    num_largest: int = NUM_LARGEST,
    num_shown: int = NUM_SHOWN,
    points_per_cluster: int = POINTS_PER_CLUSTER,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Clusters of images that are large and far from each other, a few images of each.

    By images, not by texts: so no language decides what belongs together.

    Args:
        images: (M, D), no row zero.
        num_clusters: K of k-means; no more than a third of the images are made.
        num_largest: Clusters among which the shown ones are chosen.
        num_shown: The largest one, then always the one farthest from those chosen.
        points_per_cluster: At most so many images of each, drawn at random.
        seed: Of k-means and of the draw.

    Returns:
        (M,) the number of the cluster from 0, in the order chosen; -1 for images not shown.

    Raises:
        InputError: For fewer than 6 images.
        MissingExtraError: Where scikit-learn is not installed.

    Source: M2M, section 5: k-means with K = 100, 17 clusters by farthest-cluster sampling from the
    50 largest, up to 10 points of each.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise errors.missing_extra("maps of texts", extra="analysis") from error
    require_images(len(images))
    rows = unit(images)
    count = min(num_clusters, len(rows) // 3)
    fitted = KMeans(n_clusters=count, n_init=1, random_state=seed).fit(rows)
    sizes = np.bincount(fitted.labels_, minlength=count)
    largest = np.argsort(-sizes, kind="stable")[:num_largest]
    centres = fitted.cluster_centers_[largest].astype(np.float64)
    chosen = _farthest(centres, min(num_shown, len(largest)))
    random = np.random.default_rng(seed)
    found = np.full(len(rows), -1, np.int64)
    for number, place in enumerate(chosen):
        members = np.flatnonzero(fitted.labels_ == largest[place])
        found[random.permutation(members)[:points_per_cluster]] = number
    return found


def text_map(
    vectors: Vectors,
    *,
    languages: Sequence[str],
    clusters: Sequence[int] | NDArray[np.int64],
    method: Method = "tsne",
    seed: int = 0,
) -> TextMap:
    """Lay texts out on a plane, and count their neighbours in the space.

    Args:
        vectors: (N, D), no row zero.
        languages: (N,) what is coloured.
        clusters: (N,) what is shaped.
        method: `tsne` (perplexity 32, cosine) or `umap` (15 neighbours, cosine).
        seed: Of the layout.

    Raises:
        InputError: For fewer than 12 texts, or lists that do not fit.
        UnknownNameError: For another method.
        MissingExtraError: Where its package is not installed.
    """
    if not len(vectors) == len(languages) == len(clusters):
        raise errors.InputError(
            f"{len(vectors)} vectors, {len(languages)} languages, {len(clusters)} clusters; "
            "there are as many of each",
            hint="give the language and cluster of each text",
        )
    require_texts(len(vectors))
    rows = unit(vectors)
    plane = layout(rows, method=method, seed=seed)
    by_language, by_cluster = np.asarray(languages), np.asarray(clusters)
    near = nearest(rows)
    return TextMap(
        method=method,
        x=tuple(plane[:, 0].astype(np.float64).round(3).tolist()),
        y=tuple(plane[:, 1].astype(np.float64).round(3).tolist()),
        same_cluster=_share(by_cluster, near),
        same_cluster_by_chance=chance(by_cluster),
        same_language=_share(by_language, near),
        same_language_by_chance=chance(by_language),
    )


def layout(rows: Vectors, *, method: Method, seed: int) -> Vectors:
    """Places on a plane, (N, 2).

    Args:
        rows: (N, D), unit.
        method: `tsne` (perplexity 32, cosine) or `umap` (15 neighbours, cosine).
        seed: Of the layout.

    Raises:
        UnknownNameError: For another method.
        MissingExtraError: Where its package is not installed.
    """
    if method not in get_args(Method):
        raise errors.unknown_name("method", method, allowed=get_args(Method))
    return _tsne(rows, seed) if method == "tsne" else _umap(rows, seed)


def side_by_side(first: Vectors, second: Vectors) -> Vectors:
    """Rows of two spaces as rows of one: the narrower gets zeros behind.

    What two spaces' directions have to do with each other is chance, and stays so: this only lets
    them be drawn on one plane, as M2M does before alignment.

    >>> side_by_side(np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    width = max(first.shape[1], second.shape[1])
    parts = [np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (first, second)]
    return np.concatenate(parts)


def _tsne(rows: Vectors, seed: int) -> Vectors:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise errors.missing_extra("maps of texts", extra="analysis") from error
    # The perplexity has to stay below the number of points.
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    layout = TSNE(perplexity=perplexity, metric="cosine", init="random", random_state=seed)
    return np.asarray(layout.fit_transform(rows), np.float32)


def _umap(rows: Vectors, seed: int) -> Vectors:
    try:
        import umap
    except ImportError as error:
        raise errors.missing_extra("maps by UMAP", extra="analysis") from error
    neighbours = min(15, len(rows) - 1)
    # One thread: a seed allows no other number, and UMAP would warn of it.
    layout = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(layout.fit_transform(rows), np.float32)


def _farthest(centres: NDArray[np.float64], count: int) -> list[int]:
    """The first, then always the one whose nearest chosen one is farthest."""
    chosen = [0]
    nearest = np.linalg.norm(centres - centres[0], axis=1)
    while len(chosen) < count:
        following = int(nearest.argmax())
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(centres - centres[following], axis=1))
    return chosen


def nearest(rows: Vectors) -> NDArray[np.int64]:
    """The nearest others of each unit row by cosine: (N, 10), or all where there are fewer."""
    count = min(NUM_NEIGHBOURS, len(rows) - 1)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, count - 1, axis=1)[:, :count]


def _share(names: NDArray[np.generic], near: NDArray[np.int64]) -> float:
    return float((names[near] == names[:, None]).mean())


def chance(names: NDArray[np.generic]) -> float:
    """The share of equal names among all pairs of two."""
    counts = np.unique(names, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum() / (len(names) * (len(names) - 1)))
