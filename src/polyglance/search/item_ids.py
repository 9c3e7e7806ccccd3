"""Ids of an index's items: packed texts, and the one map from an id to its row.

Legend: M items.

As Python's own texts and dictionary, a million ids of 25 letters take 180 MB; here 29 MB and 12 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow

ITERATED = 16_384  # texts that are Python's at a time
OFFSETS_32 = 2**31 - 1


class PackedTexts(Sequence[str]):
    """Texts as a column of Arrow holds them; one that is absent is empty.

    Args:
        column: Of M texts.
    """

    def __init__(self, column: pyarrow.ChunkedArray) -> None:
        import pyarrow as pa

        if column.nbytes > OFFSETS_32:
            column = column.cast(pa.large_string())
        packed = column.fill_null("").combine_chunks()
        self._array = packed
        _, offsets, letters = packed.buffers()
        width = np.int64 if pa.types.is_large_string(packed.type) else np.int32
        stop = packed.offset + len(packed) + 1
        self._offsets = (
            np.frombuffer(offsets, width)[packed.offset : stop] if offsets else np.zeros(1, width)
        )
        self._letters = memoryview(letters or b"")

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return int(self._array.nbytes)

    def __len__(self) -> int:
        """M."""
        return len(self._array)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        """The text of a row, or those of several."""
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        first, end = self._offsets[row : row + 2].tolist()
        return str(self._letters[first:end], "utf-8")

    def __iter__(self) -> Iterator[str]:
        """All of them, some at a time."""
        for start in range(0, len(self), ITERATED):
            yield from self._array.slice(start, ITERATED).to_pylist()


class IdMap:
    """The row of each id, by a sorted hash of it: 12 bytes an id beside the id itself.

    Args:
        ids: M of them, all different.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes)
        self._ids, self._hashes = ids, hashes[order]
        self._rows = order.astype(np.int32 if len(ids) <= OFFSETS_32 else np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, without the ids."""
        return self._hashes.nbytes + self._rows.nbytes

    def rows(self, identities: Sequence[str]) -> NDArray[np.int64]:
        """The rows of ids: (len(identities),); -1 for one that is not there."""
        wanted = np.fromiter(map(hash, identities), np.int64, len(identities))
        first, last = (np.searchsorted(self._hashes, wanted, side) for side in ("left", "right"))
        found = np.full(len(identities), -1, np.int64)
        for place, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            for row in self._rows[start:end].tolist():
                if self._ids[row] == identities[place]:
                    found[place] = row
        return found
