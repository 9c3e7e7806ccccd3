"""Batching of texts: each distinct one encoded once, sorted by length, batched by tokens.

Legend: N texts, B rows of a batch, L tokens of its longest row, D width.

Repeats are found twice: equal texts are tokenised once, and texts that become the same token ids
(another case under a lower-casing tokenizer, blanks at the ends) are encoded once. Batches hold
rows of one length wherever there are enough of them, so most carry neither padding nor a mask.
Torch is not imported here unless a batch of tensors is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from polyglance.errors import InputError
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    from torch import Tensor

Batch = dict[str, "Tensor"]
Padded = dict[str, NDArray[np.int64]]
TokenRows = list[list[int]]
TokenRowsOf = Callable[[Sequence[str], Sequence[str] | None], TokenRows]

# Measured on two cores with MiniLM: 512 to 4,096 tokens a batch are within 3 % of each other. Under
# 256 tokens a pass costs nearly the same whatever it holds, since reading the weights dominates.
CPU_TOKENS = 2048
CPU_FILL = 256
ACCELERATOR_TOKENS = 65_536
ACCELERATOR_FILL = 8192
# Texts held as token ids at a time: bounds memory, and is long enough to sort well.
ROWS_PER_BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatCount:
    """How often a list of texts repeats itself.

    Attributes:
        rows: Texts given.
        distinct_texts: Of them different (with their language, where the tower uses it).
        distinct_token_rows: Of them different to the model.
    """

    rows: int
    distinct_texts: int
    distinct_token_rows: int

    @property
    def repeat_rate(self) -> float:
        """Fraction of the rows that need no forward pass of their own; 0 for an empty list."""
        return 1.0 - self.distinct_token_rows / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForward:
    """What batching needs of a text tower.

    Attributes:
        token_rows: Texts and their languages to token ids, special ones included, cut to length.
        forward: A batch of `input_ids` and, where rows are padded, `attention_mask`, to (B, D).
        width: D.
        pad_id: The id that fills short rows.
        on_cpu: Whether batches are those of a CPU, or the larger ones of an accelerator.
    """

    token_rows: TokenRowsOf
    forward: Callable[[Padded], Vectors]
    width: int
    pad_id: int
    on_cpu: bool = True


def distinct_texts(
    texts: Sequence[str], languages: Sequence[str] | None = None
) -> tuple[list[str], list[str] | None, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The different texts, in order of first appearance, and where each row finds its own.

    Args:
        texts: N texts.
        languages: N language ids; None where the tower does not use them.

    Returns:
        The distinct texts, their languages (or None), and for each of the N rows its position
        among them.

    Raises:
        InputError: Where an item is no text, or the two lists differ in length.

    >>> distinct_texts(["a", "b", "a"])[::2]
    (['a', 'b'], array([0, 1, 0]))
    """
    if isinstance(texts, str):
        raise InputError(
            f"one text {texts[:40]!r}; a list of texts is allowed", hint="write [text]"
        )
    if languages is not None and len(languages) != len(texts):
        raise InputError(
            f"{len(texts)} texts and {len(languages)} languages; one language a text is allowed",
            hint="give as many languages as texts",
        )
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"row {row} is {type(text).__name__}; a text tower reads strings",
                hint="check that the items belong to this tower's modality",
            )
    # A bare string hashes faster than a pair, and most towers do not use the language.
    keys: Sequence[object] = (
        texts if languages is None else list(zip(texts, languages, strict=True))
    )
    first: dict[object, int] = {}
    inverse = np.fromiter(
        (first.setdefault(key, len(first)) for key in keys), dtype=np.int64, count=len(texts)
    )  # (N,)
    if languages is None:
        return list(first), None, inverse  # type: ignore[arg-type]
    pairs: list[tuple[str, str]] = list(first)  # type: ignore[arg-type]
    return [text for text, _ in pairs], [language for _, language in pairs], inverse


