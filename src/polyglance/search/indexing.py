"""How does an index come to hold what a folder holds? Encode what is new, rename, remove, report.

A file whose path, size and time are known is not opened. One whose content is known is not encoded:
under a new path beside the old one it is a copy, in place of the old one it was moved. A row whose
file is gone leaves the index, unless its folder could not be looked into. The towers, and torch,
are loaded when there is something to encode, and not before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance import embed, errors, files
from polyglance.affine import Vectors
from polyglance.model import MODEL_FILE, load_side
from polyglance.records import ImageFile, Quarantined
from polyglance.search import places, vector_rows
from polyglance.search import thumbnails as thumbnail_files
from polyglance.search.gathering import Describe, Gathered, gather
from polyglance.search.rows import add_index_columns, index_columns, looked_at
from polyglance.sides import SpaceTower
from polyglance.sources.images import Photo
from polyglance.store import MANIFEST_NAME, Store
from polyglance.store_facts import StoreFacts
from polyglance.towers import Modality, Output


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What one run did.

    Attributes:
        new: Rows added, or replaced since their content had changed.
        known: Items whose row was there already.
        moved: Old and new id of what was found under another path.
        removed: Ids of the rows whose file is gone.
        missing: Ids of the rows whose file is gone and that were kept since that was asked for.
        quarantined: What was set aside, and why.
        num_videos: Video files; they are left out.
        num_heic: HEIC files that were left out, since the extra is not installed.
    """

    new: int
    known: int
    moved: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    num_videos: int = 0
    num_heic: int = 0


def build(
    source: Path,
    *,
    model: str,
    out: Path,
    keep_missing: bool = False,
    thumbnails: bool = True,
    space: str | None = None,
    num_threads: int | None = None,
) -> IndexReport:
    """Index pictures, or bring their index up to date; resumes.

    Args:
        source: A folder, a tar or a folder of tars, or a parquet of downloads, see `gathering`; or
            a folder of vectors, see `vector_rows`.
        model: Reference of a dual encoder.
        out: Folder of the index, made or brought up to date.
        keep_missing: Whether rows stay whose file is gone.
        thumbnails: Whether thumbnails are made on the way.
        space: In which space vectors lie that are given; for pictures it is the model's.
        num_threads: Threads that decode while the tower encodes, and batches that it may encode at
            once; None for one a core.

    Returns:
        What was new, known, moved, removed and set aside.

    Raises:
        InputError: There is no picture, or the source went away meanwhile; no row is removed then.
        StoreError: An index of another model or folder, or one that another process is writing.
        DiskFullError: No room; what was appended stays.
    """
    if vector_rows.holds_vectors(source):
        made = vector_rows.build_vectors(source, model=absolute(model), space=space, out=out)
        return IndexReport(new=made.new, known=made.known, quarantined=made.quarantined)
    if space is not None:
        raise errors.ConfigError(
            f"a space was given ({space}), and {source} holds no vectors",
            hint="leave --space out: pictures are encoded into the space of --model",
        )
    before = os.stat(source) if source.exists() else None
    found = gather(source)
    store, tower = open_index(out, model=model, source=source)
    look = _Look(store.path, found.describe, thumbnails=thumbnails)
    with store.writing():
        add_index_columns(store)
        table = store.columns(["id", "key", "path"])
        report = embed.embed_images(
            found.images,
            tower,
            store=store,
            num_threads=num_threads or max(2, os.cpu_count() or 2),
            look=look,
        )
        present = {image.id for image in found.images}
        gone = _gone_rows(table, found, present=present)
        if gone:
            _require_unchanged_place(source, before)
        moved = _moved_rows(store, gone, known=set(table["id"])) if gone else {}
        removed = [identity for identity in gone if not keep_missing or identity in moved]
        if removed:
            store.delete(removed)
        if removed or report.new:
            _drop_thumbnails(store, keys_before=set(table["key"]))
        stale = [one.id for one in embed.read_quarantine(store) if one.id not in present]
        embed.set_aside(store, found.set_aside, tried=stale)
    return IndexReport(
        new=report.new - len(moved),
        known=report.known,
        moved=tuple(moved.items()),
        removed=tuple(identity for identity in removed if identity not in moved),
        missing=tuple(identity for identity in gone if keep_missing and identity not in moved),
        quarantined=(*report.quarantined, *found.set_aside),
        num_videos=found.num_videos,
        num_heic=found.num_heic,
    )


def open_index(out: Path, *, model: str, source: Path) -> tuple[Store, LaterTower | SpaceTower]:
    """Open an index or make it; of one that exists the model is not loaded yet.

    Raises:
        StoreError: It is of another model, or of another source that still exists.
    """
    reference, place = absolute(model), str(Path(source).resolve())
    if (Path(out) / MANIFEST_NAME).exists():
        store = Store.open(out)
        other = store.extra_facts.get("folder", place)
        if other != place and Path(other).exists():
            raise errors.StoreError(
                f"the index {out} is of {other}; {place} was given",
                hint="one index a folder: give another --out",
            )
        if store.extra_facts.get("model") == reference and _may_be(store, reference):
            places.follow(store, reference, folder=Path(place), space_id=None)
            return store, LaterTower(store.facts, reference)
    tower = SpaceTower(load_side(model, "content"))
    there = (Path(out) / MANIFEST_NAME).exists()
    store = Store.open_or_create(
        out,
        embed.facts_of(tower),
        extra_columns=None if there else index_columns(),
        extra_facts=places.noted(reference, out=out, folder=Path(place), space_id=tower.space_id),
    )
    if there:
        places.follow(store, reference, folder=Path(place), space_id=tower.space_id)
    return store, tower


