"""Verification and repair of an index: manifest, table, columns of packs, thumbnails, places.

Everything is read: checksums of all files, each row's vector and key, each thumbnail. With
`repair`, what is wrong is mended as `storage.repair` says, and what nothing needs is removed; with
`model`, the new place of a model that was moved is noted.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.model import dual_encoder, shipped
from polyglance.model.shipped import absolute
from polyglance.search import pack_columns, relocation, thumbnails
from polyglance.storage import atomic, identity, locks, versions
from polyglance.storage import repair as table_repair
from polyglance.storage.identity import LOCK_NAME, MANIFEST_NAME
from polyglance.storage.repair import Finding
from polyglance.storage.store import Store

# A thumbnail, or what a killed run left of one; older ones did not say their key.
THUMBNAIL = re.compile(
    r"[0-9a-f]{2}/(?:[0-9a-f]{30}\.jpg|\.(?:[0-9a-f]{30}-)?[0-9a-f]{16}\.making)"
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        num_rows: Rows of the index, as it is now.
        findings: What is wrong, or was.
    """

    num_rows: int
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether answers are right as it is now."""
        return all(one.mended or one.harmless for one in self.findings)


def check(index: Path, *, repair: bool = False, new_model: str | None = None) -> Report:
    """Read an index in full.

    Args:
        index: Its folder.
        repair: Whether what is wrong is mended.
        new_model: Where its model is by now; noted if that is of its space.

    Raises:
        UnavailableError: There is no index.
        StoreError: Nothing is left to mend, or another process is writing.
        SpaceMismatchError: `new_model` is of another space.
    """
    index = Path(index)
    found: list[Finding] = []
    _require_there(index)
    # Looking writes nothing, not even a lock: the disk may allow reading alone.
    lock = locks.FolderLock(index / LOCK_NAME, owner=f"the index {index}")
    with atomic.disk_errors(f"the index {index}"), lock.hold() if repair else nullcontext():
        if another := _another_table(index):
            # Nothing of it is touched: it may be the only copy that its owner has.
            return Report(num_rows=0, findings=(another,))
        found += _manifest(index, repair=repair)
        found += table_repair.examine(index, repair=repair, unit=_is_index(index))
        found += _columns(index, repair=repair)
    if any(not one.mended and not one.harmless for one in found):
        return Report(num_rows=0, findings=tuple(found))
    store = Store.open(index)
    if relocation.MODEL not in store.extra_facts:  # a store of `embed`, or of a cache
        return Report(num_rows=len(store), findings=tuple(found))
    if new_model is not None:
        _note_model(store, new_model)
        store = Store.open(index)
    found += _places(store)
    found += _thumbnails(store, repair=repair)
    return Report(num_rows=len(store), findings=tuple(found))


def _require_there(index: Path) -> None:
    if not (index / identity.TABLE_NAME).is_dir():
        raise errors.UnavailableError(
            f"there is no index at {index} (no {identity.TABLE_NAME} in it)",
            hint="check the path; polyglance index makes one",
        )


def _is_index(index: Path) -> bool:
    """Whether the vectors must have length one; of what does not say, yes."""
    try:
        return relocation.MODEL in identity.read(index / MANIFEST_NAME).facts
    except errors.PolyglanceError:
        return True


def _another_table(store: Path) -> Finding | None:
    """That the table is another store's, which nothing mends; None where that is not known."""
    folder = store / identity.TABLE_NAME
    try:
        table_id = identity.read(store / MANIFEST_NAME).table_id
        table = versions.open_version(store, folder)
    except errors.PolyglanceError:
        return None  # a damage, which is told as one
    try:
        identity.require_same_table(table, table_id, store=store)
    except errors.StoreError as error:
        return Finding(f"{error.message}; {error.hint}", mendable=False)
    return None


def _manifest(index: Path, *, repair: bool) -> list[Finding]:
    """The manifest, which the table holds as well."""
    try:
        identity.read(index / MANIFEST_NAME)
    except errors.PolyglanceError as error:
        if not repair:
            return [Finding(f"{error.message}; the table says the same")]
        content = identity.noted_in(index / identity.TABLE_NAME)
        identity.write(index / MANIFEST_NAME, content)
        return [Finding(f"{error.message}; taken from the table", mended=True)]
    return []


