"""Indexing of a folder: encode what is new, rename, remove, report.

A file whose path, size and time are known is not opened. One whose content is known is not encoded:
under a new path beside the old one it is a copy, in place of the old one it was moved. A row whose
file was deleted leaves the index (`removal`). The towers, and torch, are loaded only when there
is something to encode.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.encoding import media, runs
from polyglance.model import dual_encoder, shipped
from polyglance.model.dual_encoder import MODEL_FILE, load_side
from polyglance.model.shipped import absolute
from polyglance.model.side import SpaceTower
from polyglance.records import Decoded, Languages, MediaFile, Output, Quarantined
from polyglance.search import import_vectors, relocation, removal, source_identity, vector_index
from polyglance.search import thumbnails as thumbnail_files
from polyglance.search.metadata import index_columns, looked_at, require_columns
from polyglance.search.removal import Leaving, Policy
from polyglance.search.scan import gather
from polyglance.search.scan_result import Describe, Gathered
from polyglance.sources.patterns import Idle
from polyglance.sources.skipped import Skipped
from polyglance.storage import atomic
from polyglance.storage.ann_index import IndexFacts
from polyglance.storage.identity import MANIFEST_NAME, StoreFacts
from polyglance.storage.store import Store
from polyglance.towers.base import Tower
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What one run did.

    Attributes:
        new: Rows added, or replaced since their content had changed.
        known: Items whose row was there already.
        moved: Old and new id of what was found under another path.
        removed: Ids of the rows whose file, or whose vector in the source, is gone.
        left_out: Ids of the rows that left since their file is left out by choice now.
        missing: Ids of the rows whose file is gone and that were kept since that was asked for.
        absent: Ids of the rows that were kept since their folder is gone or empty, or since more
            would go than may; see `removal`.
        quarantined: What was set aside, and why.
        remarks: What is damaged beside items that are indexed, as their captions.
        skipped: What was left out by a rule, and by which.
        num_tars: Tars that were looked into.
        num_in_tars: Images found in them.
        idle: The patterns that left nothing out.
        kind: What the source holds: images, sounds or vectors.
        num_rows: Rows of the index after the run.
        vector_index: What was built of the vector index, and how well it finds; None where nothing
            had to be.
    """

    new: int
    known: int
    moved: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    remarks: tuple[Quarantined, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    num_tars: int = 0
    num_in_tars: int = 0
    idle: tuple[Idle, ...] = ()
    kind: str = "images"
    num_rows: int = 0
    vector_index: IndexFacts | None = None

    def require_rows(self, source: Path) -> None:
        """Refuse a run that read nothing of what there is, and left an index without a row.

        Raises:
            InputError: All was set aside.
        """
        if self.quarantined and not self.num_rows:
            raise errors.InputError(
                f"none of the {len(self.quarantined):,} {self.kind} of {source} could be read; the "
                "index is empty",
                hint="its quarantine.jsonl has the reasons; mend the files, or give others",
            )


def build(
    source: Path,
    *,
    model: str,
    out: Path,
    exclude: Sequence[str] = (),
    policy: Policy = Policy(),  # noqa: B008 - frozen
    thumbnails: bool = True,
    space: str | None = None,
    num_threads: int | None = None,
) -> IndexReport:
    """Index images or sounds, or bring their index up to date, with its vector index; resumes.

    Args:
        source: A folder, a tar or a folder of tars, or a parquet of downloads, see `scan`; or
            a folder of vectors, see `import_vectors`.
        model: Reference of a dual encoder.
        out: Folder of the index, made or brought up to date.
        exclude: Patterns of what is left out, see `patterns.Patterns`.
        policy: Which rows may leave.
        thumbnails: Whether thumbnails are made on the way.
        space: In which space vectors lie that are given; what is encoded lies in the
            model's.
        num_threads: Threads that decode while the tower encodes, and batches that it may encode at
            once; None for one a core.

    Returns:
        What was new, known, moved, removed, set aside and left out. Where nothing could be read,
        too: `IndexReport.require_rows` refuses that.

    Raises:
        InputError: There is no item, or the source went away meanwhile; no row is removed then.
        StoreError: An index of another model or source, or one that another process is writing.
        DiskFullError: No room; what was appended stays.
    """
    vectors = import_vectors.holds_vectors(source)
    _require_fitting(source, exclude=exclude, space=space, vectors=vectors)
    if vectors:
        report = _of_vectors(source, model=model, out=out, policy=policy, space=space)
    else:
        report = _of_items(
            source,
            model=model,
            out=out,
            exclude=exclude,
            policy=policy,
            thumbnails=thumbnails,
            num_threads=num_threads or max(2, os.cpu_count() or 2),
        )
    facts = vector_index.bring_up_to_date(
        Store.open(out), text_side=lambda: dual_encoder.load_side(absolute(model), "text")
    )
    return replace(report, vector_index=facts)


def _require_fitting(
    source: Path, *, exclude: Sequence[str], space: str | None, vectors: bool
) -> None:
    """Refuse patterns where vectors are indexed, and a space where items are encoded."""
    if vectors and exclude:
        raise errors.ConfigError(
            f"what is to be left out was given ({', '.join(exclude)}), and {source} holds "
            "vectors: all of them are taken",
            hint="leave --exclude out, or write vectors.npy without those rows",
        )
    if space is not None and not vectors:
        raise errors.ConfigError(
            f"a space was given ({space}), and {source} holds no vectors",
            hint="leave --space out: items are encoded into the space of --model",
        )


def _of_items(
    source: Path,
    *,
    model: str,
    out: Path,
    exclude: Sequence[str],
    policy: Policy,
    thumbnails: bool,
    num_threads: int,
) -> IndexReport:
    """As `build`, of images or sounds."""
    before = source_identity.identity_of(source)
    modality = dual_encoder.modality_of(absolute(model))
    found = gather(source, modality, exclude=exclude, may_be_empty=policy.forget)
    store, tower = open_index(out, model=model, source=source, found=found)
    require_columns(store)
    look = _Look(store.path, found.describe, thumbnails=thumbnails)
    with store.writing():
        store.note_facts()
        relocation.follow(
            store, absolute(model), folder=Path(os.path.realpath(source)), space_id=None
        )
        table = store.columns(["id", "key", "path"])
        report = media.embed_media(
            found.items, tower, store=store, num_threads=num_threads, look=look
        )
        present = {item.id for item in found.items}
        left = removal.decide(store, table, found=found, present=present, policy=policy)
        if left.going or left.absent:
            source_identity.require_unchanged(source, before)
        if left.going:
            store.delete(left.going)
        if left.going or report.new:
            _drop_thumbnails(store, before=set(table["key"]))
        stale = [one.id for one in runs.read_quarantine(store) if one.id not in present]
        runs.set_aside(store, found.set_aside, tried=stale)
    reported = _reported(report, left, found=found, remarks=look.remarks, num_rows=len(store))
    return replace(reported, kind=source_identity.name_of("items", modality))


def _of_vectors(
    source: Path, *, model: str, out: Path, policy: Policy, space: str | None
) -> IndexReport:
    """As `build`, of a folder of vectors."""
    report, left, num_rows = import_vectors.build_vectors(
        source, model=absolute(model), space=space, out=out, policy=policy
    )
    found = Gathered(root=source, items=())
    reported = _reported(report, left, found=found, num_rows=num_rows)
    return replace(reported, kind="vectors")


def _reported(
    report: runs.EmbedReport,
    left: Leaving,
    *,
    found: Gathered,
    num_rows: int,
    remarks: Sequence[Quarantined] = (),
) -> IndexReport:
    return IndexReport(
        new=report.new - len(left.moved),
        known=report.known,
        moved=tuple(left.moved.items()),
        removed=left.removed,
        left_out=left.left_out,
        missing=left.missing,
        absent=left.absent,
        quarantined=(*report.quarantined, *found.set_aside),
        remarks=tuple(sorted(remarks, key=lambda one: one.id)),
        skipped=found.skipped,
        idle=found.idle,
        num_tars=found.num_tars,
        num_in_tars=sum(item.span is not None for item in found.items),
        num_rows=num_rows,
    )


def open_index(
    out: Path, *, model: str, source: Path, found: Gathered
) -> tuple[Store, LazyTower | SpaceTower]:
    """Open an index or make it; of one that exists the model is not loaded yet.

    Raises:
        ConfigError: The model has vectors of items and no encoder.
        StoreError: It is of another model, or of another source.
    """
    reference, place = absolute(model), os.path.realpath(source)
    if (Path(out) / MANIFEST_NAME).exists():
        store = Store.open(out)
        source_identity.require_own(store, place, kind="items", count_in=partial(_count_in, found))
        if store.extra_facts.get("model") == reference and _may_be(store, reference):
            return store, LazyTower(store.facts, reference)
    side = load_side(reference, "content")
    side.tower.require_encoder()
    tower = SpaceTower(side)
    there = (Path(out) / MANIFEST_NAME).exists()
    store = Store.open_or_create(
        out,
        runs.facts_of(tower),
        extra_columns=None if there else index_columns(),
        extra_facts=relocation.noted(
            reference, out=out, folder=Path(place), space_id=tower.space_id
        ),
    )
    return store, tower


def _count_in(found: Gathered, sizes: Mapping[str, int]) -> int:
    """How many of an index's rows are among the items that were found."""
    known = (item for item in found.items if item.id in sizes)
    return sum(_size_of(item) == sizes[item.id] for item in known)


def _size_of(item: MediaFile) -> int | None:
    try:
        return item.span[1] if item.span else os.stat(item.path).st_size
    except OSError:
        return None


class LazyTower(Tower):
    """The tower of an index that exists, loaded when something is to be encoded.

    Args:
        facts: Of the index.
        model: Reference of its model.
    """

    def __init__(self, facts: StoreFacts, model: str) -> None:
        self.modality = facts.modality
        self.dim, self.space_id, self.fingerprint = facts.dim, facts.space_id, facts.fingerprint
        self._facts, self._model = facts, model
        self._loaded: SpaceTower | None = None
        self._loading = threading.Lock()

    @property
    def encodes_in_threads(self) -> bool:
        """As the tower's, which is loaded for it."""
        return self._tower().encodes_in_threads

    def preprocess(self, item: Any) -> Any:
        """As the tower does it; in the threads that read, so that bad files alone load nothing."""
        return self._tower().preprocess(item)

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
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
                    # It must not pass for an item that cannot be read.
                    raise errors.StoreError(
                        f"the model {self._model} cannot be loaded: {error}", hint="check it"
                    ) from error
                if runs.facts_of(loaded) != self._facts:
                    raise errors.StoreError(
                        f"the model {self._model} is not the one that the index was made with",
                        hint="give another --out for it",
                    )
                self._loaded = loaded
            return self._loaded


class _Look:
    """Makes the thumbnail of each file, and says what the index's columns hold of it.

    Attributes:
        remarks: What is damaged beside the items, or could not be written of them.
    """

    def __init__(self, index: Path, describe: Describe, *, thumbnails: bool) -> None:
        self._index, self._describe, self._thumbnails = index, describe, thumbnails
        self.remarks: list[Quarantined] = []

    def __call__(
        self, file: MediaFile, *, data: bytes, decoded: Decoded | None, key: str
    ) -> Mapping[str, Any]:
        def remark(what: str) -> None:
            self.remarks.append(Quarantined(file.id, what))

        if decoded is not None and self._thumbnails:
            try:
                thumbnail_files.write(self._index, key, decoded.item, file.modality)
            except OSError as error:  # it is made when it is asked for
                remark(f"its thumbnail cannot be written: {error.strerror or error}")
        return {**looked_at(file, data=data, decoded=decoded), **self._describe(file, remark)}


def _may_be(store: Store, model: str) -> bool:
    """Whether a model folder says that it is of the index's space; others say nothing."""
    manifest = shipped.folder_of(model) / MODEL_FILE
    return not manifest.is_file() or atomic.read_json(manifest).get("space_id") == (
        store.facts.space_id
    )


def _drop_thumbnails(store: Store, *, before: Collection[str]) -> None:
    """Remove thumbnails if content is gone that was there."""
    if (store.path / thumbnail_files.FOLDER).is_dir():
        now = set(store.keys())
        if not now.issuperset(before):
            thumbnail_files.sweep(store.path, before=before, now=now)
