"""How do vectors that exist become an index? Normalised, block by block, with caption and url.

Legend: N rows, D width.

Two forms are read, those of `towers.precomputed`: `vectors.npy` with ids, and clip-retrieval's
folder. A file of vectors does not say which model made them; the user does, with a space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polyglance import affine, embed, errors, image_rows, progress
from polyglance.model import load_side
from polyglance.records import Quarantined
from polyglance.search import places
from polyglance.search.rows import index_columns
from polyglance.store import MANIFEST_NAME, Store
from polyglance.store_facts import StoreFacts
from polyglance.store_rows import unusable_rows
from polyglance.towers import precomputed

BLOCK_ROWS = 16_384
# Where metadata has no image_path, these name a row as well.
ID_COLUMNS = ("image_path", "key", "url")
KEPT_COLUMNS = ("caption", "url")
MODEL_SPACE = "model"


def holds_vectors(source: Path) -> bool:
    """Whether a folder is one of the two forms."""
    return (source / "vectors.npy").is_file() or (source / "img_emb").is_dir()


def build_vectors(source: Path, *, model: str, space: str | None, out: Path) -> embed.EmbedReport:
    """Bring vectors into an index; those it has already, and unchanged, are passed over.

    Rows whose vector is unusable, or whose id came before, are set aside. In memory are a block,
    and the ids.

    Args:
        source: The folder.
        model: Reference of the dual encoder that answers queries, by full path.
        space: In which space the vectors lie; `model` for that of the model.
        out: The index.

    Raises:
        ConfigError: Without a space.
        VectorError: A file that holds no vectors, or of another width than the first.
        StoreError, SpaceMismatchError: The index is of another space, or is being written.
    """
    if not space:
        raise errors.ConfigError(
            f"{source} holds vectors, which do not say which model made them",
            hint=f"--space {MODEL_SPACE} if it was the model of --model, else --space NAME, the "
            "space that packs for them name",
        )
    width = _width(next(_parts(source)))
    store = _open(out, width=width, space=space, model=model, source=source)
    with store.writing():
        store.note_facts()
        run = _Run(store)
        with progress.bar("vectors", total=None) as advance:
            for part in _parts(source):  # one after the other: each holds its ids
                _check(part, width=store.facts.dim)
                for start, extra in _blocks(part):
                    run.take(part, start, extra)
                    advance(min(BLOCK_ROWS, len(part.ids) - start))
        embed.set_aside(store, run.aside, tried=[one.id for one in embed.read_quarantine(store)])
    return embed.EmbedReport(new=run.new, known=run.known, quarantined=tuple(run.aside))


class _Run:
    """One run over blocks of vectors; its caller is the store's writer."""

    def __init__(self, store: Store) -> None:
        self.new = self.known = 0
        self.aside: list[Quarantined] = []
        self._store = store
        self._key_of = dict(zip(store.ids(), store.keys(), strict=True))
        self._seen: set[str] = set()

    def take(self, part: precomputed.Part, start: int, extra: Mapping[str, list[Any]]) -> None:
        """Append or replace the rows of a block that the index lacks."""
        ids = part.ids[start : start + BLOCK_ROWS]
        vectors = np.asarray(part.vectors[start : start + BLOCK_ROWS], dtype=np.float32)  # (B, D)
        bad = unusable_rows(vectors)
        fresh: list[int] = []
        changed: list[int] = []
        keys = [image_rows.content_key(row.tobytes()) for row in vectors]
        for b, identity in enumerate(ids):
            if identity in self._seen:
                bad[b] = "its id occurred before"
            self._seen.add(identity)
            if b in bad:
                self.aside.append(Quarantined(identity, f"{part.path.name}: {bad[b]}"))
            elif identity not in self._key_of:
                fresh.append(b)
            elif self._key_of[identity] != keys[b]:
                changed.append(b)
            else:
                self.known += 1
        for rows, write in ((fresh, self._store.append), (changed, self._store.replace)):
            if rows:
                write(
                    [ids[b] for b in rows],
                    [keys[b] for b in rows],
                    vectors=affine.unit(vectors[rows]),
                    extra=_columns(self._store, extra, rows),
                )
                self.new += len(rows)


def _columns(store: Store, extra: Mapping[str, list[Any]], rows: list[int]) -> dict[str, list[Any]]:
    """The index's columns of some rows of a block; no file of ours stands behind them."""
    empty: dict[str, Any] = {"path": "", "size": 0, "mtime_ns": 0}
    return {
        name: [extra[name][b] if name in extra else empty.get(name) for b in rows]
        for name in store.extra_columns
    }


def _parts(source: Path) -> Iterator[precomputed.Part]:
    """The files of vectors, ids from whatever column of the metadata names rows."""
    import pyarrow.parquet as pq

    column = None
    if table := next(iter(sorted((source / "metadata").glob("metadata_*.parquet"))), None):
        there = pq.read_schema(table).names
        column = next((name for name in ID_COLUMNS if name in there), None)
    return precomputed.read_parts(source, modality="image", id_column=column)


def _blocks(part: precomputed.Part) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Where each block of a part begins, and what its metadata says of captions and urls."""
    starts = range(0, len(part.ids), BLOCK_ROWS)
    if part.metadata is None:
        yield from ((start, {}) for start in starts)
        return
    import pyarrow.parquet as pq

    file = pq.ParquetFile(part.metadata)
    there = [name for name in KEPT_COLUMNS if name in file.schema_arrow.names]
    if not there:
        yield from ((start, {}) for start in starts)
        return
    start = 0
    for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=there):
        texts = {
            name: [None if v is None else str(v) for v in batch[name].to_pylist()] for name in there
        }
        yield start, texts
        start += BLOCK_ROWS


def _width(part: precomputed.Part) -> int:
    return int(part.vectors.shape[1]) if part.vectors.ndim == 2 else 0


def _check(part: precomputed.Part, *, width: int) -> None:
    if _width(part) != width or part.vectors.dtype.kind != "f":
        raise errors.VectorError(
            f"{part.path} is {part.vectors.dtype} {part.vectors.shape}; floating (N, {width}) is "
            "allowed",
            hint="save one vector a row, all parts of one width",
        )
    if len(part.ids) != len(part.vectors):
        raise errors.VectorError(
            f"{part.path} holds {len(part.vectors)} vectors for {len(part.ids)} ids",
            hint="give one id a vector, in the same order",
        )


def _open(out: Path, *, width: int, space: str, model: str, source: Path) -> Store:
    """The index, made where there is none."""
    there = (Path(out) / MANIFEST_NAME).exists()
    own = load_side(model, "content").space_id if space == MODEL_SPACE else None
    space_id = own or space
    facts = StoreFacts(modality="image", dim=width, fingerprint=space_id, space_id=space_id)
    return Store.open_or_create(
        out,
        facts,
        extra_columns=None if there else index_columns(),
        extra_facts=places.noted(model, out=out, folder=source.resolve(), space_id=own),
    )
