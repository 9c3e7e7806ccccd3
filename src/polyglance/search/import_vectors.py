"""Import of existing vectors as an index: normalised, block by block, with caption and url.

Legend: N rows, D width.

Two forms are read, those of `precomputed`: `vectors.npy` with ids, and clip-retrieval's
folder. A file of vectors does not say which model made them; the user does, with a space.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from polyglance import errors, progress
from polyglance.encoding import reading, runs
from polyglance.model.dual_encoder import load_side, modality_of
from polyglance.records import Modality, Quarantined
from polyglance.search import relocation, removal, source_identity
from polyglance.search.downloads import texts_of
from polyglance.search.metadata import index_columns
from polyglance.search.removal import Leaving, Policy
from polyglance.sources import webdataset
from polyglance.storage.identity import MANIFEST_NAME, StoreFacts
from polyglance.storage.store import Store
from polyglance.towers.libraries import precomputed
from polyglance.vectors import unit, unusable_rows

BLOCK_ROWS = 16_384
# Where metadata has no image_path, these name a row as well.
ID_COLUMNS = ("image_path", "key", "url")
KEPT_COLUMNS = ("caption", "url")
MODEL_SPACE = "model"


def holds_vectors(source: Path) -> bool:
    """Whether a folder is one of the two forms; the first may be in a folder of its modality."""
    plain = (source, *(source / each for each in get_args(Modality)))
    return os.path.isdir(source / "img_emb") or any(
        os.path.isfile(folder / "vectors.npy") for folder in plain
    )


def build_vectors(
    source: Path, *, model: str, space: str | None, out: Path, policy: Policy
) -> tuple[runs.EmbedReport, Leaving, int]:
    """Bring vectors into an index; those it has already, and unchanged, are passed over.

    Rows whose vector is unusable, or whose id came before, are set aside; what the index has under
    such an id stays. Rows whose id is gone leave, as far as the policy lets them. In memory are a
    block, and the ids.

    Args:
        source: The folder.
        model: Reference of the dual encoder that answers queries, by full path.
        space: In which space the vectors lie; `model` for that of the model.
        out: The index.
        policy: Which rows may leave.

    Returns:
        What was added, known and set aside; which rows left, or stayed though they are gone; and
        how many rows the index has now.

    Raises:
        ConfigError: Without a space.
        InputError: There is no vector at all, or the source went away meanwhile; nothing is
            removed then.
        VectorError: A file that holds no vectors, or of another width than the first.
        StoreError, SpaceMismatchError: The index is of another space or source, or is being
            written.
    """
    if not space:
        raise errors.ConfigError(
            f"{source} holds vectors, which do not say which model made them",
            hint=f"--space {MODEL_SPACE} if it was the model of --model, else --space NAME, the "
            "space that packs for them name",
        )
    before = source_identity.identity_of(source)
    facts = _facts_of(source, space=space, model=model)
    num_rows = 0
    for part in _parts(source, facts.modality):  # all of them, before a row is written
        _check(part, facts)
        num_rows += len(part.ids)
    if not num_rows and not policy.forget:
        raise errors.InputError(
            f"{source} holds no vector: its files have no rows",
            hint="write one vector a row; --forget removes all rows of an index",
        )
    own_space = facts.space_id if space == MODEL_SPACE else None
    store = _open(out, facts, model=model, source=source, own_space=own_space)
    with store.writing():
        relocation.follow(store, model, folder=source.resolve(), space_id=own_space)
        table = store.columns(["id", "key", "path"])
        run = _Run(store, table)
        with progress.bar("vectors", total=None) as advance:
            for part in _parts(source, facts.modality):  # one after the other: each holds its ids
                for start, extra in _blocks(part):
                    run.take(part, start, extra)
                    advance(min(BLOCK_ROWS, len(part.ids) - start))
        left = removal.decide_vectors(store, table, present=run.seen, policy=policy)
        if left.going:
            source_identity.require_unchanged(source, before)
            store.delete(left.going)
        runs.set_aside(store, run.aside, tried=[one.id for one in runs.read_quarantine(store)])
    report = runs.EmbedReport(new=run.new, known=run.known, quarantined=tuple(run.aside))
    return report, left, len(store)


class _Run:
    """One run over blocks of vectors; its caller is the store's writer.

    Args:
        store: The index's.
        table: Its ids and keys, before the run.

    Attributes:
        new, known: How many rows were added or replaced, and were there already.
        aside: What cannot be used, and why.
        seen: The ids that the source holds, whether their vectors can be used or not.
    """

    def __init__(self, store: Store, table: Mapping[str, Sequence[str]]) -> None:
        self.new = self.known = 0
        self.aside: list[Quarantined] = []
        self.seen: set[str] = set()
        self._store = store
        self._key_of = dict(zip(table["id"], table["key"], strict=True))

    def take(self, part: precomputed.Part, start: int, extra: Mapping[str, list[Any]]) -> None:
        """Append or replace the rows of a block that the index lacks."""
        ids = part.ids[start : start + BLOCK_ROWS]
        with np.errstate(over="ignore"):  # what is too large for float32 is set aside as infinite
            block = part.vectors[start : start + BLOCK_ROWS]
            vectors = np.asarray(block, dtype=np.float32)  # (B, D)
        bad = unusable_rows(vectors)
        fresh: list[int] = []
        changed: list[int] = []
        keys = [reading.content_key(row.tobytes()) for row in vectors]
        for b, identity in enumerate(ids):
            if why := self._why_not(identity):
                bad[b] = why
            self.seen.add(identity)
            if b in bad:
                named = webdataset.valid_text(identity) or f"row {start + b}"
                self.aside.append(Quarantined(named, f"{part.path.name}: {bad[b]}"))
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
                    vectors=unit(vectors[rows]),
                    extra=_columns(self._store, extra, rows),
                )
                self.new += len(rows)

    def _why_not(self, identity: str) -> str | None:
        """The reason to set a row aside for its id."""
        if identity in self.seen:
            return "its id occurred before"
        if not identity:
            return "it has no id"
        return None if webdataset.valid_text(identity) == identity else "its id is no valid text"


def _columns(store: Store, extra: Mapping[str, list[Any]], rows: list[int]) -> dict[str, list[Any]]:
    """The index's columns of some rows of a block; no file of ours stands behind them."""
    empty: dict[str, Any] = {"path": "", "size": 0, "mtime_ns": 0}
    return {
        name: [extra[name][b] if name in extra else empty.get(name) for b in rows]
        for name in store.extra_columns
    }


