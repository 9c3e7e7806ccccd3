"""Reading of a table: opened by address, columns, vectors of all rows or of some, and blocks.

Legend: N rows, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.storage import identity, schema
from polyglance.vectors import Vectors

if TYPE_CHECKING:
    import lance


READ_ROWS = 8192
# Below this share of the table rows are taken one by one; above, reading all of it is quicker
# (100,000 x 512: all in about 0.5 s, 20,000 taken in 0.25 s).
TAKE_SHARE = 0.25


def open_at(address: str) -> lance.LanceDataset:
    """Open the table at the address of a store.

    Raises:
        StoreError: It cannot be read.
    """
    import lance

    with schema.reading(address):
        return lance.dataset(identity.table_at(address))


def is_newest(table: lance.LanceDataset, address: str) -> bool:
    """Whether nothing was written since a table was opened by address; yes where none answers."""
    try:
        with schema.reading(address):
            return bool(table.latest_version == table.version)
    except errors.StoreError:
        return True


def columns(table: lance.LanceDataset, names: Sequence[str]) -> dict[str, list[Any]]:
    """Columns by name, in the order of the rows."""
    found = table.to_table(columns=list(names))
    return {name: found[name].to_pylist() for name in names}


def all_vectors(table: lance.LanceDataset, *, dim: int) -> Vectors:
    """All vectors, filled in batch by batch, so that memory peaks at one copy."""
    found = np.empty((table.count_rows(), dim), dtype=np.float32)  # (N, D)
    filled = 0
    for batch in table.to_batches(columns=["vector"], batch_size=READ_ROWS):
        found[filled : filled + len(batch)] = schema.matrix(batch["vector"])
        filled += len(batch)
    return found


def vectors_at(table: lance.LanceDataset, rows: NDArray[np.int64], *, dim: int) -> Vectors:
    """Vectors of some rows by number, in the order asked, repeats allowed."""
    if len(rows) > TAKE_SHARE * table.count_rows():
        return all_vectors(table, dim=dim)[rows]
    distinct, inverse = np.unique(rows, return_inverse=True)
    if not len(distinct):
        return np.empty((0, dim), dtype=np.float32)
    taken = table.take(distinct.tolist(), columns=["vector"])["vector"]
    return np.concatenate([schema.matrix(chunk) for chunk in taken.chunks])[inverse]  # (N, D)


def blocks(table: lance.LanceDataset, rows: int) -> Iterator[tuple[list[str], Vectors]]:
    """Ids and vectors, so many rows at a time; the last block may be shorter."""
    scanner = table.scanner(
        columns=["id", "vector"],
        batch_size=rows,
        strict_batch_size=True,
        batch_readahead=2,
        fragment_readahead=1,
    )
    for batch in scanner.to_batches():
        yield batch["id"].to_pylist(), schema.matrix(batch["vector"])
