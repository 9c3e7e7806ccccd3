"""The item side of contrastive training: encoded once, or learning.

Legend: M contents, B of a batch, D width of the space, D' of what a head takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.heads.affine import AffineMap
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.contrastive.text_side import linear_from, map_of
from polyglance.recipes.data.image_text import ImageText
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.towers.trainable.images import live_images
from polyglance.vectors import Vectors, unit

Pixels = Mapping[str, NDArray[Any]]
RowsOf = Callable[[ImageText], Callable[[Tensor], Tensor]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """The content side of a training.

    Attributes:
        rows_of: Data to a function from its rows to (B, D'), what the head takes.
        head: What learns behind those; None where they are in the space.
        trunk: The image tower, where it learns.
        side: What a pack brings afterwards; None where an index stays or is re-projected.
    """

    rows_of: RowsOf
    head: nn.Linear | None = None
    trunk: nn.Module | None = None
    side: Callable[[], Side | None] = lambda: None


def unchanged() -> Shown:
    """Contents as they were encoded."""
    return Shown(rows_of=_rows_of_contents)


def behind(dim: int) -> Shown:
    """A linear map on the contents' vectors, the identity at the start.

    Args:
        dim: Width D of the space.
    """
    head = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(head.weight)
    return Shown(rows_of=_rows_of_contents, head=head)


def _rows_of_contents(data: ImageText) -> Callable[[Tensor], Tensor]:
    table = torch.from_numpy(data.contents)
    return lambda rows: table[rows]


def by_projection(data: ImageText, *, teacher: DualEncoder) -> Shown:
    """The teacher's own projection, which learns in front of cached features."""
    if data.features is None:
        raise errors.InputError(
            "the image projection is to learn, and the data has no features in front of it",
            hint="give image_text.join(features=shown.image_features(teacher, images)), or "
            "take image_projection=behind",
        )
    side = teacher.content
    start, bias = _projection_of(side)
    if start.dim_in != data.features.shape[1]:
        raise errors.VectorError(
            f"the features have width {data.features.shape[1]}; the teacher's projection takes "
            f"{start.dim_in}",
            hint="take them from shown.image_features(teacher, images)",
        )
    head = linear_from(start, bias=bias)

    def rows_of(part: ImageText) -> Callable[[Tensor], Tensor]:
        assert part.features is not None
        features = unit(part.features) if side.head and side.head_input == "unit" else None
        table = torch.from_numpy(part.features if features is None else features)
        return lambda rows: table[rows]

    def after() -> Side:
        if side.head is not None:
            return Side(side.tower, side.reference, map_of(head), side.head_input, side.output)
        return Side(side.tower, side.reference, map_of(head), "raw", "pre_projection")

    return Shown(rows_of=rows_of, head=head, side=after)


def _projection_of(side: Side) -> tuple[AffineMap, bool]:
    """The linear map that a content side ends in, and whether it has a bias.

    Raises:
        ConfigError: For a side that ends in none.
    """
    if isinstance(side.head, AffineMap):
        return side.head, True
    layer = side.tower.module.projection if isinstance(side.tower, TorchImageTower) else None
    if side.head is not None or not isinstance(layer, nn.Linear):
        raise errors.ConfigError(
            f"the content side {side.reference} ends in no linear projection that could learn",
            hint="take image_projection=behind: a linear map on its vectors",
        )
    return map_of(layer), layer.bias is not None


def image_features(teacher: DualEncoder, items: list[Any]) -> Vectors:
    """What the teacher's image projection takes: float32 (M, D').

    Args:
        teacher: The dual encoder.
        items: M images, or arrays of its tower's `preprocess`.
    """
    side = teacher.content
    output = side.output if side.head is not None else "pre_projection"
    return side.tower.encode(items, output=output)


def by_live_tower(data: ImageText, *, teacher: DualEncoder, pixels: Pixels | None) -> Shown:
    """The image tower learns, with the head behind it, if the teacher has one."""
    absent = [name for name in data.item_ids if pixels is None or name not in pixels]
    if pixels is None or absent:
        raise errors.InputError(
            f"{len(absent)} of {len(data.item_ids)} contents have no pixels, first "
            f"{absent[0]!r}; the image tower learns from all",
            hint="give pixels={id: teacher.content.tower.preprocess(image)}, or take "
            "regime=text-encoder",
        )
    side = teacher.content
    live = live_images(side.tower, side.reference)
    head = None
    if side.head is not None:
        start, bias = _projection_of(side)
        head = linear_from(start, bias=bias)

    def rows_of(part: ImageText) -> Callable[[Tensor], Tensor]:
        def show(rows: Tensor) -> Tensor:
            vectors = live.forward([pixels[part.item_ids[row]] for row in rows.tolist()])
            if head is not None and side.head_input == "unit":
                return nn.functional.normalize(vectors, dim=1)
            return vectors

        return show

    def after() -> Side:
        tower, reference = live.export()
        return Side(tower, reference, None if head is None else map_of(head), side.head_input)

    return Shown(rows_of=rows_of, head=head, trunk=live.module, side=after)
