"""What does a pack that moves the content side add to an index? One derived column, removable.

The base column is never touched. A pack with a content head has every vector re-projected, block
by block, in seconds; one with another content tower has every picture encoded again, which must be
asked for. A column lies in the index's folder under `packs/`, named after content side and space.

Legend: M indexed items, D and E widths of the space and of the column.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from polyglance import embed, errors, progress
from polyglance.affine import Vectors
from polyglance.packs import LanguagePack
from polyglance.records import ImageFile
from polyglance.sides import SpaceTower
from polyglance.store import Store, StoreFacts

FOLDER = "packs"
BLOCK_ROWS = 8192


def column_path(index: Path, pack: LanguagePack) -> Path:
    """Where the derived column of a pack lies."""
    return Path(index) / FOLDER / pack.column_id


def project(base: Store, pack: LanguagePack) -> tuple[Store, int]:
    """Bring the derived column of a pack up to date, without reading one picture.

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
    missing, held = column.missing(keys), set(keys)
    # What left the index must not be found by who searches the column alone.
    column.delete([key for key in column.ids() if key not in held])
    with column.writing(), progress.bar("projecting", total=len(missing)) as advance:
        for start in range(0, len(missing), BLOCK_ROWS):
            block = missing[start : start + BLOCK_ROWS]
            vectors = base.vectors([id_of[key] for key in block])  # (B, D)
            column.append(block, block, vectors=pack.project(vectors))
            advance(len(block))
        if len(missing) > BLOCK_ROWS:
            column.compact()
    return column, len(missing)


def reencode(
    base: Store, pack: LanguagePack, *, images: Sequence[ImageFile], num_threads: int = 2
) -> embed.EmbedReport:
    """Encode every picture again with the content tower that a pack brings; resumes.

    Args:
        base: The index's store.
        pack: With another content tower.
        images: The pictures of the index.
        num_threads: Threads that decode while the tower encodes.

    Raises:
        ConfigError: For a pack without another content tower.
    """
    if pack.content_side is None:
        raise errors.ConfigError(
            f"a pack whose content side is {pack.manifest.content}; it needs no picture again",
            hint="leave --reencode out",
        )
    column = embed.open_image_store(column_path(base.path, pack), SpaceTower(pack.content_side))
    return embed.embed_images(
        images, SpaceTower(pack.content_side), store=column, num_threads=num_threads
    )


def column_vectors(base: Store, pack: LanguagePack) -> Vectors:
    """The vectors that a pack's queries are compared with, in the order of the index.

    Args:
        base: The index's store.
        pack: Any pack of its space.

    Returns:
        Float32 (M, E), unit.

    Raises:
        SpaceMismatchError: For a pack with another content tower whose pictures are not encoded.
    """
    if pack.manifest.content == "unchanged":
        return base.vectors()
    if pack.manifest.content == "head":
        return project(base, pack)[0].vectors(base.keys())
    path = column_path(base.path, pack)
    if path.is_dir():
        column = Store.open(path)
        if not column.missing(base.ids()):
            return column.vectors(base.ids())
    raise errors.SpaceMismatchError(
        f"the pack brings another content tower ({pack.manifest.content_tower}), by which the "
        f"pictures of {base.path} are not encoded",
        hint="encode them again: polyglance index FOLDER --model MODEL --out INDEX --pack PACK "
        "--reencode",
    )


def drop(base: Store, pack: LanguagePack) -> bool:
    """Remove the derived column of a pack; whether there was one."""
    path = column_path(base.path, pack)
    found = path.is_dir()
    shutil.rmtree(path, ignore_errors=True)
    return found
