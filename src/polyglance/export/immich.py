"""A pack in the form that Immich's machine-learning service reads: textual/ and visual/.

    config.json                    text_cfg: context_length
    textual/model.onnx             `text` int32 (1, 77) to a unit vector (1, D)
    textual/tokenizer.json, tokenizer_config.json (pad_token)
    visual/model.onnx              `image` float32 (1, 3, S, S) to a unit vector (1, D)
    visual/preprocess_cfg.json     size, interpolation, resize_mode, mean, std

The service knows models by name and width alone, from two lists in its source, so the folder has to
stand under the name of a listed model of its width; a space of another width gets zeros behind its
vectors, which change no cosine. The text graph makes the mask itself: it is given ids alone.

Source: the form was read from immich-app/immich, machine-learning/immich_ml/models/clip/textual.py
(commit 03112cf), visual.py (0538dd7), constants.py (093617f), and the server's CLIP_MODEL_INFO;
`VERSION` is that of immich-ml at commit 00d5e8a.

Legend: B rows of a batch, L tokens, S side of an image in pixels, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from polyglance import errors
from polyglance.export import graphs, onnx_folder, tokens
from polyglance.export.request import PROBES, Order, Written, difference
from polyglance.export.text_parts import TextParts, text_parts
from polyglance.heads.affine import Head
from polyglance.model.manifest import PackManifest
from polyglance.model.side import Side
from polyglance.vectors import Vectors

VERSION = "2.2.3"
# The service's default; each query is padded to it, so longer ones would cost every query.
CONTEXT_LENGTH = 77
# A listed model of each width. NLLB's get the language's code in front of the text, by their name.
NAMES: Mapping[int, str] = MappingProxyType(
    {
        512: "ViT-B-32__openai",
        640: "ViT-B-16-plus-240__laion400m_e32",
        768: "ViT-L-14__openai",
        1024: "ViT-H-14__laion2b-s32b-b79k",
        1152: "ViT-SO400M-14-SigLIP-384__webli",
        1536: "ViT-gopt-16-SigLIP2-256__webli",
    }
)
NLLB_NAMES: Mapping[int, str] = MappingProxyType(
    {768: "nllb-clip-base-siglip__v1", 1152: "nllb-clip-large-siglip__v1"}
)
# Teachers that Immich ships itself: an index made with that name is answered as it is.
SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "openai/clip-vit-base-patch32": "ViT-B-32__openai",
        "openai/clip-vit-base-patch16": "ViT-B-16__openai",
        "openai/clip-vit-large-patch14": "ViT-L-14__openai",
        "openai/clip-vit-large-patch14-336": "ViT-L-14-336__openai",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "ViT-B-32__laion2b-s34b-b79k",
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": "ViT-L-14__laion2b-s32b-b82k",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": "ViT-H-14__laion2b-s32b-b79k",
        "google/siglip-so400m-patch14-384": "ViT-SO400M-14-SigLIP-384__webli",
    }
)
FILTERS = MappingProxyType({2: "bilinear", 3: "bicubic"})


class TextGraph(nn.Module):
    """Ids of full length to unit vectors; the mask follows from the id that fills rows.

    Args:
        inner: Takes a batch of tokens.
        parts: What it reads.
    """

    def __init__(self, inner: nn.Module, parts: TextParts) -> None:
        super().__init__()
        self.inner, self.pad_id = inner, parts.tower.pad_id
        self.masked, self.ends_with_pad = not parts.fixed_length, parts.ends_with_pad

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`text` int32 (B, L) to (B, D)."""
        ids = batch["text"].long()
        tokens_of = {"input_ids": ids}
        if self.masked:
            tokens_of["attention_mask"] = self.mask(ids)
        vectors: Tensor = self.inner(tokens_of)
        return vectors

    def mask(self, ids: Tensor) -> Tensor:
        """1 for real tokens: int64 (B, L)."""
        filled = (ids == self.pad_id).long()
        if self.ends_with_pad:  # the first of them is the end of the text
            filled = (filled.cumsum(dim=1) > 1).long()
        return 1 - filled


