"""Folder walks: the items and tars of all subfolders, and all else with reasons.

Nothing in a folder stops the walk: what cannot be listed, links that lead nowhere or round in
circles, pipes (which would be waited for), folders deeper than a path can be long. What is inside
a file decides its format, where its name does not already say one that is read.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from polyglance import errors
from polyglance.records import MediaFile, Modality, Quarantined
from polyglance.sources import formats
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why, summary

# Folders that a system, a disk station or a disk keeps for itself, in lower case.
SYSTEM_FOLDERS = frozenset(
    (
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "thumbs"),
        *("$recycle.bin", "recycler", "recycle bin", "system volume information", "found.000"),
        *("lost+found", "lost.dir", "__macosx", "network trash folder", "temporary items"),
    )
)
# The manifests of our own folders, and the kinds that they name; a store is known by its table,
# too, so that a damaged manifest gives no thumbnail away.
OUR_MANIFESTS = {"store.json": "store", "pack.json": "language-pack", "model.json": "dual-encoder"}
OUR_TABLE = "vectors.lance"
# What an index that lies in the very folder of its items has there.
OUR_ENTRIES = frozenset((OUR_TABLE, "store.json", "store.lock", "quarantine.jsonl"))
OUR_THUMBNAIL = re.compile(r"thumbnails/[0-9a-f]{2}/[0-9a-f]{30}\.jpg")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a walk through a folder found.

    Attributes:
        items: Those that can be read here, sorted by id; ids are distinct.
        tars: Plain tars, sorted by id, which is their path inside.
        skipped: What was left out by a rule, and by which.
        unlisted: Folders inside that could not be listed, by path inside, and why.
    """

    items: tuple[MediaFile, ...] = ()
    tars: tuple[MediaFile, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    unlisted: tuple[Quarantined, ...] = ()


def find_media(folder: Path, modality: Modality) -> list[MediaFile]:
    """The items of a folder and its subfolders, sorted by id; see `survey_folder`.

    Args:
        folder: Where to look.
        modality: What for.

    Returns:
        Items whose id is their path inside the folder, with forward slashes.

    Raises:
        InputError: No such folder, one inside that cannot be listed, or no item.
    """
    return find_and_survey(folder, modality)[0]


def find_and_survey(
    folder: Path, modality: Modality
) -> tuple[list[MediaFile], tuple[Skipped, ...]]:
    """As `find_media`, with what was left out; refuses the same."""
    found = survey_folder(folder, modality)
    for name in found.unlisted:
        raise _unlisted(Path(folder) / name.id, name.reason)
    if not found.items:
        raise nothing_found(folder, found.skipped, modality)
    return list(found.items), found.skipped


def survey_folder(folder: Path, modality: Modality, *, exclude: Sequence[str] = ()) -> Survey:
    """Walk through a folder and its subfolders, and say what was left out, too.

    Links to folders are not followed, nor links to files outside the folder. Hidden files and
    folders (a leading dot, as in the `._photo.jpg` of a Mac's archive), folders that a system keeps
    for itself, and our own are passed over. A folder inside that vanishes meanwhile is as one that
    was gone before.

    Args:
        folder: Where to look.
        modality: What for.
        exclude: Patterns of what is left out, see `patterns`.

    Raises:
        InputError: No such folder, or it cannot be listed.
    """
    root = os.fspath(folder)
    if not os.path.isdir(root):
        raise errors.InputError(
            f"{root} is not a folder; a folder of {formats.FORMATS[modality].noun}s is wanted",
            hint="check the path",
        )
    walk = _Walk(root, Patterns(exclude), modality)
    walk.run()
    items, clashes = _distinct(walk.items)
    return Survey(
        items=tuple(items),
        tars=tuple(sorted(walk.tars, key=_by_id)),
        skipped=tuple(sorted(walk.skipped + clashes, key=_by_id)),
        unlisted=tuple(walk.unlisted),
    )


def why_by_name(name: str, *, is_folder: bool) -> Why | None:
    """The reason to leave something out for its name alone, as a hidden or a system's folder is."""
    if name.startswith("."):
        return Why.HIDDEN
    return Why.SYSTEM if is_folder and name.lower() in SYSTEM_FOLDERS else None


def nothing_found(
    place: Path, skipped: Sequence[Skipped], modality: Modality, *, wanted: str = ""
) -> errors.InputError:
    """The error for a place where nothing can be read; names what there is instead."""
    noun = formats.FORMATS[modality].noun
    said = summary(skipped)
    instead = f"; left out: {'; '.join(said)}" if said else ""
    hint = f"give the folder that holds the {noun}s"
    if any(one.why is Why.ARCHIVE for one in skipped):
        hint = "unpack the archives; gunzip FILE makes a .tar, which is read, of a .tar.gz"
    elif any(one.why is Why.HEIC for one in skipped):
        hint = formats.HEIC_INSTALL
    return errors.InputError(
        f"there is no {wanted or noun} in {place}{instead}; files with these suffixes count: "
        f"{' '.join(sorted(formats.readable_suffixes(modality)))}",
        hint=hint,
    )


def _by_id(item: MediaFile | Skipped) -> str:
    return item.id


def valid_name(name: str) -> str:
    """A name as valid text; bytes that are not UTF-8 are escaped with a backslash."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name


class _Walk:
    """A walk in progress: paths and ids go along together, so that none is computed anew."""

    def __init__(self, root: str, exclude: Patterns, modality: Modality) -> None:
        self.root, self.exclude, self.modality = root, exclude, modality
        self.real_root = os.path.realpath(root)
        self.readable = formats.readable_suffixes(modality)
        self.root_is_ours = False
        self.items: list[MediaFile] = []
        self.tars: list[MediaFile] = []
        self.skipped: list[Skipped] = []
        self.unlisted: list[Quarantined] = []

    def run(self) -> None:
        """Walk; not by recursion, which nested folders would exhaust."""
        waiting = [(self.root, "")]
        while waiting:
            folder, inside = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = list(entries)
            except OSError as error:
                reason = f"the folder cannot be listed: {error.strerror or error}"
                if not inside:
                    raise _unlisted(Path(folder), reason) from error
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    self.unlisted.append(Quarantined(inside.rstrip("/"), reason))
                continue
            if _is_ours(folder, listed):
                if inside:
                    self.skipped.append(Skipped(inside, Why.OURS))
                    continue
                self.root_is_ours = True
            waiting.extend(self._enter(listed, inside))

    def _enter(self, listed: Sequence[os.DirEntry[str]], inside: str) -> Iterator[tuple[str, str]]:
        """Note the files of a folder; gives the folders in it that are to be entered."""
        for entry in listed:
            identity = inside + valid_name(entry.name)
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                why = self._why_not(entry.name, identity, is_folder=is_folder)
                if why is not None:
                    self.skipped.append(Skipped(identity + "/" * is_folder, why))
                elif is_folder:
                    yield entry.path, identity + "/"
                else:
                    self._look_at(entry, identity)
            except OSError as error:  # it vanished, or the disk fails
                self.unlisted.append(Quarantined(identity, error.strerror or str(error)))

    def _why_not(self, name: str, identity: str, *, is_folder: bool) -> Why | None:
        """The reason to leave out what is called so."""
        if self.root_is_ours and (identity in OUR_ENTRIES or OUR_THUMBNAIL.fullmatch(identity)):
            return Why.OURS
        if self.exclude.match(identity):
            return Why.EXCLUDED
        return why_by_name(name, is_folder=is_folder)

    def _look_at(self, entry: os.DirEntry[str], identity: str) -> None:
        """Note a file, or a link."""
        why = self._why_not_a_file(entry)
        suffix = os.path.splitext(entry.name)[1].lower()
        file = MediaFile(identity, Path(entry.path), modality=self.modality)
        if why is None and suffix == formats.TAR_SUFFIX:
            self.tars.append(file)
            return
        if why is None and suffix not in self.readable:
            why = formats.why_by_content(suffix, self.modality, partial(_head_of, entry.path))
        if why is None:
            self.items.append(file)
        else:
            self.skipped.append(Skipped(identity, why))

    def _why_not_a_file(self, entry: os.DirEntry[str]) -> Why | None:
        """The reason to leave out what is no file inside the folder."""
        if not entry.is_symlink():
            return None if entry.is_file(follow_symlinks=False) else Why.SPECIAL
        try:
            mode = os.stat(entry.path).st_mode
        except OSError:
            return Why.LINK_BROKEN
        if stat.S_ISDIR(mode):
            return Why.LINKED_FOLDER
        if not stat.S_ISREG(mode):
            return Why.SPECIAL
        return None if _is_inside(entry.path, self.real_root) else Why.LINK_OUT


def _is_inside(path: str, real_root: str) -> bool:
    return os.path.realpath(path).startswith(os.path.join(real_root, ""))


def _is_ours(folder: str, listed: Sequence[os.DirEntry[str]]) -> bool:
    """Whether a manifest says that a folder is an index, a store, a pack or a model of ours."""
    for entry in listed:
        if entry.name == OUR_TABLE and entry.is_dir(follow_symlinks=False):
            return True
        if entry.name in OUR_MANIFESTS and entry.is_file(follow_symlinks=False):
            try:
                said = json.loads(Path(folder, entry.name).read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(said, dict) and said.get("kind") == OUR_MANIFESTS[entry.name]:
                return True
    return False


def _head_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(formats.HEAD_BYTES)
    except OSError:
        return b""


def _distinct(items: Sequence[MediaFile]) -> tuple[list[MediaFile], list[Skipped]]:
    """Items by id: of two under one, the file whose name is really that one stays."""
    by_id: dict[str, MediaFile] = {}
    clashes = []
    for item in sorted(items, key=lambda one: (one.id, "\\" in one.id and _is_escaped(one))):
        if by_id.setdefault(item.id, item) is not item:
            clashes.append(Skipped(item.id, Why.CLASH, "its name is not valid UTF-8"))
    return list(by_id.values()), clashes


def _is_escaped(item: MediaFile) -> bool:
    path = os.fspath(item.path)
    return valid_name(path) != path


def _unlisted(folder: Path, reason: str) -> errors.InputError:
    return errors.InputError(
        f"{folder}: {reason}",
        hint="give yourself the right to read it, or move it out of the way",
    )
