"""Accuracy by number of classes: random subsets, and a line fitted through its logarithm.

Legend: N contents, C classes, S subsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.metrics import significance
from polyglance.metrics.bootstrap import DEFAULT_DRAWS
from polyglance.metrics.classification import guess
from polyglance.metrics.significance import Line
from polyglance.vectors import Vectors

DEFAULT_SUBSETS = 10


@dataclass(frozen=True, kw_only=True)
class ClassCurve:
    """Accuracy by number of classes.

    Attributes:
        num_classes: How many, rising.
        accuracies: Mean over the subsets of that size.
        by_subset: The accuracy of each subset, by size.
        line: Of accuracy over the base-10 logarithm of the number: its slope is what ten times
            the classes cost. Its interval is about other subsets of these classes.
    """

    num_classes: tuple[int, ...]
    accuracies: tuple[float, ...]
    by_subset: tuple[tuple[float, ...], ...]
    line: Line


def class_curve(
    contents: Vectors,
    classes: Vectors,
    labels: NDArray[np.integer] | Sequence[int],
    *,
    sizes: Sequence[int],
    num_subsets: int = DEFAULT_SUBSETS,
    seed: int = 0,
) -> ClassCurve:
    """Classify with random subsets of the classes, each with the contents of its classes.

    Args:
        contents: (N, D), the vectors of the contents.
        classes: (C, D), those of the classes; the larger a product, the nearer.
        labels: (N,) the class of each, every class with one content or more.
        sizes: How many classes, each from 2 to C; four sizes or more.
        num_subsets: S, of each size; the whole set is taken once.
        seed: Of the subsets.

    Raises:
        InputError: For sizes out of range, or labels that do not fit.

    Source: Babel-ImageNet, figure 2: accuracy is log-linear in the number of classes. Its table
    3 takes ten subsets of 100 classes.
    """
    right = np.asarray(labels)
    _check(contents, classes, right, sizes)
    num_classes = len(classes)
    rng = np.random.default_rng(seed)
    ordered = sorted(set(sizes))
    by_subset: list[tuple[float, ...]] = []
    for size in ordered:
        found = []
        for _ in range(1 if size == num_classes else num_subsets):
            chosen = np.sort(rng.choice(num_classes, size, replace=False))
            rows = np.flatnonzero(np.isin(right, chosen))
            place = np.searchsorted(chosen, right[rows])
            found.append(guess(contents, classes[chosen], rows=rows, truth=place).accuracy)
        by_subset.append(tuple(found))
    # One point a subset; subsets of one size are not one cluster: each was drawn by itself.
    points = [
        (size, value) for size, found in zip(ordered, by_subset, strict=True) for value in found
    ]
    return ClassCurve(
        num_classes=tuple(ordered),
        accuracies=tuple(float(np.mean(found)) for found in by_subset),
        by_subset=tuple(by_subset),
        line=log_linear(
            [size for size, _ in points],
            [value for _, value in points],
            clusters=range(len(points)),
            seed=seed,
        ),
    )


def log_linear(
    num_classes: Sequence[int],
    accuracies: Sequence[float],
    *,
    clusters: Sequence[str] | Sequence[int],
    seed: int = 0,
    num_draws: int = DEFAULT_DRAWS,
) -> Line:
    """The line of accuracy over the base-10 logarithm of the number of classes.

    Args:
        num_classes: (N,) 1 or more.
        accuracies: (N,) fractions.
        clusters: (N,) what is drawn whole: the language, where points are languages.
        seed: Of the draws.
        num_draws: B.

    Raises:
        InputError: As `significance.fit_line`, or for a number below 1.

    >>> found = log_linear([10, 100, 1000, 10000], [0.8, 0.6, 0.4, 0.2], clusters=range(4))
    >>> round(found.slope.mean, 6), round(found.intercept.mean, 6)
    (-0.2, 1.0)
    """
    if min(num_classes, default=0) < 1:
        raise errors.InputError("a number of classes below 1", hint="leave out what has no class")
    return significance.fit_line(
        np.log10(num_classes), accuracies, clusters=clusters, seed=seed, num_draws=num_draws
    )


def _check(
    contents: Vectors, classes: Vectors, labels: NDArray[np.integer], sizes: Sequence[int]
) -> None:
    if contents.ndim != 2 or labels.shape != (len(contents),):
        raise errors.InputError(
            f"contents {contents.shape} and labels {labels.shape}; they are (N, D) and (N,)",
            hint="give the class of each content",
        )
    present, count = np.unique(labels), len(classes)
    if len(present) != count or present[0] != 0 or present[-1] != count - 1:
        raise errors.InputError(
            f"{len(present)} of {count} classes have a content",
            hint="leave out classes without one",
        )
    wrong = [size for size in sizes if not 2 <= size <= count]
    if wrong or len(set(sizes)) < significance.LEAST_POINTS:
        raise errors.InputError(
            f"sizes {list(sizes)}; there are {significance.LEAST_POINTS} or more, each from 2 to "
            f"{count}",
            hint="for example 10, 30, 100, 300 and all",
        )
