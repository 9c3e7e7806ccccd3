"""Hashed n-grams of a text, and their vector, with NumPy alone.

Legend: N texts, F features of all texts together, V rows of the table (buckets), D its width.

    text -> words -> n-grams of 1 to 4 graphemes -> buckets -> weighted sum of rows (N, D)

By hand: n-grams of fastText and scikit-learn are of code points, these of the signs that a reader
sees. No torch is imported: a search loads the tower and answers before torch could be.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from polyglance.languages import text_forms

Float = NDArray[np.float32]
Integer = NDArray[np.int64]

MAX_NGRAM = 4
# Far above any caption; it bounds the memory that one text can ask for (about 90,000 features).
MAX_CHARACTERS = 20_000
# Extended grapheme clusters keep Indic vowel signs and emoji sequences whole: a pattern of letters
# cut them and left Hindi at 13.5 % where the other languages had 46 %.
GRAPHEME = regex.compile(r"\X")
# A word is a run of anything but space, punctuation and symbols, each of which is its own word.
WORD = regex.compile(r"[^\s\p{P}\p{S}]+|[\p{P}\p{S}]")
WORD_START, WORD_END = 0x9E3779B1, 0x85EBCA77
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
BLOCK_FEATURES = 200_000


@dataclass(frozen=True, kw_only=True)
class Features:
    """The hashed n-grams of N texts, before they are folded into buckets.

    Attributes:
        hashes: uint32 (F,), the n-grams of all texts, one text after the other.
        offsets: int64 (N + 1,), where each text begins; every text has one feature or more.
        weights: float32 (F,), the squares of each text's weights sum to 1.
    """

    hashes: NDArray[np.uint32]
    offsets: Integer
    weights: Float

    def __len__(self) -> int:
        return len(self.offsets) - 1


def words_of(text: str) -> list[str]:
    """The words of a text; a text without any has the empty word, so that it has a feature.

    >>> words_of("Café, noir")
    ['café', ',', 'noir']
    >>> words_of(" ")
    ['']
    """
    return WORD.findall(text_forms.folded(text[:MAX_CHARACTERS])) or [""]


def featurise(texts: Sequence[str]) -> Features:
    """Hash the n-grams of texts; each distinct word is hashed once.

    A word's n-grams share the weight of the word: each weighs 1 / sqrt(number of them), so that a
    long word does not drown a short one.

    Args:
        texts: N texts.

    Returns:
        Their features. 368,000 short texts (14 million features) take about 5 s.

    >>> features = featurise(["chien", "chien rouge"])
    >>> len(features), bool(features.offsets[2] > 2 * features.offsets[1])
    (2, True)
    """
    word_rows: dict[str, int] = {}
    row_of_word: list[int] = []
    words_per_text = np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        words = words_of(text)
        row_of_word.extend([word_rows.setdefault(word, len(word_rows)) for word in words])
        words_per_text[row] = len(words)
    hashes, word_offsets = _hash_words(list(word_rows))
    words_used = np.asarray(row_of_word, np.int64)
    length = np.diff(word_offsets)[words_used]  # n-grams of each word, in the order of the texts
    positions, feature_offsets = _ranges(word_offsets[words_used], length)
    text_offsets = np.concatenate([[0], np.cumsum(words_per_text)]).astype(np.int64)
    # A word with n features of weight n ** -0.5 adds 1 to the sum of squares of its text.
    of_word = 1.0 / np.sqrt(length * np.repeat(words_per_text, words_per_text))
    return Features(
        hashes=hashes[positions],
        offsets=feature_offsets[text_offsets],
        weights=np.repeat(of_word, length).astype(np.float32),
    )


def select(features: Features, rows: Integer) -> Features:
    """The features of some rows, in the order asked for; a row may be asked for twice."""
    start = features.offsets[rows]
    positions, offsets = _ranges(start, features.offsets[rows + 1] - start)
    return Features(
        hashes=features.hashes[positions], offsets=offsets, weights=features.weights[positions]
    )


def buckets(features: Features, *, num_buckets: int) -> Integer:
    """The row of the table of each feature: int64 (F,), below `num_buckets`."""
    return (features.hashes % np.uint32(num_buckets)).astype(np.int64)


def pool(features: Features, table: NDArray[Any], *, row_scale: NDArray[Any]) -> Float:
    """The weighted sum of each text's rows.

    Args:
        features: Of N texts.
        table: int8 (V, D), quantised.
        row_scale: (V,), what each row is to be multiplied by.

    Returns:
        float32 (N, D), not normalised.
    """
    if not len(features):
        return np.zeros((0, table.shape[1]), np.float32)
    ids = buckets(features, num_buckets=len(table))
    weights = features.weights * row_scale[ids].astype(np.float32)
    rows = table[ids].astype(np.float32)  # (F, D)
    rows *= weights[:, None]
    pooled: Float = np.add.reduceat(rows, features.offsets[:-1], axis=0)  # (N, D)
    return pooled


def quantise_rows(matrix: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """int8 with one scale a row.

    Args:
        matrix: (V, D).

    Returns:
        int8 (V, D) in -127 to 127, and float16 (V,); their product is off by at most half a step.

    >>> codes, scale = quantise_rows(np.array([[1.27, -0.5], [0.0, 0.0]]))
    >>> codes.tolist(), scale.tolist()
    ([[127, -50], [0, 0]], [0.01000213623046875, 0.0])
    """
    exact = np.abs(matrix).max(axis=1) / 127.0
    scale = exact.astype(np.float16)
    divisor = np.where(scale > 0, scale.astype(np.float32), 1.0)[:, None]
    codes = np.clip(np.rint(matrix / divisor), -127, 127).astype(np.int8)
    return codes, scale


def dequantise_rows(codes: NDArray[Any], scale: NDArray[Any]) -> Float:
    """float32 (V, D) of what `quantise_rows` gave."""
    return codes.astype(np.float32) * scale.astype(np.float32)[:, None]


def _hash_words(words: Sequence[str]) -> tuple[NDArray[np.uint32], Integer]:
    """The n-gram hashes of distinct words: uint32 (F,) and offsets (len(words) + 1,).

    n-grams of 1 to `MAX_NGRAM` graphemes over the word between two boundary marks (which are no
    n-grams alone), and the whole word where it is longer. A polynomial over the graphemes' CRC-32,
    for all words at once: hashing each n-gram as a string took 11 s where this takes 3.
    """
    codes: dict[str, int] = {}
    flat: list[int] = []
    lengths = np.empty(len(words), np.int64)
    for row, word in enumerate(words):
        graphemes = GRAPHEME.findall(word)
        flat.append(WORD_START)
        for grapheme in graphemes:
            code = codes.get(grapheme)
            if code is None:
                code = codes[grapheme] = zlib.crc32(grapheme.encode("utf-8", "surrogatepass"))
            flat.append(code)
        flat.append(WORD_END)
        lengths[row] = len(graphemes) + 2
    sequence = np.asarray(flat, np.uint64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)[:-1]
    owners, hashes = [], []
    for size in range(1, MAX_NGRAM + 1):
        inner = 1 if size == 1 else 0
        count = np.maximum(lengths - size + 1 - 2 * inner, 0)
        positions, _ = _ranges(starts + inner, count)
        value = sequence[positions]
        for step in range(1, size):
            value = value * MULTIPLIER + sequence[positions + step]
        hashes.append(_mix(value + np.uint64(size)))
        owners.append(np.repeat(np.arange(len(words)), count))
    whole = np.flatnonzero(lengths > MAX_NGRAM)
    whole_codes = [
        zlib.crc32(words[row].encode("utf-8", "surrogatepass")) for row in whole.tolist()
    ]
    hashes.append(_mix(np.asarray(whole_codes, np.uint64)))
    owners.append(whole)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(words)))])
    return np.concatenate(hashes)[order], offsets.astype(np.int64)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Spread 64 bits over 32 (the finaliser of MurmurHash3): low bits alone would collide."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (value ^ (value >> np.uint64(33))).astype(np.uint32)


def _ranges(starts: Integer, lengths: Integer) -> tuple[Integer, Integer]:
    """The positions start, start + 1, ... of several runs in a row, and where each run begins.

    >>> positions, offsets = _ranges(np.array([5, 0]), np.array([2, 3]))
    >>> positions.tolist(), offsets.tolist()
    ([5, 6, 0, 1, 2], [0, 2, 5])
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, lengths), offsets


def blocks(offsets: Integer) -> Iterator[tuple[int, int]]:
    """Rows first..last whose features number about `BLOCK_FEATURES`, so that memory is bounded."""
    first, rows = 0, len(offsets) - 1
    while first < rows:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_FEATURES, side="right")) - 1
        # 2,048 rows bound the (n, K) mixture; one row is taken even where it alone is longer.
        last = min(max(last, first + 1), first + 2048, rows)
        yield first, last
        first = last