class LaterTower:
    """The tower of an index that exists, loaded when something is to be encoded.

    Args:
        facts: Of the index.
        model: Reference of its model.
    """

    uses_language = False

    def __init__(self, facts: StoreFacts, model: str) -> None:
        self.modality: Modality = facts.modality
        self.dim, self.space_id, self.fingerprint = facts.dim, facts.space_id, facts.fingerprint
        self._facts, self._model = facts, model
        self._loaded: SpaceTower | None = None
        self._loading = threading.Lock()

    @property
    def encodes_in_threads(self) -> bool:
        """As the tower's, which is loaded for it."""
        return self._tower().encodes_in_threads

    def preprocess(self, image: Any) -> Any:
        """As the tower does it; in the threads that read, so that bad files alone load nothing."""
        return self._tower().preprocess(image)

    def encode(
        self,
        items: Sequence[Any],
        *,
        languages: Sequence[str] | None = None,
        output: Output = "embedding",
    ) -> Vectors:
        """Encode items to float32 (N, D), unit."""
        return self._tower().encode(items, languages=languages, output=output)

    def _tower(self) -> SpaceTower:
        """The tower, checked against the index.

        Raises:
            StoreError: The model of that name is another one by now.
        """
        with self._loading:
            if self._loaded is None:
                try:
                    loaded = SpaceTower(load_side(self._model, "content"))
                except (errors.InputError, ValueError) as error:
                    # It must not pass for a picture that cannot be read.
                    raise errors.StoreError(
                        f"the model {self._model} cannot be loaded: {error}", hint="check it"
                    ) from error
                if embed.facts_of(loaded) != self._facts:
                    raise errors.StoreError(
                        f"the model {self._model} is not the one that the index was made with",
                        hint="give another --out for it",
                    )
                self._loaded = loaded
            return self._loaded


class _Look:
    """Makes the thumbnail of each file, and says what the index's columns hold of it."""

    def __init__(self, index: Path, describe: Describe, *, thumbnails: bool) -> None:
        self._index, self._describe, self._thumbnails = index, describe, thumbnails

    def __call__(
        self, file: ImageFile, *, data: bytes, photo: Photo | None, key: str
    ) -> Mapping[str, Any]:
        if photo is not None and self._thumbnails:
            thumbnail_files.write(self._index, key, photo.image)
        return {**looked_at(file, data=data, photo=photo), **self._describe(file)}


def absolute(model: str) -> str:
    """A model folder by its full path, so that the index is found from anywhere."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def _may_be(store: Store, model: str) -> bool:
    """Whether a model folder says that it is of the index's space; others say nothing."""
    manifest = Path(model) / MODEL_FILE
    return not manifest.is_file() or files.read_json(manifest).get("space_id") == (
        store.facts.space_id
    )


def _gone_rows(
    table: Mapping[str, list[str]], found: Gathered, *, present: Collection[str]
) -> dict[str, str]:
    """Rows of files below the root that are not there any more: id to content key."""
    root = os.path.abspath(found.root)
    below = root + os.sep
    return {
        identity: key
        for identity, key, path in zip(table["id"], table["key"], table["path"], strict=True)
        if identity not in present
        and (path == root or path.startswith(below))
        and not found.may_be_there(identity)
    }


def _moved_rows(store: Store, gone: Mapping[str, str], *, known: Collection[str]) -> dict[str, str]:
    """Of the rows that are gone, those whose content came under another id in this run."""
    table = store.columns(["id", "key"])
    arrived: dict[str, list[str]] = {}
    for identity, key in zip(table["id"], table["key"], strict=True):
        if identity not in known:
            arrived.setdefault(key, []).append(identity)
    return {old: arrived[key].pop(0) for old, key in gone.items() if arrived.get(key)}


def _require_unchanged_place(source: Path, before: os.stat_result | None) -> None:
    """Nothing is concluded from files that are gone if their root is gone, or another."""
    try:
        same = before is not None and os.path.samestat(before, os.stat(source))
        if same and source.is_dir():
            os.listdir(source)
    except OSError:
        same = False
    if not same:
        raise errors.InputError(
            f"{source} went away while it was indexed; no row was removed",
            hint="run this again when it is there",
        )


def _drop_thumbnails(store: Store, *, keys_before: Collection[str]) -> None:
    """Remove thumbnails if content is gone that was there."""
    if (store.path / thumbnail_files.FOLDER).is_dir():
        keys = set(store.keys())
        if not keys.issuperset(keys_before):
            thumbnail_files.sweep(store.path, keys)