def plan_batches(
    lengths: Sequence[int], *, tokens_per_batch: int, fill_tokens: int
) -> Iterator[list[int]]:
    """Rows that go through the model together, longest first.

    A batch takes rows of one length up to the budget. Only while it is under `fill_tokens`, it
    takes shorter ones as well, which are then padded.

    Args:
        lengths: Tokens of each row.
        tokens_per_batch: The most padded tokens a batch may hold; a longer row goes alone.
        fill_tokens: Padded tokens from which a batch is worth a pass of its own.

    >>> list(plan_batches([3, 5, 3, 5, 2], tokens_per_batch=10, fill_tokens=1))
    [[1, 3], [0, 2], [4]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist()
    start = 0
    while start < len(order):
        longest = max(lengths[order[start]], 1)
        end = start + 1
        while end < len(order) and (end + 1 - start) * longest <= tokens_per_batch:
            if lengths[order[end]] != longest and (end - start) * longest >= fill_tokens:
                break
            end += 1
        yield order[start:end]
        start = end


def padded(rows: Sequence[Sequence[int]], *, pad_id: int) -> Padded:
    """Token ids as one array, padded on the right; no mask where nothing was padded.

    Args:
        rows: B rows of ids.
        pad_id: The id that fills.

    Returns:
        int64 `input_ids` (B, L) and, if lengths differ, `attention_mask` (B, L) of 0 and 1.

    >>> padded([[7, 8], [9]], pad_id=0)["attention_mask"].tolist()
    [[1, 1], [1, 0]]
    """
    longest = max((len(row) for row in rows), default=0)
    if all(len(row) == longest for row in rows):
        return {"input_ids": np.array(rows, dtype=np.int64).reshape(len(rows), longest)}
    filled = [[*row, *[pad_id] * (longest - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return {"input_ids": np.array(filled, np.int64), "attention_mask": np.array(mask, np.int64)}


def collate(rows: Sequence[Sequence[int]], *, pad_id: int) -> Batch:
    """What `padded` gives, as tensors of torch."""
    import torch

    return {n: torch.from_numpy(array) for n, array in padded(rows, pad_id=pad_id).items()}


def encode_deduplicated(
    texts: Sequence[str],
    languages: Sequence[str] | None = None,
    *,
    encoder: TextForward,
    rows_per_block: int = ROWS_PER_BLOCK,
) -> Vectors:
    """Encode texts, each distinct one once.

    Args:
        texts: N texts.
        languages: N language ids where the tower uses them, else None.
        encoder: The tower's parts.
        rows_per_block: Distinct texts tokenised at a time; bounds the memory above the result.

    Returns:
        float32 (N, D), in the order of `texts`.
    """
    distinct, tags, inverse = distinct_texts(texts, languages)
    vectors = np.empty((len(distinct), encoder.width), dtype=np.float32)  # (N', D)
    for start in range(0, len(distinct), rows_per_block):
        block = slice(start, start + rows_per_block)
        rows = encoder.token_rows(distinct[block], None if tags is None else tags[block])
        different, where = _distinct_rows(rows)
        found = np.empty((len(different), encoder.width), dtype=np.float32)
        for batch in plan_batches(
            [len(row) for row in different],
            tokens_per_batch=CPU_TOKENS if encoder.on_cpu else ACCELERATOR_TOKENS,
            fill_tokens=CPU_FILL if encoder.on_cpu else ACCELERATOR_FILL,
        ):
            rows_of_ids = padded([different[row] for row in batch], pad_id=encoder.pad_id)
            found[batch] = encoder.forward(rows_of_ids)  # (B, D)
        vectors[block] = found[where]
    # Without a repeat the rows stand in order already, and a copy would double the memory.
    return vectors if len(distinct) == len(texts) else vectors[inverse]


def count_repeats(
    texts: Sequence[str], languages: Sequence[str] | None = None, *, token_rows: TokenRowsOf
) -> RepeatCount:
    """How many of the texts `encode_deduplicated` really encodes (with all in one block)."""
    distinct, tags, _ = distinct_texts(texts, languages)
    different, _ = _distinct_rows(token_rows(distinct, tags) if distinct else [])
    return RepeatCount(
        rows=len(texts), distinct_texts=len(distinct), distinct_token_rows=len(different)
    )


def _distinct_rows(rows: TokenRows) -> tuple[TokenRows, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The different rows of ids, and for each row its position among them."""
    first: dict[tuple[int, ...], int] = {}
    where = np.fromiter(
        (first.setdefault(tuple(row), len(first)) for row in rows), dtype=np.int64, count=len(rows)
    )
    return [list(row) for row in first], where
