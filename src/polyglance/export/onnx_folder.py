"""A pack as ONNX: a text graph with its tokenizer, and the image graph if asked.

    text/model.onnx         token ids (and mask) to unit vectors; batch and length are free
    text/tokenizer.json     or, for a small n-gram tower, nothing: ids come from `tiny.ngrams`
    image/model.onnx        pixels to unit vectors; the batch is free
    export.json             inputs, opset, lengths, how an image becomes pixels

Legend: N probes, L tokens, F n-grams of a text, D width of the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from polyglance import errors
from polyglance.export import graphs, tokens
from polyglance.export.request import PROBES, Order, Written, difference
from polyglance.export.text_parts import TextParts, text_parts
from polyglance.heads import affine
from polyglance.model.side import Side, SpaceTower
from polyglance.storage import manifests
from polyglance.towers.tiny import ngrams
from polyglance.towers.tiny.tower import TinyTextTower
from polyglance.towers.trainable.assembled import TorchImageTower
from polyglance.towers.trainable.tuned_images import TunedImageTower
from polyglance.vectors import Vectors, unit

SCHEMA_VERSION = 1
MANIFEST = "export.json"
USAGE_TEXT = """
```python
import numpy, onnxruntime, tokenizers

tokenizer = tokenizers.Tokenizer.from_file("text/tokenizer.json")
{padding}rows = tokenizer.encode_batch([{example}])
session = onnxruntime.InferenceSession("text/model.onnx")
names = [each.name for each in session.get_inputs()]
batch = {{"input_ids": [r.ids for r in rows], "attention_mask": [r.attention_mask for r in rows]}}
(vectors,) = session.run(None, {{name: numpy.array(batch[name]) for name in names}})
```
"""
USAGE_NGRAMS = """
The graph takes `ids` (rows of its table) and their `weights`; hashing a text's n-grams stays
outside, in polyglance, which needs neither torch nor a tokenizer for it:

```python
import onnxruntime
from polyglance.export.ngram_rows import rows

session = onnxruntime.InferenceSession("text/model.onnx")
(vectors,) = session.run(None, rows(["ein Hund"], num_buckets={num_buckets}))
```
"""
USAGE_IMAGE = (
    "`image/model.onnx` takes `pixel_values`; `export.json` says how an image becomes them."
)


def write(order: Order, folder: Path) -> Written:
    """Write and check the graphs.

    Raises:
        ExportError: Where a tower cannot be traced, or the graph's vectors are others.
    """
    tower = order.pack.side.tower
    content = None if order.model is None else content_side(order)
    (folder / "text").mkdir()
    if isinstance(tower, TinyTextTower):
        text, facts, usage = _write_ngrams(tower, order, folder / "text")
    else:
        text, facts, usage = _write_transformer(text_parts(order), order, folder / "text")
    differences, described = {"text": text}, {"text": facts}
    if content is not None:
        (folder / "image").mkdir()
        differences["image"], described["image"] = _write_image(
            *content, folder / "image" / "model.onnx"
        )
        usage += f"\n{USAGE_IMAGE}"
    manifest = {
        "opset": graphs.OPSET,
        "output": graphs.VECTORS,
        "dim": order.pack.dim,
        "space_id": order.pack.manifest.space_id,
        **described,
    }
    manifests.write_manifest(
        folder / MANIFEST, manifest, kind="onnx-export", schema_version=SCHEMA_VERSION
    )
    return Written(differences=differences, usage=usage)


def content_side(order: Order) -> tuple[Side, affine.Head | None]:
    """What contents go through for this pack: a side, and the head behind it in the space.

    Raises:
        ExportError: There is no tower, only vectors.
    """
    pack = order.pack
    if pack.content_side is not None:
        return pack.content_side, None
    model = order.require_model("this form").with_pack(pack)
    if model.content.tower.ids is not None:
        raise errors.ExportError(
            f"{model.reference} exists only as vectors: there is no {model.content.tower.modality} "
            "tower to write",
            hint="leave --model out where the text side alone will do: --to onnx, or "
            "--to sentence-transformers",
        )
    return model.content, pack.content_head


def text_module(parts: TextParts, side: Side, *, width: int | None = None) -> nn.Module:
    """A text side as a module of a batch of tokens."""
    tower = graphs.Raw(parts.tower.module, side.output)
    return graphs.IntoSpace(tower, heads=graphs.heads_of(side), width=width)


def _write_transformer(
    parts: TextParts, order: Order, folder: Path
) -> tuple[float, dict[str, Any], str]:
    tokens.write_tokenizer(parts, folder, max_length=parts.max_length, padded=False)
    texts = tokens.marked(PROBES, parts)
    batch = _token_batch(folder, texts[:3], pad_id=parts.tower.pad_id)
    if parts.fixed_length:
        del batch["attention_mask"]
    axes = {0: "batch"} if parts.fixed_length else {0: "batch", 1: "tokens"}
    module = text_module(parts, order.pack.side)
    example = {name: torch.from_numpy(array) for name, array in batch.items()}
    path = folder / "model.onnx"
    graphs.write_graph(graphs.Traced(module=module, batch=example, axes=axes), path)
    run = graphs.run_graph(path)
    # All at once, which pads most of them, and one by one.
    groups = [texts, *([text] for text in texts)]
    batches = [_token_batch(folder, group, pad_id=parts.tower.pad_id) for group in groups]
    found = [run({name: made[name] for name in batch}) for made in batches]
    wanted = order.vectors_of(PROBES, language=parts.language)
    apart = difference(
        np.concatenate(found), np.concatenate([wanted, wanted]), what="text side in onnxruntime"
    )
    facts = {
        "inputs": list(batch),
        "max_length": parts.max_length,
        "fixed_length": parts.fixed_length,
        "pad_id": parts.tower.pad_id,
        "language_code_first": parts.tower.uses_language,
        "language": order.language,
    }
    return apart, facts, _usage(parts, folder)


def _usage(parts: TextParts, folder: Path) -> str:
    """The snippet of the model card; a fixed length is in the tokenizer's own file."""
    pad = f'pad_id={parts.tower.pad_id}, pad_token="{tokens.pad_token(folder)}"'
    return USAGE_TEXT.format(
        padding="" if parts.fixed_length else f"tokenizer.enable_padding({pad})\n",
        example='"deu_Latnein Hund"' if parts.tower.uses_language else '"ein Hund"',
    )


