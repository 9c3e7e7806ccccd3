"""Pieces of a large Unigram vocabulary in a form that opens at once, for a text of a few words.

Legend: V pieces.

The tokenizers library takes 0.9 s to read the 250,000 pieces of XLM-R, of which a query can hold a
few hundred. Those are looked up here by their hashes, and make a tokenizer of their own: with the
same scores, and the least score of all beside them, it cuts a text into the very same pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance.storage import digests, tensor_files

TENSORS, SHELL = "pieces.safetensors", "pieces.json"
# A smaller vocabulary is read faster than this gains.
LEAST_PIECES = 50_000
# Longer texts have so many substrings that the whole tokenizer is quicker.
MOST_CHARACTERS = 1_000


def write(tokenizer: Any, folder: Path) -> bool:
    """Write the pieces of a tokenizer, if it is of a kind for which that is right and pays.

    Args:
        tokenizer: Of the tokenizers library.
        folder: Where the two files go.

    Returns:
        Whether they were written.
    """
    shell = json.loads(tokenizer.to_str())
    model, after = shell["model"], shell["post_processor"]
    if (
        model.get("type") != "Unigram"
        or model.get("byte_fallback")
        or model.get("unk_id") is None
        or len(model["vocab"]) < LEAST_PIECES
        or after is None
        or after["type"] != "TemplateProcessing"
    ):
        return False
    vocabulary = model.pop("vocab")
    always = {model["unk_id"], int(np.argmin([score for _, score in vocabulary]))}
    always.update(token["id"] for token in shell["added_tokens"])
    always.update(number for token in after["special_tokens"].values() for number in token["ids"])
    if max(always) >= len(vocabulary):
        return False
    hashes = np.array([digests.number_of(piece) for piece, _ in vocabulary], np.uint64)
    order = np.argsort(hashes)
    tensors: dict[str, NDArray[Any]] = {
        "hashes": hashes[order],  # (V,) uint64, ascending
        "ids": order.astype(np.int32),
        "scores": np.array([score for _, score in vocabulary])[order],
    }
    tensor_files.write(folder / TENSORS, tensors)
    said = {
        "longest": max(len(piece) for piece, _ in vocabulary),
        "always": [[number, *vocabulary[number]] for number in sorted(always)],
        "shell": shell,
    }
    (folder / SHELL).write_text(json.dumps(said), encoding="utf-8")
    return True


class Pieces:
    """The pieces of a folder.

    Args:
        folder: In which `write` wrote them.
    """

    def __init__(self, folder: Path) -> None:
        self._tensors = tensor_files.read(folder / TENSORS)
        said = json.loads((folder / SHELL).read_text("utf-8"))
        self._longest, self._shell = int(said["longest"]), said["shell"]
        self._always = {int(number): (piece, score) for number, piece, score in said["always"]}
        self._added = [token["content"] for token in self._shell["added_tokens"]]

    def token_rows(self, texts: Sequence[str]) -> list[list[int]] | None:
        """The token ids of texts; None where the whole tokenizer is to be asked.

        That is for long ones, and for those that name a special token, beside which a text is cut.
        """
        if sum(map(len, texts)) > MOST_CHARACTERS or any(
            a in t for t in texts for a in self._added
        ):
            return None
        shell = self._tokenizer(self._always)[0]
        parts = {part for text in texts for part in _parts(shell, text)}
        if sum(map(len, parts)) > MOST_CHARACTERS:
            return None
        tokenizer, ids = self._tokenizer(self._always | self._found(parts))
        return [[ids[number] for number in row.ids] for row in tokenizer.encode_batch_fast(texts)]

    def _found(self, parts: set[str]) -> dict[int, tuple[str, float]]:
        """Every piece that is somewhere in some words, by its id, with its score."""
        inside = {
            part[start:end]
            for part in parts
            for start in range(len(part))
            for end in range(start + 1, min(start + self._longest, len(part)) + 1)
        }
        asked = {digests.number_of(each): each for each in inside}
        numbers = np.array(list(asked), np.uint64)
        hashes, ids, scores = (self._tensors[name] for name in ("hashes", "ids", "scores"))
        places = np.minimum(np.searchsorted(hashes, numbers), len(hashes) - 1)
        there = places[hashes[places] == numbers]
        return {int(ids[at]): (asked[int(hashes[at])], float(scores[at])) for at in there}

    def _tokenizer(self, kept: dict[int, tuple[str, float]]) -> tuple[Any, list[int]]:
        """A tokenizer of some pieces, and the id in the whole vocabulary of each of its own ids."""
        from tokenizers import Tokenizer

        ids = sorted(kept)
        own = {number: place for place, number in enumerate(ids)}
        shell, after = self._shell, self._shell["post_processor"]
        special = {
            name: {**token, "ids": [own[number] for number in token["ids"]]}
            for name, token in after["special_tokens"].items()
        }
        added = [{**token, "id": own[token["id"]]} for token in shell["added_tokens"]]
        model = {
            **shell["model"],
            "unk_id": own[shell["model"]["unk_id"]],
            "vocab": [kept[number] for number in ids],
        }
        whole = {
            **shell,
            "model": model,
            "added_tokens": added,
            "post_processor": {**after, "special_tokens": special},
        }
        return Tokenizer.from_str(json.dumps(whole)), ids


def _parts(tokenizer: Any, text: str) -> list[str]:
    """What the model of a tokenizer is given of a text."""
    seen = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [seen]
    return [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(seen)]
