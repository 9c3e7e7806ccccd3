"""Is it the same space under another name? An explicit table, checked by probe vectors.

Legend: P probe texts, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from polyglance import errors
from polyglance.affine import Vectors

# Plain English that every text tower can read; their vectors are stored in each pack.
PROBE_TEXTS: tuple[str, ...] = (
    "a dog runs across the grass",
    "two people ride bicycles in the rain",
    "a red train at a station",
    "a bowl of fruit on a wooden table",
    "the moon above a dark lake",
    "children playing football",
    "a close-up of a yellow flower",
    "an old man reading a newspaper",
)

# The same weights under other names: library, or precision. Each group lists references without
# options; being in one is not enough, the probes must agree as well.
KNOWN_EQUIVALENTS: tuple[frozenset[str], ...] = (
    frozenset(
        {"hf:openai/clip-vit-base-patch32", "openclip:ViT-B-32", "openclip:ViT-B-32-quickgelu"}
    ),
    frozenset(
        {"hf:openai/clip-vit-base-patch16", "openclip:ViT-B-16", "openclip:ViT-B-16-quickgelu"}
    ),
    frozenset(
        {"hf:openai/clip-vit-large-patch14", "openclip:ViT-L-14", "openclip:ViT-L-14-quickgelu"}
    ),
)

# Half precision moves unit vectors of the models above by less than 1e-3 in cosine; another
# checkpoint of the same architecture is below 0.9.
LEAST_PROBE_COSINE = 0.995


def require_equivalent(
    model: str,
    teacher: str,
    *,
    probes: Vectors,
    encode: Callable[[Sequence[str]], Vectors],
) -> None:
    """Refuse a pack of another space; let known equivalents pass if the probes agree.

    Args:
        model: Reference of the model at hand.
        teacher: Reference of the model that the pack was made for.
        probes: Float32 (P, D), unit: that model's vectors of `PROBE_TEXTS`.
        encode: The text side of the model at hand, to unit vectors.

    Raises:
        SpaceMismatchError: Where the table does not list the two, or the probes disagree.
    """
    names = {model.partition("?")[0], teacher.partition("?")[0]}
    if not any(names <= group for group in KNOWN_EQUIVALENTS):
        raise errors.SpaceMismatchError(
            f"the pack was made for {teacher}, this is {model}; a pack speaks to one space only",
            hint="use that model, or train a pack for this one: polyglance train",
        )
    found = encode(PROBE_TEXTS)
    agreement = (
        float((found * probes).sum(axis=1).min()) if found.shape == probes.shape else -np.inf
    )
    if agreement < LEAST_PROBE_COSINE:
        raise errors.SpaceMismatchError(
            f"{model} should be the space of {teacher}, but its probe texts have a cosine of only "
            f"{agreement:.3f}; at least {LEAST_PROBE_COSINE} is needed",
            hint="check the checkpoint: pretrained=openai is the one that is equal",
        )
