"""Pack columns: vectors that a pack with its own content side adds to an index.

The base column is never touched. A pack with a content head has every vector re-projected, block
by block, in seconds; one with another content tower has every item encoded again, which must be
asked for. A column lies in the index's folder under `packs/`, named after content side and space.

Legend: M indexed items, D and E widths of the space and of the column.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyglance import errors, progress
from polyglance.encoding import runs
from polyglance.model.pack import LanguagePack
from polyglance.model.side import SpaceTower
from polyglance.records import MediaFile
from polyglance.search import relocation
from polyglance.storage.ann_index import Found, IndexFacts, Nearest, Rows, is_among
from polyglance.storage.identity import StoreFacts
from polyglance.storage.schema import require_unit
from polyglance.storage.store import Store
from polyglance.vectors import Vectors

FOLDER = "packs"
BLOCK_ROWS = 8192
# How long a search waits for another process that projects the same column.
WAIT_SECONDS = 120.0
# How a system says that nothing is written here.
CANNOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


def column_path(index: Path, pack: LanguagePack) -> Path:
    """Where the derived column of a pack lies."""
    return Path(index) / FOLDER / pack.column_id


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """What one run did for the column of a pack.

    Attributes:
        rows: Images that were encoded again, or vectors that were projected.
        num_rows: Rows of the column after the run.
        vector_index: What was built of its vector index; None where nothing had to be.
    """

    rows: runs.EmbedReport
    num_rows: int
    vector_index: IndexFacts | None


def build(
    base: Store, pack: LanguagePack, *, items: Sequence[MediaFile] | None = None
) -> ColumnReport:
    """Bring the column of a pack up to date, with its vector index; resumes.

    Args:
        base: The index's store.
        pack: With a content side of its own.
        items: The files of the index, to encode them again; None projects their vectors.

    Raises:
        ConfigError: The pack's content side asks for the other way.
    """
    if items is None:
        column, new = project(base, pack)
        rows = runs.EmbedReport(new=new, known=len(column) - new)
    else:
        rows = reencode(base, pack, items=items)
        column = Store.open(column_path(base.path, pack))
    from polyglance.search import vector_index  # a search builds nothing

    facts = vector_index.bring_up_to_date(column, text_side=lambda: pack.side)
    return ColumnReport(rows=rows, num_rows=len(column), vector_index=facts)


def project(base: Store, pack: LanguagePack) -> tuple[Store, int]:
    """Bring the derived column of a pack up to date, without reading one item.

    Rows are keyed by content, so what changed in the index is projected anew and the rest is kept;
    stopped at any moment, the next run goes on.

    Args:
        base: The index's store: unit vectors of the space.
        pack: With a content head.

    Returns:
        The column's store, and how many rows were projected now.

    Raises:
        ConfigError: For a pack without a content head.
    """
    if pack.content_head is None:
        raise errors.ConfigError(
            f"a pack whose content side is {pack.manifest.content}; only one with a head has a "
            "column to project",
            hint="search the index with it as it is",
        )
    facts = StoreFacts(
        modality=base.facts.modality,
        dim=pack.dim,
        fingerprint=pack.column_id,
        space_id=pack.side.space_id,
    )
    column = Store.open_or_create(column_path(base.path, pack), facts)
    keys, ids = base.keys(), base.ids()
    id_of = dict(zip(keys, ids, strict=True))
    if set(column.ids()) == id_of.keys():
        return column, 0
    with column.writing(wait_seconds=WAIT_SECONDS):
        missing = column.missing(list(id_of))
        # What left the index must not be found by who searches the column alone.
        column.delete([key for key in column.ids() if key not in id_of])
        with progress.bar("projecting", total=len(missing)) as advance:
            for start in range(0, len(missing), BLOCK_ROWS):
                block = missing[start : start + BLOCK_ROWS]
                vectors = base.vectors([id_of[key] for key in block])  # (B, D)
                require_unit(vectors, place=base.path)
                column.append(block, block, vectors=pack.project(vectors))
                advance(len(block))
        if len(missing) > BLOCK_ROWS:
            column.compact()
    return column, len(missing)


def reencode(
    base: Store, pack: LanguagePack, *, items: Sequence[MediaFile], num_threads: int = 2
) -> runs.EmbedReport:
    """Encode every item again with the content tower that a pack brings; resumes.

    Args:
        base: The index's store.
        pack: With another content tower.
        items: The files of the index.
        num_threads: Threads that decode, and batches that are encoded at once.

    Raises:
        ConfigError: For a pack without another content tower.
    """
    require_new_tower(pack)
    assert pack.content_side is not None
    from polyglance.encoding import media  # nor does it decode

    column = media.open_media_store(column_path(base.path, pack), SpaceTower(pack.content_side))
    return media.embed_media(
        items, SpaceTower(pack.content_side), store=column, num_threads=num_threads
    )


def require_new_tower(pack: LanguagePack) -> None:
    """Refuse a pack by which no item is to be encoded again.

    Raises:
        ConfigError: It has no other content tower.
    """
    if pack.content_side is None:
        raise errors.ConfigError(
            f"a pack whose content side is {pack.manifest.content}; it needs no item again",
            hint="leave --reencode out",
        )


def column_store(base: Store, pack: LanguagePack) -> Store:
    """The derived column of a pack, brought up to date.

    Args:
        base: The index's store.
        pack: Of its space, with a content side of its own.

    Raises:
        SpaceMismatchError: For a pack with another content tower whose items are not encoded.
    """
    if pack.manifest.content == "head":
        return project(base, pack)[0]
    path = column_path(base.path, pack)
    if path.is_dir():
        column = Store.open(path)
        encoded = dict(zip(column.ids(), column.keys(), strict=True))
        if all(
            encoded.get(identity) == key
            for identity, key in zip(base.ids(), base.keys(), strict=True)
        ):
            return column
    raise errors.SpaceMismatchError(
        f"the pack brings another content tower ({pack.manifest.content_tower}), by which not all "
        f"items of {base.address or base.path} are encoded",
        hint="encode them again: polyglance index FOLDER --model MODEL --out INDEX --pack PACK "
        "--reencode"
        if base.address is None
        else "search the folder that the table was copied from: the column lies there",
    )


def _written_column(base: Store, pack: LanguagePack) -> Store | None:
    """The derived column of a pack, brought up to date; None where it cannot be written.

    Raises:
        SpaceMismatchError: As `column_store`.
    """
    if pack.manifest.content != "head":
        return column_store(base, pack)
    if base.address is not None:
        return None
    try:
        return column_store(base, pack)
    except errors.DiskFullError as error:
        why = error.message
    except OSError as error:
        # Lance names the number in its text alone.
        named = (error.errno == each or f"(os error {each})" in str(error) for each in CANNOT_WRITE)
        if not any(named):
            raise
        why = errors.of_system(error).message
    facts = base.extra_facts
    progress.say(
        f"the pack's column cannot be written ({why}), so it is made in memory for this run; where "
        "the index can be written: polyglance index "
        f"{facts.get(relocation.FOLDER, 'FOLDER')} --model "
        f"{facts.get(relocation.MODEL, 'MODEL')} --out {base.path} --pack PACK"
    )
    return None


class Column:
    """The derived column of a pack, open for search beside its index.

    Its rows are contents, those of the index are items: a content answers with all items that have
    it. One with a vector index is not read into memory. Of an index that cannot be written, as on
    object storage or a disk that allows reading alone, it is made in memory.

    Args:
        base: The index's store.
        pack: As for `column_store`.

    Attributes:
        nearest: The column with its vector index; None where every row is compared.
    """

    def __init__(self, base: Store, pack: LanguagePack) -> None:
        self._base, self._pack = base, pack
        self._by_content = pack.manifest.content == "head"
        self._store = _written_column(base, pack)
        nearest = None if self._store is None else Nearest(self._store.table)
        self.nearest = None if nearest is None or nearest.facts is None else nearest

    @cached_property
    def vectors(self) -> Vectors:
        """Float32 (M, E), unit, in the order of the index."""
        if self._store is None:
            place = self._base.address or self._base.path
            return self._pack.project(require_unit(self._base.vectors(), place=place))
        return require_unit(self._store.vectors(self._names), place=self._store.path)

    def near(
        self, queries: Vectors, *, count: int, allowed: Rows | None
    ) -> list[tuple[Rows, Vectors]]:
        """The nearest items of each query by `nearest`: rows of the index, and scores.

        Args:
            queries: Float32 (Q, E), unit.
            count: How many at most.
            allowed: Rows of the index that may answer, rising; None for all.
        """
        assert self.nearest is not None
        if allowed is None:
            found = self.nearest.search(queries, top=count)
        else:
            contents = np.unique(self._row_of[allowed]).astype(np.int64)
            found = self.nearest.search_among(queries, top=count, allowed=contents)
        near = []
        for one in found:
            rows, scores = self._items_of(one)
            if allowed is not None:  # another item with this content may be elsewhere
                passes = is_among(rows, allowed)
                rows, scores = rows[passes], scores[passes]
            near.append((rows[:count], scores[:count]))
        return near

    def _items_of(self, found: Found) -> tuple[Rows, Vectors]:
        """The rows of the index that have the contents that were found, and their scores."""
        sorted_rows, order = self._by_content_row
        first, last = (np.searchsorted(sorted_rows, found.rows, side) for side in ("left", "right"))
        rows = [order[a:b] for a, b in zip(first, last, strict=True)]
        together = np.concatenate([order[:0], *rows]).astype(np.int64)
        return together, np.repeat(found.scores, last - first)

    @property
    def _names(self) -> list[str]:
        """Which row of the column each item of the index has: M ids of the column."""
        return self._base.keys() if self._by_content else self._base.ids()

    @cached_property
    def _row_of(self) -> NDArray[np.int32]:
        """The same as rows of the column: (M,)."""
        assert self._store is not None
        row_of = {name: row for row, name in enumerate(self._store.ids())}
        return np.array([row_of[name] for name in self._names], np.int32)

    @cached_property
    def _by_content_row(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The same sorted, and the row of the index of each: (M,) and (M,)."""
        order = np.argsort(self._row_of, kind="stable").astype(np.int32)
        return self._row_of[order], order


def drop(base: Store, pack: LanguagePack) -> bool:
    """Remove the derived column of a pack; whether there was one."""
    path = column_path(base.path, pack)
    found = path.is_dir()
    shutil.rmtree(path, ignore_errors=True)
    return found