def _parts(source: Path, modality: Modality) -> Iterator[precomputed.Part]:
    """The files of vectors, ids from whatever column of the metadata names rows."""
    column = None
    if table := next(iter(sorted((source / "metadata").glob("metadata_*.parquet"))), None):
        there = precomputed.columns_of(table)
        column = next((name for name in ID_COLUMNS if name in there), None)
    return precomputed.read_parts(source, modality=modality, id_column=column)


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
        texts = {name: texts_of(batch[name]) for name in there}
        yield start, texts
        start += BLOCK_ROWS


def _facts_of(source: Path, *, space: str, model: str) -> StoreFacts:
    """What the index will hold: of the model's space, or of the width of the first part."""
    modality = modality_of(model)
    if space == MODEL_SPACE:
        side = load_side(model, "content")
        space, width = side.space_id, side.dim
    else:
        shape = next(_parts(source, modality)).vectors.shape
        width = int(shape[1]) if len(shape) == 2 else 0
    return StoreFacts(modality=modality, dim=width, fingerprint=space, space_id=space)


def _check(part: precomputed.Part, facts: StoreFacts) -> None:
    """Refuse what cannot be compared.

    Raises:
        VectorError: Of another kind or width, or with more or fewer ids than vectors.
    """
    shape = part.vectors.shape
    if len(shape) != 2 or not shape[1] or part.vectors.dtype.kind != "f":
        raise errors.VectorError(
            f"{part.path} is {part.vectors.dtype} {shape}; floating (N, D) is allowed",
            hint="save one vector a row",
        )
    if shape[1] != facts.dim:
        raise errors.VectorError(
            f"{part.path} holds vectors of width {shape[1]:,}; the space {facts.space_id} has "
            f"{facts.dim:,}",
            hint="give the --model that made the vectors, all parts of one width",
        )
    if len(part.ids) != len(part.vectors):
        raise errors.VectorError(
            f"{part.path} holds {len(part.vectors)} vectors for {len(part.ids)} ids",
            hint="give one id a vector, in the same order",
        )


def _open(
    out: Path, facts: StoreFacts, *, model: str, source: Path, own_space: str | None
) -> Store:
    """The index, made where there is none."""
    if (Path(out) / MANIFEST_NAME).exists():
        store = Store.open(out)
        source_identity.require_own(
            store,
            os.path.realpath(source),
            kind="vectors",
            count_in=lambda sizes: len(
                {
                    identity
                    for part in _parts(source, facts.modality)
                    for identity in part.ids
                    if identity in sizes
                }
            ),
        )
        store.require(facts)
        return store
    return Store.open_or_create(
        out,
        facts,
        extra_columns=index_columns(),
        extra_facts=relocation.noted(model, out=out, folder=source.resolve(), space_id=own_space),
    )
