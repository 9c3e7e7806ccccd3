"""Metadata columns of an index beside the vector, and their addition to an older one.

offset                 where its bytes begin in the file, for a member of a tar
taken_at               by the camera's clock, without a zone
latitude, longitude    degrees
caption, url           where the source gives them
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from polyglance import progress
from polyglance.encoding import reading
from polyglance.records import Decoded, MediaFile, Modality, Taken
from polyglance.sources.decoders import read_taken
from polyglance.storage.store import Store

if TYPE_CHECKING:
    import pyarrow


def own_columns() -> dict[str, pyarrow.DataType]:
    """The columns of an index beyond those of a store of items; all may be null."""
    import pyarrow as pa

    return {
        "offset": pa.int64(),
        "taken_at": pa.timestamp("s"),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "caption": pa.string(),
        "url": pa.string(),
    }


def index_columns() -> dict[str, pyarrow.DataType]:
    """All columns of an index beyond those of any store."""
    return {**reading.media_columns(), **own_columns()}


def looked_at(file: MediaFile, *, data: bytes, decoded: Decoded | None) -> Mapping[str, Any]:
    """What the columns say of a file that was just read.

    Args:
        file: Which.
        data: Its bytes.
        decoded: What they hold; None where they were not decoded.
    """
    taken = read_taken(io.BytesIO(data), file.modality) if decoded is None else decoded.taken
    return {**asdict(taken), "offset": None if file.span is None else file.span[0]}


def add_index_columns(store: Store) -> int:
    """Give an index of an older version what it lacks: facts in its table, and columns.

    Time and place are read from files, in one step: killed meanwhile, the next run begins it again.
    A file that has changed is left to the run that follows.

    Returns:
        How many files were looked at.
    """
    import pyarrow as pa

    store.note_facts()
    own = own_columns()
    lacking = [name for name in own if name not in store.extra_columns]
    if not lacking:
        return 0
    table = store.columns(["path", "size", "mtime_ns"])
    taken: list[Taken] = []
    with progress.bar("time and place", total=len(store)) as advance:
        for path, size, mtime_ns in zip(*table.values(), strict=True):
            taken.append(_taken(path, store.facts.modality, size=size, mtime_ns=mtime_ns))
            advance(1)
    store.add_columns(
        {
            name: pa.array([getattr(one, name, None) for one in taken], type=own[name])
            for name in lacking
        }
    )
    return len(taken)


def _taken(path: str, modality: Modality, *, size: int, mtime_ns: int) -> Taken:
    """Time and place of an unchanged file; nothing of one that is gone or has changed."""
    try:
        with open(path, "rb") as file:
            now = os.fstat(file.fileno())
            same = (now.st_size, now.st_mtime_ns) == (size, mtime_ns)
            return read_taken(file, modality) if same else Taken()
    except OSError:
        return Taken()
