"""Equivalent spaces under different names: an explicit table, checked by probe vectors.

Legend: P probe texts, D width.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from polyglance import errors
from polyglance.storage import digests
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

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

# Images are probed as well: the text sides of two models may agree where their spaces do not.
NUM_PROBE_PICTURES = 6
PICTURE_SIDE = 224  # pixels: what most towers take, so that libraries have little to resize

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


def probe_images() -> list[Image]:
    """The images that models are probed with: colours, stripes and discs, always the same."""
    from PIL import Image

    y, x = np.mgrid[0:PICTURE_SIDE, 0:PICTURE_SIDE] / PICTURE_SIDE  # (S, S), from 0 to 1
    pictures = []
    for number in range(NUM_PROBE_PICTURES):
        angle = np.pi * number / NUM_PROBE_PICTURES
        wave = 0.5 + 0.5 * np.sin(
            2 * np.pi * (number + 1) * (np.cos(angle) * x + np.sin(angle) * y)
        )
        disc = (x - 0.3 - 0.08 * number) ** 2 + (y - 0.5) ** 2 < 0.05
        planes = [wave, np.where(disc, 1 - wave, y), np.where(disc, x, wave)]
        pixels = (255 * np.stack(planes, axis=-1)).astype(np.uint8)
        pictures.append(Image.fromarray(pixels, "RGB"))
    return pictures


def _told(model: str, teacher: str) -> str:
    return model if model != teacher else "another model or index under that name"


def require_known(model: str, teacher: str) -> None:
    """Refuse two models of different spaces that nobody knows to be the same.

    Args:
        model: Reference of the model at hand.
        teacher: Reference of the model that a pack was made for.

    Raises:
        SpaceMismatchError: The table does not list the two.
    """
    names = {model.partition("?")[0], teacher.partition("?")[0]}
    if not any(names <= group for group in KNOWN_EQUIVALENTS):
        raise errors.SpaceMismatchError(
            f"the pack was made for {teacher}, this is {_told(model, teacher)}; a pack speaks to "
            "one space only",
            hint="use that model, or train a pack for this one: polyglance train",
        )


def require_equivalent(
    model: str,
    teacher: str,
    *,
    probes: Vectors,
    encode: Callable[[Sequence[str]], Vectors],
    look: Callable[[Sequence[Image]], Vectors],
) -> None:
    """Refuse a pack of another space; let known equivalents pass if the probes agree.

    Args:
        model: Reference of the model at hand.
        teacher: Reference of the model that the pack was made for.
        probes: Float32 (P, D), unit: that model's vectors of `PROBE_TEXTS`, and of
            `probe_images` behind them.
        encode: The text side of the model at hand, to unit vectors.
        look: Its content side, likewise.

    Raises:
        SpaceMismatchError: Where the table does not list the two, or the probes disagree.
    """
    require_known(model, teacher)
    num_texts = len(PROBE_TEXTS)
    if len(probes) != num_texts + NUM_PROBE_PICTURES:
        raise errors.SpaceMismatchError(
            f"the pack was made for {teacher} and holds no images by which {model} could be "
            "known as the same",
            hint=f"use {teacher}, or train the pack again",
        )
    of_texts = _agreement(encode(PROBE_TEXTS), probes[:num_texts])
    of_images = _agreement(look(probe_images()), probes[num_texts:])
    for what, found in (("texts", of_texts), ("images", of_images)):
        if not found >= LEAST_PROBE_COSINE:  # NaN is no agreement
            raise errors.SpaceMismatchError(
                f"{model} should be the space of {teacher}, but its probe {what} have a cosine of "
                f"only {found:.3f}; at least {LEAST_PROBE_COSINE} is needed",
                hint="check the checkpoint: pretrained=openai is the one that is equal",
            )


def chosen_of(listed: Iterable[str]) -> tuple[str, ...]:
    """As many of a teacher's own texts as there are probe texts, by their hash.

    >>> chosen_of(["b", "a"]) == chosen_of(["a", "b"])
    True
    """
    return tuple(heapq.nsmallest(len(PROBE_TEXTS), listed, key=digests.number_of))


def unchecked(space_id: str, texts: Sequence[str]) -> str:
    """What nobody can check of a pack whose teacher exists only as vectors."""
    return (
        "whether images and texts are of one model, and of which: only vectors were given, under "
        f"the name {space_id!r}; whatever has that name passes for the teacher, unless its vectors "
        f"of {len(texts)} texts of the list (probe_texts) are at hand and are others"
    )


def require_same_vectors(
    model: str, space_id: str, *, probes: Vectors, encode: Callable[[], Vectors]
) -> None:
    """Refuse another model under the name of a teacher that exists only as vectors.

    Args:
        model: Reference of the model at hand.
        space_id: The name that both have.
        probes: Float32 (P, D), unit: the teacher's vectors of texts.
        encode: Gives those of the model at hand, likewise.

    Raises:
        SpaceMismatchError: They are others.
    """
    found = _agreement(encode(), probes)
    if not found >= LEAST_PROBE_COSINE:
        raise errors.SpaceMismatchError(
            f"{model} has the name of the pack's space, {space_id!r}, but {len(probes)} texts that "
            f"both know have vectors with a cosine of only {found:.3f}; at least "
            f"{LEAST_PROBE_COSINE} is needed",
            hint="declare another space (?space=NAME) for one of the two models; or train the pack "
            "again with the vectors as they are now",
        )


def _agreement(found: Vectors, probes: Vectors) -> float:
    """The least cosine of a probe."""
    if found.shape != probes.shape:
        return -1.0
    return float((found * probes).sum(axis=1).min())
