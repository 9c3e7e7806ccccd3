"""A pack as a sentence-transformers folder of stock modules, without code of ours.

    config.json, model.safetensors, tokenizer files       Transformer
    1_Pooling, 2_Normalize, 3_Dense, ...                  the tower's tail, the head, length one

A linear head is one Dense without activation. A nonlinear head is a Dense a layer; where a layer
norm stands in front of the ReLU, the ReLU follows a Dense that is the identity.

Legend: N probes, D width of the space.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyglance import errors
from polyglance.export import tokens
from polyglance.export.request import PROBES, Order, Written, difference
from polyglance.export.text_parts import TextParts, text_parts
from polyglance.heads.affine import AffineMap, Chain
from polyglance.model.side import Side
from polyglance.storage import tensor_files
from polyglance.towers.libraries.sentence_folders import UnitLength
from polyglance.towers.runtime import bert, weights
from polyglance.towers.runtime.pooling import PooledEncoder
from polyglance.towers.trainable.assembled import ProjectedEncoder

# Their poolings by our names. CLIP's own pooler is the state of the text's last token.
POOLINGS = {"mean": "mean", "cls": "cls", "position0": "cls", "last": "lasttoken", "max": "max"}
USAGE = """
```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("FOLDER").encode(["ein Hund am Strand"])
```

The vectors lie in the teacher's space, at length one: compare them with an index's image vectors.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stock:
    """One module of the library behind Transformer and Pooling.

    Attributes:
        kind: Its class: `Dense`, `Normalize` or `LayerNorm`.
        config: Its config.json.
        tensors: Its weights.
    """

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]


def write(order: Order, folder: Path) -> Written:
    """Write the folder and compare what the library makes of it.

    Raises:
        ExportError: For a text side that stock modules cannot be.
    """
    parts = text_parts(order)
    _refuse(parts, order)
    module = parts.tower.module
    pooled, tail = _split(module, order.pack.side)
    _write_encoder(parts, pooled.encoder, folder)
    # Prefix and lower-casing are inside the tokenizer's file.
    tokens.write_tokenizer(parts, folder, max_length=parts.max_length, padded=False)
    width = _width_of(pooled, parts)
    pooling = {"embedding_dimension": width, "pooling_mode": _pooling(pooled, parts)}
    stock = [Stock(kind="Pooling", config=pooling, tensors={})]
    stock += [*tail, *_head(order.pack.side), _normalize()]
    _write_modules(stock, folder)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": parts.max_length})
    return Written(
        differences={"text": _check(order, folder, language=parts.language)}, usage=USAGE
    )


def _refuse(parts: TextParts, order: Order) -> None:
    reference = order.pack.manifest.tower
    if parts.adapter:
        raise errors.ExportError(
            f"the text tower {reference} has bottlenecks behind its blocks, which no stock module "
            "of sentence-transformers is and which do not merge into the weights",
            hint=f"--to onnx --language {order.language} holds them, hub-folder as well",
        )
    if parts.tower.uses_language:
        raise errors.ExportError(
            f"the text tower {reference} reads the language of every text as its first token, for "
            "which stock modules have no place",
            hint="--to onnx or immich take a language code in front of the text",
        )
    if parts.fixed_length:
        raise errors.ExportError(
            f"the text tower {reference} reads texts padded to full length without a mask, which "
            "stock modules do not",
            hint="export it with --to onnx",
        )


def _split(module: ProjectedEncoder, side: Side) -> tuple[PooledEncoder, list[Stock]]:
    """The pooled encoder, and what follows it up to what the side asks of its tower."""
    features = module.features
    layers = list(features) if isinstance(features, nn.Sequential) else [features]
    pooled, tail = layers[0], layers[1:]
    if side.output == "embedding":
        tail += [module.projection] if module.projection is not None else []
        after = module.after
        tail += list(after) if isinstance(after, nn.Sequential) else []
    assert isinstance(pooled, PooledEncoder)
    return pooled, [_stock_of(layer) for layer in tail]


def _stock_of(layer: nn.Module) -> Stock:
    if isinstance(layer, UnitLength):
        return _normalize()
    linear: nn.Module = layer
    activation: nn.Module = nn.Identity()
    if isinstance(layer, nn.Sequential):
        linear, activation = layer  # a Dense of the base, as the tower reads it
    assert isinstance(linear, nn.Linear)
    return _dense(linear.weight, linear.bias, activation=type(activation).__name__)


def _head(side: Side) -> Iterator[Stock]:
    """The pack's head."""
    if side.head is None:
        return
    if side.head_input == "unit":
        yield _normalize()
    if isinstance(side.head, AffineMap):
        yield _of_map(side.head, activation="Identity")
        return
    yield from _chain(side.head)


