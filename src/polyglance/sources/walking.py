"""Folder walks: the images and tars of all subfolders, and all else with reasons.

Nothing in a folder stops the walk: what cannot be listed, links that lead nowhere or round in
circles, pipes (which would be waited for), folders deeper than a path can be long. What is inside
a file decides its format, where its name does not already say one that is read.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from polyglance import errors
from polyglance.records import ImageFile, Quarantined
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why, summary

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
OTHER_SUFFIXES = (
    *(".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs"),
)
SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES)
# What phones write; read by the package of the extra `heic`.
HEIC_SUFFIXES = frozenset((".heic", ".heics", ".heif", ".hif"))
HEIC_PACKAGE = "pillow_heif"
HEIC_INSTALL = "pip install 'polyglance[heic]'"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEAD_BYTES = 64
# How files begin that are read whatever they are called. TIFF is not among them: raw photos begin
# as TIFF does, and hold a small preview there.
HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
RAW_TEXT = (
    ".3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 "
    ".kdc .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
UNREAD_TEXT = (
    ".ai .bpg .cdr .clip .cur .dcm .dcx .dds .dib .djvu .emf .eps .exr .fit .fits .flif .hdp .hdr "
    ".icb .icns .ico .insp .j2c .j2k .jfi .jif .jp2 .jpc .jpf .jpm .jps .jpx .jxl .jxr .kra .ora "
    ".pcd .pcx .pfm .psb .psd .qoi .ras .rgb .sgi .svg .svgz .tga .vda .vst .wdp .wmf .xbm .xcf "
    ".xpm"
)
FORMAT_SUFFIXES = frozenset((RAW_TEXT + " " + UNREAD_TEXT).split())
VIDEO_TEXT = (
    ".3g2 .3gp .asf .avi .flv .insv .lrv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .r3d .vob "
    ".webm .wmv"
)
ARCHIVE_TEXT = ".7z .bz2 .cbr .cbz .gz .lz4 .rar .tbz2 .tgz .txz .tzst .xz .zip .zst"
VIDEO_SUFFIXES = frozenset(VIDEO_TEXT.split())
ARCHIVE_SUFFIXES = frozenset(ARCHIVE_TEXT.split())
TAR_SUFFIX = ".tar"
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
# What an index that lies in the very folder of the images has there.
OUR_ENTRIES = frozenset((OUR_TABLE, "store.json", "store.lock", "quarantine.jsonl"))
OUR_THUMBNAIL = re.compile(r"thumbnails/[0-9a-f]{2}/[0-9a-f]{30}\.jpg")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a walk through a folder found.

    Attributes:
        images: Those that can be read here, sorted by id; ids are distinct.
        tars: Plain tars, sorted by id, which is their path inside.
        skipped: What was left out by a rule, and by which.
        unlisted: Folders inside that could not be listed, by path inside, and why.
    """

    images: tuple[ImageFile, ...] = ()
    tars: tuple[ImageFile, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    unlisted: tuple[Quarantined, ...] = ()


def find_images(folder: Path) -> list[ImageFile]:
    """The images of a folder and its subfolders, sorted by id; see `survey_folder`.

    Args:
        folder: Where to look.

    Returns:
        Images whose id is their path inside the folder, with forward slashes.

    Raises:
        InputError: No such folder, one inside that cannot be listed, or no image.
    """
    return find_and_survey(folder)[0]


def find_and_survey(folder: Path) -> tuple[list[ImageFile], tuple[Skipped, ...]]:
    """As `find_images`, with what was left out; refuses the same."""
    found = survey_folder(folder)
    for name in found.unlisted:
        raise _unlisted(Path(folder) / name.id, name.reason)
    if not found.images:
        raise no_image(folder, found.skipped)
    return list(found.images), found.skipped


def survey_folder(folder: Path, *, exclude: Sequence[str] = ()) -> Survey:
    """Walk through a folder and its subfolders, and say what was left out, too.

    Links to folders are not followed, nor links to files outside the folder. Hidden files and
    folders (a leading dot, as in the `._photo.jpg` of a Mac's archive), folders that a system keeps
    for itself, and our own are passed over. A folder inside that vanishes meanwhile is as one that
    was gone before.

    Args:
        folder: Where to look.
        exclude: Patterns of what is left out, see `patterns`.

    Raises:
        InputError: No such folder, or it cannot be listed.
    """
    root = os.fspath(folder)
    if not os.path.isdir(root):
        raise errors.InputError(
            f"{root} is not a folder; a folder of images is wanted", hint="check the path"
        )
    walk = _Walk(root, Patterns(exclude))
    walk.run()
    images, clashes = _distinct(walk.images)
    return Survey(
        images=tuple(images),
        tars=tuple(sorted(walk.tars, key=_by_id)),
        skipped=tuple(sorted(walk.skipped + clashes, key=_by_id)),
        unlisted=tuple(walk.unlisted),
    )


@cache
def readable_suffixes() -> frozenset[str]:
    """Suffixes of the images that can be read here: with the extra `heic`, its own as well."""
    found = importlib.util.find_spec(HEIC_PACKAGE) is not None
    return SUFFIXES | HEIC_SUFFIXES if found else SUFFIXES


def is_heic(head: bytes) -> bool:
    """Whether a file that begins so is HEIC.

    Args:
        head: Its first bytes, `HEAD_BYTES` or more.
    """
    # mif1 may be either; an AVIF of that brand says avif further on.
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS and b"avif" not in head


def kind_of(suffix: str) -> Why | None:
    """The reason to leave a file of this suffix out; None for an image that is read.

    Args:
        suffix: In lower case, with its dot.
    """
    if suffix in readable_suffixes():
        return None
    for suffixes, why in (
        (HEIC_SUFFIXES, Why.HEIC),
        (VIDEO_SUFFIXES, Why.VIDEO),
        (FORMAT_SUFFIXES, Why.FORMAT),
        (ARCHIVE_SUFFIXES, Why.ARCHIVE),
    ):
        if suffix in suffixes:
            return why
    return Why.OTHER


def why_by_name(name: str, *, is_folder: bool) -> Why | None:
    """The reason to leave something out for its name alone, as a hidden or a system's folder is."""
    if name.startswith("."):
        return Why.HIDDEN
    return Why.SYSTEM if is_folder and name.lower() in SYSTEM_FOLDERS else None


def no_image(
    place: Path, skipped: Sequence[Skipped], *, wanted: str = "image"
) -> errors.InputError:
    """The error for a place where nothing can be read; names what there is instead."""
    said = summary(skipped)
    instead = f"; left out: {'; '.join(said)}" if said else ""
    hint = "give the folder that holds the images"
    if any(one.why is Why.ARCHIVE for one in skipped):
        hint = "unpack the archives; gunzip FILE makes a .tar, which is read, of a .tar.gz"
    elif any(one.why is Why.HEIC for one in skipped):
        hint = HEIC_INSTALL
    return errors.InputError(
        f"there is no {wanted} in {place}{instead}; files with these suffixes count: "
        f"{' '.join(sorted(readable_suffixes()))}",
        hint=hint,
    )


def _by_id(item: ImageFile | Skipped) -> str:
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

    def __init__(self, root: str, exclude: Patterns) -> None:
        self.root, self.exclude = root, exclude
        self.real_root = os.path.realpath(root)
        self.readable = readable_suffixes()
        self.root_is_ours = False
        self.images: list[ImageFile] = []
        self.tars: list[ImageFile] = []
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
        if why is None and suffix == TAR_SUFFIX:
            self.tars.append(ImageFile(identity, Path(entry.path)))
            return
        if why is None and suffix not in self.readable:
            why = why_by_content(suffix, partial(_head_of, entry.path))
        if why is None:
            self.images.append(ImageFile(identity, Path(entry.path)))
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


def why_by_content(suffix: str, read_head: Callable[[], bytes]) -> Why | None:
    """The reason to leave a file out; its head decides where its name does not say it.

    Args:
        suffix: In lower case, with its dot; empty where there is none.
        read_head: Gives its first `HEAD_BYTES` bytes.
    """
    why = kind_of(suffix)
    if suffix and why not in (Why.HEIC, Why.FORMAT):
        return why
    head = read_head()
    if head.startswith(HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return None
    if is_heic(head):
        return None if readable_suffixes() >= HEIC_SUFFIXES else Why.HEIC
    # A damaged file of that name is named as such when it is read.
    return None if why is Why.HEIC else why


def _head_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _distinct(images: Sequence[ImageFile]) -> tuple[list[ImageFile], list[Skipped]]:
    """Images by id: of two under one, the file whose name is really that one stays."""
    by_id: dict[str, ImageFile] = {}
    clashes = []
    for image in sorted(images, key=lambda one: (one.id, "\\" in one.id and _is_escaped(one))):
        if by_id.setdefault(image.id, image) is not image:
            clashes.append(Skipped(image.id, Why.CLASH, "its name is not valid UTF-8"))
    return list(by_id.values()), clashes


def _is_escaped(image: ImageFile) -> bool:
    path = os.fspath(image.path)
    return valid_name(path) != path


def _unlisted(folder: Path, reason: str) -> errors.InputError:
    return errors.InputError(
        f"{folder}: {reason}",
        hint="give yourself the right to read it, or move it out of the way",
    )
