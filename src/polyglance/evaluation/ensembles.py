"""Prompt ensembles: a class's vector is the mean of its prompts, each encoded once.

Legend: C classes, T templates, P prompts of a block, D width.

As in CLIP: each prompt's vector at length one, the mean over the templates, and that at length one.
Published templates repeat (15 of 80 on average in Babel-ImageNet) and so do labels: what repeats is
encoded once and weighs as often as it stands there. A block of classes is encoded, averaged and let
go, so that 1,000 classes x 80 templates need the memory of one block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from polyglance.sources.labels import SLOT
from polyglance.vectors import Vectors, unit

BLOCK_PROMPTS = 8192


def class_weights(
    labels: Sequence[str],
    templates: Sequence[str],
    *,
    encode: Callable[[Sequence[str]], Vectors],
    block_prompts: int = BLOCK_PROMPTS,
) -> Vectors:
    """The vector of each class.

    Args:
        labels: C names; equal ones get the very same vector.
        templates: T templates with one slot each, repeats kept.
        encode: Distinct prompts to unit vectors (P, D).
        block_prompts: How many prompts are encoded at a time, or those of one class.

    Returns:
        Float32 (C, D), unit.

    Raises:
        VectorError: Where the prompts of a class cancel each other out.

    >>> sizes = lambda prompts: np.array([[len(p), 1.0] for p in prompts], np.float32)
    >>> class_weights(["a", "a"], ["{}!!"], encode=sizes).round(2).tolist()
    [[0.949999988079071, 0.3199999928474426], [0.949999988079071, 0.3199999928474426]]
    """
    times = Counter(templates)
    weight = np.array(list(times.values()), np.float32) / len(templates)  # (distinct T,)
    distinct = list(dict.fromkeys(labels))
    step = max(1, block_prompts // len(times))
    found = []
    for start in range(0, len(distinct), step):
        block = distinct[start : start + step]
        prompts = [template.replace(SLOT, label) for label in block for template in times]
        # Rarely, two templates around two labels say the same.
        place = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        vectors = encode(list(place))  # (P, D)
        rows = np.array([place[prompt] for prompt in prompts]).reshape(len(block), len(times))
        found.append(np.matmul(weight, vectors[rows]))  # (block, D)
    where = {label: row for row, label in enumerate(distinct)}
    return unit(np.concatenate(found))[[where[label] for label in labels]]