def _token_batch(folder: Path, texts: Sequence[str], *, pad_id: int) -> dict[str, NDArray[Any]]:
    """Ids and mask by the written tokenizer, int64 (N, L)."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / tokens.FILES[0]))
    if tokenizer.padding is None:
        tokenizer.enable_padding(pad_id=pad_id, pad_token=tokenizer.id_to_token(pad_id))
    rows = tokenizer.encode_batch(list(texts))
    return {
        "input_ids": np.array([row.ids for row in rows], np.int64),
        "attention_mask": np.array([row.attention_mask for row in rows], np.int64),
    }


def _write_ngrams(
    tower: TinyTextTower, order: Order, folder: Path
) -> tuple[float, dict[str, Any], str]:
    from polyglance.export.ngram_rows import rows

    order.refuse_language("a text side that reads all of them by the same table")
    side, num_buckets = order.pack.side, len(tower.tensors["table"])
    module = graphs.IntoSpace(graphs.Ngrams(tower), heads=graphs.heads_of(side))
    example = {n: torch.from_numpy(a) for n, a in rows(PROBES[:2], num_buckets=num_buckets).items()}
    path = folder / "model.onnx"
    axes = {0: "batch", 1: "ngrams"}
    graphs.write_graph(graphs.Traced(module=module, batch=example, axes=axes), path)
    run = graphs.run_graph(path)
    single = [run(rows([text], num_buckets=num_buckets)) for text in PROBES]
    found = np.concatenate([run(rows(PROBES, num_buckets=num_buckets)), *single])
    wanted = np.concatenate([order.vectors_of(PROBES)] * 2)
    facts = {
        "inputs": list(example),
        "num_buckets": num_buckets,
        "longest_ngram": ngrams.MAX_NGRAM,
    }
    apart = difference(found, wanted, what="text side in onnxruntime")
    return apart, facts, USAGE_NGRAMS.format(num_buckets=num_buckets)


def _write_image(
    side: Side, behind: affine.Head | None, path: Path
) -> tuple[float, dict[str, Any]]:
    module = graphs.IntoSpace(graphs.image_module(side), heads=graphs.heads_of(side, behind))
    pictures = probe_images()
    arrays = pixel_arrays(side, pictures)
    example = {"pixel_values": torch.from_numpy(arrays)}
    graphs.write_graph(graphs.Traced(module=module, batch=example, axes={0: "batch"}), path)
    run, wanted = graphs.run_graph(path), wanted_of(side, behind, pictures)
    found = np.concatenate(
        [run({"pixel_values": arrays}), *(run({"pixel_values": one[None]}) for one in arrays)]
    )
    what = "image side in onnxruntime"
    apart = difference(found, np.concatenate([wanted, wanted]), what=what)
    return apart, {"inputs": ["pixel_values"], "pixels": pixel_facts(side)}


def wanted_of(side: Side, behind: affine.Head | None, pictures: Sequence[Image.Image]) -> Vectors:
    """What the pack itself says of images: float32 (N, D), unit."""
    vectors = SpaceTower(side).encode(pictures)
    return vectors if behind is None else unit(behind(vectors))


def probe_images() -> list[Image.Image]:
    """Noise and slopes in three shapes, from a fixed seed."""
    generator = np.random.default_rng(5)
    shapes = ((90, 120, 3), (400, 260, 3), (256, 256, 3))
    pictures = [Image.fromarray(generator.integers(0, 256, s, dtype=np.uint8)) for s in shapes]
    # Bare noise nearly vanishes when it is made small.
    return [*pictures, Image.linear_gradient("L").resize((300, 200)).convert("RGB")]


def pixel_arrays(side: Side, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Images as the tower's own preprocessing gives them: float32 (N, 3, H, W)."""
    return np.stack([np.asarray(SpaceTower(side).preprocess(p), np.float32) for p in pictures])


def pixel_facts(side: Side) -> dict[str, Any]:
    """How an image becomes pixels, as JSON."""
    tower = side.tower.tower if isinstance(side.tower, TunedImageTower) else side.tower
    if isinstance(tower, TorchImageTower):
        return tower.recipe.facts()
    from polyglance.towers.tiny import image_net

    return {
        "fit": "exact",
        "height": image_net.SIDE,
        "width": image_net.SIDE,
        "resample": 2,
        "scale": 1 / 255,
        "transparency": "white",
    }