def _chain(head: Chain) -> Iterator[Stock]:
    *inner, last = head.maps
    for number, mapped in enumerate(inner):
        if head.norms is None:
            yield _of_map(mapped, activation="ReLU")
            continue
        norm, width = head.norms[number], mapped.dim_out
        yield _of_map(mapped, activation="Identity")
        yield Stock(
            kind="LayerNorm",
            config={"dimension": width},
            tensors={"norm.weight": _tensor(norm.gain), "norm.bias": _tensor(norm.shift)},
        )
        yield _dense(torch.eye(width), torch.zeros(width), activation="ReLU")
    yield _of_map(last, activation="Identity")


def _of_map(mapped: AffineMap, *, activation: str) -> Stock:
    return _dense(_tensor(mapped.weight), _tensor(mapped.bias), activation=activation)


def _dense(weight: Tensor, bias: Tensor | None, *, activation: str) -> Stock:
    kind = "linear" if activation == "Identity" else "activation"
    tensors = {"linear.weight": weight.detach().float().contiguous()}
    if bias is not None:
        tensors["linear.bias"] = bias.detach().float().contiguous()
    return Stock(
        kind="Dense",
        config={
            "in_features": weight.shape[1],
            "out_features": weight.shape[0],
            "bias": bias is not None,
            "activation_function": f"torch.nn.modules.{kind}.{activation}",
        },
        tensors=tensors,
    )


def _normalize() -> Stock:
    return Stock(kind="Normalize", config={}, tensors={})


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _pooling(pooled: PooledEncoder, parts: TextParts) -> str:
    if pooled.pooling == "pooler" and parts.ends_with_pad:
        return "lasttoken"
    if pooled.pooling not in POOLINGS:
        raise errors.ExportError(
            f"the text tower pools by its own layer ({pooled.pooling}); stock modules pool by "
            f"{', '.join(POOLINGS)}",
            hint="export it with --to onnx",
        )
    return POOLINGS[pooled.pooling]


def _width_of(pooled: PooledEncoder, parts: TextParts) -> int:
    with torch.inference_mode():
        return int(pooled(parts.tower.tokenize(["a"])).shape[1])


def _write_encoder(parts: TextParts, encoder: nn.Module, folder: Path) -> None:
    """The checkpoint: copied where nothing in it changed, else written anew."""
    from_ours = isinstance(encoder, bert.BertEncoder)
    whole = not (parts.own_weights or _is_half(encoder, parts))
    if from_ours or whole:
        shutil.copyfile(parts.checkpoint / "config.json", folder / "config.json")
    if whole:
        for file in weights.weight_files(parts.checkpoint):
            shutil.copyfile(file, folder / file.name)
        index = parts.checkpoint / "model.safetensors.index.json"
        if index.is_file():
            shutil.copyfile(index, folder / index.name)
    elif isinstance(encoder, bert.BertEncoder):
        tensors = bert.to_tensors(encoder)
        tensor_files.write_torch(folder / "model.safetensors", tensors, metadata={"format": "pt"})
    else:
        encoder.save_pretrained(folder)  # type: ignore[operator]


def _is_half(encoder: nn.Module, parts: TextParts) -> bool:
    """Whether the encoder is one side of a checkpoint of two, so the rest stays behind."""
    config = json.loads((parts.checkpoint / "config.json").read_text("utf-8"))
    own = getattr(encoder, "config", None)
    return own is not None and own.model_type != config.get("model_type")


def _write_modules(stock: list[Stock], folder: Path) -> None:
    listed = [{"idx": 0, "name": "0", "path": "", "type": _type("Transformer")}]
    for number, each in enumerate(stock, start=1):
        path = f"{number}_{each.kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": _type(each.kind)})
        (folder / path).mkdir()
        _write_json(folder / path / "config.json", each.config)
        if each.tensors:
            tensor_files.write_torch(folder / path / "model.safetensors", each.tensors)
    _write_json(folder / "modules.json", listed)


def _type(kind: str) -> str:
    # The name in all versions; version 6 has moved its modules and still accepts it.
    return f"sentence_transformers.models.{kind}"


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check(order: Order, folder: Path, *, language: str) -> float:
    """The folder by the library alone, all probes in one batch and in several."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, trust_remote_code=False
    )
    found = [
        model.encode(list(PROBES), batch_size=size, show_progress_bar=False) for size in (1, 64)
    ]
    wanted = np.concatenate([order.vectors_of(PROBES, language=language)] * 2)
    return difference(np.concatenate(found), wanted, what="folder in sentence-transformers")