def _columns(index: Path, *, repair: bool) -> list[Finding]:
    """Columns of packs: what is wrong with one is mended by making it again."""
    found = []
    for path in sorted((index / pack_columns.FOLDER).glob("*")):
        if not (path / identity.TABLE_NAME).is_dir():
            continue
        try:
            identity.read(path / MANIFEST_NAME)
            if another := _another_table(path):
                said = f"the column {path.name} of a pack: {another.said}"
                found.append(Finding(said, mendable=False))
                continue
            wrong = table_repair.examine(path, repair=False, unit=True)
        except errors.PolyglanceError as error:
            wrong = [Finding(error.message)]
        bad = [one for one in wrong if not one.harmless]
        if bad:
            if repair:
                shutil.rmtree(path)
            said = f"the column {path.name} of a pack: {bad[0].said}; its next search makes it anew"
            found.append(Finding(said, mended=repair))
    return found


def _note_model(store: Store, new_model: str) -> None:
    """Note where the model is, if it is the index's.

    Raises:
        SpaceMismatchError: It is another one.
    """
    reference, wanted = absolute(new_model), relocation.model_space(store)
    folder = shipped.folder_of(reference)
    if (folder / dual_encoder.MODEL_FILE).is_file():
        dual_encoder.require_space(
            reference, dual_encoder.read_facts(folder).space_id, wanted=wanted
        )
    else:
        dual_encoder.load_side(reference, "content", space_id=wanted)
    indexed = Path(str(store.extra_facts.get(relocation.FOLDER, "")))
    relocation.follow(store, reference, folder=indexed, space_id=wanted)


def _places(store: Store) -> list[Finding]:
    """The model and the images, where they are noted to be."""
    found = []
    try:
        reference = relocation.model_of(store)
        home = shipped.folder_of(reference)
        if (home / dual_encoder.MODEL_FILE).is_file():
            space_id = dual_encoder.read_facts(home).space_id
            dual_encoder.require_space(reference, space_id, wanted=relocation.model_space(store))
        if reference != store.extra_facts.get(relocation.MODEL):
            said = f"the model was moved to {reference}; --model {reference} notes it"
            found.append(Finding(said, harmless=True))
    except errors.PolyglanceError as error:
        found.append(Finding(f"{error.message} ({error.hint})", mendable=False))
    folder = store.extra_facts.get(relocation.FOLDER)
    if folder and not Path(str(folder)).exists():
        said = (
            f"what was indexed, {folder}, is not there: search goes on, images cannot be shown; "
            f"polyglance index NEW-FOLDER --model MODEL --out {store.path} follows them"
        )
        found.append(Finding(said, harmless=True))
    return found


def _thumbnails(store: Store, *, repair: bool) -> list[Finding]:
    """Thumbnails that no row has or that are damaged; only files with our names ever go."""
    root = store.path / thumbnails.FOLDER
    if root.is_symlink() or not root.is_dir():
        return []
    keys = set(store.keys())
    wanted = {thumbnails.place_of(store.path, key) for key in keys}
    ours = [
        path
        for path in root.glob("*/*")
        if THUMBNAIL.fullmatch(path.relative_to(root).as_posix()) and not path.parent.is_symlink()
    ]
    left = [path for path in ours if path not in wanted]
    damaged = [path for path in ours if path in wanted and thumbnails.read(path) is None]
    _remove([*left, *damaged], repair=repair)
    return [
        Finding(f"{len(paths):,} thumbnails {said}", mended=repair, harmless=True)
        for paths, said in (
            (left, "of content that no row has"),
            (damaged, "are damaged; they are made again when they are asked for"),
        )
        if paths
    ]


def _remove(paths: Sequence[Path], *, repair: bool) -> None:
    if repair:
        for path in paths:
            path.unlink(missing_ok=True)
