"""Metadata columns of an index beside the vector.

offset                 where its bytes begin in the file, for a member of a tar
taken_at               by the camera's clock, without a zone
latitude, longitude    degrees
caption, url           where the source gives them
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.encoding import reading
from polyglance.records import Decoded, MediaFile
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


def files_of(store: Store) -> list[MediaFile]:
    """Where the items of a store lie, of a store whose rows say so."""
    if not {"path", "size"} <= set(store.extra_columns):
        return []
    offset = [name for name in ("offset",) if name in store.extra_columns]
    table = store.columns(["id", "path", "size", *offset])
    offsets = table.get("offset", [None] * len(table["id"]))
    rows = zip(table["id"], table["path"], table["size"], offsets, strict=True)
    return [
        MediaFile(
            each,
            Path(path),
            None if offset is None else (offset, size),
            modality=store.facts.modality,
        )
        for each, path, size, offset in rows
        if path is not None
    ]


def require_columns(store: Store) -> None:
    """Refuse an index that lacks columns, as one of an unreleased version does.

    Raises:
        StoreError: Names them.
    """
    if lacking := sorted(set(index_columns()) - set(store.extra_columns)):
        raise errors.StoreError(
            f"the index {store.path} lacks the columns {', '.join(lacking)}",
            hint="make it anew: polyglance index FOLDER --model MODEL --out NEW",
        )