class ImageGraph(nn.Module):
    """The image side under the service's name of its input."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """`image` float32 (B, 3, S, S) to (B, D)."""
        vectors: Tensor = self.inner({"pixel_values": batch["image"]})
        return vectors


def write(order: Order, folder: Path) -> Written:
    """Write and check both graphs.

    Raises:
        ExportError: For a side that the service cannot run, or that comes out different.
    """
    order.require_model("immich")
    parts = text_parts(order)
    side, behind = onnx_folder.content_side(order)
    is_nllb = parts.tower.uses_language
    width = width_of(order.pack.dim, is_nllb=is_nllb)
    # Under another name than NLLB's their service puts no language in front.
    shipped = None if is_nllb else shipped_name(order.pack.manifest)
    name = shipped or (NLLB_NAMES if is_nllb else NAMES)[width]
    preprocess = preprocess_cfg(onnx_folder.pixel_facts(side))
    text = _write_text(parts, order, folder / "textual", width=width)
    image = _write_image(side, behind, folder / "visual", preprocess=preprocess, width=width)
    config = {
        "embed_dim": width,
        "vision_cfg": {"image_size": preprocess["size"][0]},
        "text_cfg": {
            "context_length": min(parts.max_length, CONTEXT_LENGTH),
            "tokenizer_kwargs": {},
        },
    }
    _write_json(folder / "config.json", config)
    return Written(
        differences={"text": text, "image": image},
        usage=_usage(name),
        notes=tuple(_notes(order, shipped, width=width, preprocess=preprocess)),
    )


def width_of(dim: int, *, is_nllb: bool) -> int:
    """The width that the service is to see: the next that it knows.

    Args:
        dim: Of the space.
        is_nllb: Whether texts need their language's code in front, which two names alone get.

    Raises:
        ExportError: For a space wider than any listed model.

    >>> width_of(384, is_nllb=False), width_of(512, is_nllb=True)
    (512, 768)
    """
    names = NLLB_NAMES if is_nllb else NAMES
    width = next((each for each in names if each >= dim), None)
    if width is None:
        raise errors.ExportError(
            f"the space has {dim} dimensions; Immich knows models of up to {max(names)}",
            hint="export it with --to onnx for another program",
        )
    return width


def shipped_name(manifest: PackManifest) -> str | None:
    """Immich's own name of the pack's teacher, where it ships it; none where contents change."""
    teacher = manifest.teacher.partition(":")[2].partition("?")[0]
    return SHIPPED.get(teacher) if manifest.content == "unchanged" else None


def preprocess_cfg(pixels: Mapping[str, Any]) -> dict[str, Any]:
    """How an image becomes pixels, in the service's words.

    Args:
        pixels: As `onnx_folder.pixel_facts` gives them.

    Raises:
        ExportError: For steps that the service does not take.

    >>> found = preprocess_cfg({"fit": "exact", "height": 64, "width": 64, "resample": 2})
    >>> found["size"], found["interpolation"], found["resize_mode"]
    ([64, 64], 'bilinear', 'squash')
    """
    size = (pixels["height"], pixels["width"])
    modes = {"exact": "squash", "shortest": "shortest"}
    crop = pixels.get("crop")
    plain = (
        pixels["fit"] in modes
        and size[0] == size[1]
        and pixels["resample"] in FILTERS
        and np.isclose(pixels.get("scale", 1 / 255), 1 / 255)
        and (tuple(crop) if crop else None) == (size if pixels["fit"] == "shortest" else None)
    )
    if not plain:
        raise errors.ExportError(
            f"images are prepared by {dict(pixels)}; Immich resizes to a square, or the shorter "
            "side and crops, bilinear or bicubic",
            hint="export it with --to onnx, and prepare images as export.json says",
        )
    return {
        "size": list(size),
        "mode": "RGB",
        "mean": list(pixels.get("mean", (0.0, 0.0, 0.0))),
        "std": list(pixels.get("std", (1.0, 1.0, 1.0))),
        "interpolation": FILTERS[pixels["resample"]],
        "resize_mode": modes[pixels["fit"]],
        "fill_color": 0,
    }


def _write_text(parts: TextParts, order: Order, folder: Path, *, width: int) -> float:
    from tokenizers import Tokenizer

    folder.mkdir()
    length = min(parts.max_length, CONTEXT_LENGTH)
    tokens.write_tokenizer(parts, folder, max_length=length, padded=True)
    tokenizer = Tokenizer.from_file(str(folder / tokens.FILES[0]))
    texts = [text for text in PROBES if _fits(text, parts, length)]
    encoded = tokenizer.encode_batch(tokens.marked(texts, parts))
    rows = [np.array([row.ids], np.int32) for row in encoded]
    inner = onnx_folder.text_module(parts, order.pack.side, width=width)
    path = folder / "model.onnx"
    graphs.write_graph(
        graphs.Traced(
            module=TextGraph(inner, parts), batch={"text": torch.from_numpy(rows[0])}, axes={}
        ),
        path,
    )
    run = graphs.run_graph(path)
    found = np.concatenate([run({"text": row}) for row in rows])
    wanted = _widened(order.vectors_of(texts, language=parts.language), width)
    return difference(found, wanted, what="text side in Immich's form")


def _fits(text: str, parts: TextParts, length: int) -> bool:
    """Whether the tower itself reads no more of a text than the service hands on."""
    tags = [parts.language] if parts.tower.uses_language else None
    return parts.max_length <= length or len(parts.tower.token_rows([text], tags)[0]) <= length


def _write_image(
    side: Side, behind: Head | None, folder: Path, *, preprocess: Mapping[str, Any], width: int
) -> float:
    folder.mkdir()
    _write_json(folder / "preprocess_cfg.json", preprocess)
    inner = graphs.IntoSpace(
        graphs.image_module(side), heads=graphs.heads_of(side, behind), width=width
    )
    pictures = onnx_folder.probe_images()
    prepared = [prepare(picture, preprocess=preprocess) for picture in pictures]
    path = folder / "model.onnx"
    example = {"image": torch.from_numpy(prepared[0])}
    graphs.write_graph(graphs.Traced(module=ImageGraph(inner), batch=example, axes={}), path)
    run = graphs.run_graph(path)
    found = np.concatenate([run({"image": pixels}) for pixels in prepared])
    wanted = _widened(onnx_folder.wanted_of(side, behind, pictures), width)
    return difference(found, wanted, what="image side in Immich's form")


def prepare(picture: Image.Image, *, preprocess: Mapping[str, Any]) -> Vectors:
    """An image as the service prepares it from preprocess_cfg.json: float32 (1, 3, S, S).

    Written from its steps, so that the export is checked with what the service will feed it.
    """
    side = int(preprocess["size"][0])
    resample = Image.Resampling[str(preprocess["interpolation"]).upper()]
    if preprocess["resize_mode"] == "squash":
        picture = picture.resize((side, side), resample)
    else:
        width, height = picture.size
        scaled = (side, int(height / width * side))
        if width >= height:
            scaled = (int(width / height * side), side)
        picture = picture.resize(scaled, resample)
        left, top = int(scaled[0] / 2 - side / 2), int(scaled[1] / 2 - side / 2)
        picture = picture.crop((left, top, left + side, top + side))
    pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
    mean, std = (np.array(preprocess[name], np.float32) for name in ("mean", "std"))
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1)[None], np.float32)


def _widened(vectors: Vectors, width: int) -> Vectors:
    return np.pad(vectors, ((0, 0), (0, width - vectors.shape[1])))


def _usage(name: str) -> str:
    return f"""
Immich's machine-learning service (form of immich-ml {VERSION}) takes models from its cache by name.
Put this folder there and choose that name under Administration, Machine Learning, Smart Search:

```bash
cp -r FOLDER/. MODEL_CACHE/clip/{name}/
```
"""


def _notes(
    order: Order, shipped: str | None, *, width: int, preprocess: Mapping[str, Any]
) -> Iterator[str]:
    """What whoever uses it must know."""
    if shipped is not None:
        yield (
            f"The image side is that of Immich's own {shipped}: a library indexed with it needs no "
            "new index, and it is enough to replace `textual/` and `config.json`."
        )
    else:
        yield (
            "Immich knows no such model, so it stands under a listed name of its width. A library "
            "that was indexed with another model has to be indexed again."
        )
    if width != order.pack.dim:
        yield (
            f"The vectors have {order.pack.dim} numbers and zeros up to {width}, the next width "
            "that Immich knows; cosines do not change."
        )
    if preprocess["resize_mode"] == "squash":
        yield (
            "Images are brought to a square without a crop. Older services do not read "
            "`resize_mode` and crop, so their image vectors differ."
        )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
