"""The item side of contrastive training: encoded once, or learning.

Legend: M contents, B of a batch, D width of the space, D' of what a head takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polyglance import errors
from polyglance.encoding import prepared
from polyglance.encoding.cache import MediaCache
from polyglance.heads.affine import AffineMap, Chain, Head
from polyglance.heads.mlp import ChainHead
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.contrastive.config import ContrastiveConfig
from polyglance.recipes.contrastive.text_side import linear_from, map_of
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import MediaFile, Output
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.towers.trainable.image_stages import TrainableStages, live_stages
from polyglance.towers.trainable.images import TrainableImages, live_images
from polyglance.towers.trainable.pixels import centre_crop, crop_at
from polyglance.vectors import Vectors, unit

# What random crops are taken from, and their size, in pixels (ETCL, section 3.3).
ROOM = 346, 289
Pixels = Mapping[str, NDArray[Any]]
Files = Mapping[str, MediaFile]
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
    head: nn.Module | None = None
    trunk: nn.Module | None = None
    side: Callable[[], Side | None] = lambda: None


def shown(
    data: ImageText,
    *,
    teacher: DualEncoder,
    config: ContrastiveConfig,
    pixels: Pixels | None = None,
    files: Files | None = None,
) -> tuple[ImageText, Shown]:
    """The content side that a config asks for, and the data with what it takes.

    Args:
        data: Contents encoded by the teacher, and captions.
        teacher: The dual encoder that learns languages.
        config: Says what learns.
        pixels: By content id the array of the image tower's `preprocess`.
        files: By content id where it lies, where pixels or features have to be made.

    Raises:
        InputError: Where pixels or features are needed and cannot be made.
        ConfigError: For a tower or a projection that cannot learn.
    """
    if config.regime == "full":
        return data, by_live_tower(data, teacher=teacher, config=config, pixels=pixels, files=files)
    if config.image_projection == "trained":
        if data.features is None and files is not None:
            data = with_features(data, files, teacher=teacher)
        return data, by_projection(data, teacher=teacher)
    return data, behind(teacher.dim) if config.image_projection == "behind" else unchanged()


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


def with_features(data: ImageText, files: Files, *, teacher: DualEncoder) -> ImageText:
    """The same with what the teacher's image projection takes, encoded once, ever.

    Raises:
        InputError: Where an image has no file, or one that cannot be read.
    """
    side = teacher.content
    here = [files[each] for each in data.item_ids if each in files]
    output: Output = side.output if side.head is not None else "pre_projection"
    _projection_of(side)
    found = MediaCache().encode(here, side.tower, output=output)
    if list(data.item_ids) != found.ids:
        reasons = [f", first {one.id}: {one.reason}" for one in found.quarantined[:1]]
        raise errors.InputError(
            f"{len(data.item_ids) - len(found.ids)} of {len(data.item_ids)} images cannot be read"
            f"{''.join(reasons)}",
            hint="put them back, or leave their captions out",
        )
    return replace(data, features=found.vectors)


def image_features(teacher: DualEncoder, items: list[Any]) -> Vectors:
    """What the teacher's image projection takes: float32 (M, D').

    Args:
        teacher: The dual encoder.
        items: M images, or arrays of its tower's `preprocess`.
    """
    side = teacher.content
    output = side.output if side.head is not None else "pre_projection"
    return side.tower.encode(items, output=output)


def by_live_tower(
    data: ImageText,
    *,
    teacher: DualEncoder,
    config: ContrastiveConfig,
    pixels: Pixels | None,
    files: Files | None,
) -> Shown:
    """The image tower learns, with the head behind it, if the teacher has one."""
    stages = config.trainable_image_stages
    known = pixels if pixels is not None and stages is None else files or {}
    absent = [name for name in data.item_ids if name not in known]
    if absent:
        raise errors.InputError(
            f"{len(absent)} of {len(data.item_ids)} contents have no "
            f"{'pixels' if stages is None else 'file'}, first {absent[0]!r}; the image tower "
            "learns from all",
            hint="give files={id: its MediaFile}, or take regime=text-encoder"
            if stages is not None
            else "give pixels={id: teacher.content.tower.preprocess(image)}, or take "
            "regime=text-encoder",
        )
    side = teacher.content
    crops = config.augmentation == "crop-flip"
    live: TrainableImages
    if stages is not None:
        assert files is not None
        live = staged = live_stages(side.tower, side.reference, stages=stages)
        pixels = _feature_maps(data, files, live=staged, name=side.tower.fingerprint)
    else:
        live = live_images(side.tower, side.reference)
        if pixels is None:
            assert files is not None
            pixels = _prepared(data, files, live=live, name=side.tower.fingerprint, crops=crops)
    head: nn.Linear | ChainHead | None = None
    if isinstance(side.head, Chain):
        head = ChainHead(side.head)
    elif side.head is not None:
        head = linear_from(side.head, bias=True)
    view = _cropper(live) if crops else lambda array: array

    def rows_of(part: ImageText) -> Callable[[Tensor], Tensor]:
        def show(rows: Tensor) -> Tensor:
            vectors = live.forward([view(pixels[part.item_ids[row]]) for row in rows.tolist()])
            if head is not None and side.head_input == "unit":
                return nn.functional.normalize(vectors, dim=1)
            return vectors

        return show

    def after() -> Side:
        tower, reference = live.export()
        learnt: Head | None = head.fold() if isinstance(head, ChainHead) else None
        if isinstance(head, nn.Linear):
            learnt = map_of(head)
        return Side(tower, reference, learnt, side.head_input)

    return Shown(rows_of=rows_of, head=head, trunk=live.module, side=after)


def _prepared(
    data: ImageText, files: Files, *, live: TrainableImages, name: str, crops: bool
) -> Pixels:
    """The pixels of all contents, resized once and kept on disk."""
    size = with_room(live.input_size()) if crops else None
    return prepared.prepare(
        {each: files[each] for each in data.item_ids},
        lambda image: live.resized(image, size=size),
        name=f"{name} {size}",
        known_keys=dict(zip(data.item_ids, data.content_keys, strict=False)),
    )


def _feature_maps(data: ImageText, files: Files, *, live: TrainableStages, name: str) -> Pixels:
    """What the frozen stages give of all contents, computed once and kept on disk."""
    return prepared.prepare(
        {each: files[each] for each in data.item_ids},
        live.feature_map,
        name=f"{name} {live.stages}",
        kind="feature maps",
        known_keys=dict(zip(data.item_ids, data.content_keys, strict=False)),
    )


def with_room(size: tuple[int, int]) -> tuple[int, int]:
    """The height and width that random crops of a size are taken from.

    Source: ETCL, section 3.3, after ALIGN: 289 pixels out of 346.

    >>> with_room((289, 289)), with_room((224, 224))
    ((346, 346), (268, 268))
    """
    height, width = (round(side * ROOM[0] / ROOM[1]) for side in size)
    return height, width


def _cropper(live: TrainableImages) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A random crop, mirrored every other time; the centre while nothing is learnt.

    The draws are torch's global ones: a resumed run goes on with them, and the second pass over a
    chunk sees the crops of the first.
    """
    size = live.input_size()

    def view(array: NDArray[Any]) -> NDArray[Any]:
        room = array.shape[0] - size[0], array.shape[1] - size[1]
        if array.ndim != 3 or array.dtype != np.uint8 or min(room) < 0:
            raise errors.InputError(
                f"pixels of shape {array.shape} and type {array.dtype}; random crops are taken "
                f"from uint8 (height, width, 3) of {size} or more",
                hint="give files instead of pixels: they are resized for it",
            )
        if not live.module.training:
            return centre_crop(array, size=size)
        top, left = (int(torch.randint(spare + 1, ())) for spare in room)
        mirrored = bool(torch.rand(()) < 0.5)
        return crop_at(array, size=size, top=top, left=left, mirrored=mirrored)

    return view
