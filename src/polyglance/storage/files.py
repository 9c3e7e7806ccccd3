"""Atomic files: temporary name, rename, manifest last; locks; a full disk.

A reader sees the old file or the new one, never half of one. A folder is written beside its place
and renamed into it; a folder that grows in place (a store) gets its manifest last, so that a folder
without one is unfinished.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from polyglance import errors
from polyglance.storage import leftovers, manifest_fields, seals
from polyglance.storage.leftovers import is_temporary as is_temporary

T = TypeVar("T")
Marker = str | Callable[[Path], bool] | None

LOCK_POLL_SECONDS = 0.05
MANIFEST_HEAD = ("schema_version", "kind", seals.SEALED, seals.CHECKSUM)
# What a hub calls a repository: owner/name.
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def cache_folder() -> Path:
    """The user's cache folder: the variable `POLYGLANCE_CACHE`, or `~/.cache/polyglance`.

    Raises:
        UnavailableError: Neither the variable nor a home folder says where it is.
    """
    if chosen := os.environ.get("POLYGLANCE_CACHE"):
        return Path(chosen)
    try:
        return Path.home() / ".cache" / "polyglance"
    except RuntimeError as error:
        raise errors.UnavailableError(
            "there is no home folder (HOME is not set), and so no cache folder",
            hint="name one: export POLYGLANCE_CACHE=FOLDER",
        ) from error


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an `OSError` that means "disk full" into a `DiskFullError`; others pass unchanged.

    Lance raises `OSError` without `errno` and has the number in its text only: "LanceError(IO): No
    space left on device (os error 28), ..." (pylance 14.0, seen on a full tmpfs).

    Args:
        what: What was being written, as in "the store /data/index".

    Raises:
        DiskFullError: No room, or quota used up.

    >>> with disk_errors("notes.json"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    polyglance.errors.DiskFullError: no room left on the disk while writing notes.json
      -> free some space and run the same command again; what was committed before is kept
    """
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise errors.DiskFullError(
            f"no room left on the disk while writing {what}",
            hint="free some space and run the same command again; what was committed before "
            "is kept",
        ) from error


def is_disk_full(error: OSError) -> bool:
    """Whether an `OSError` says that the disk or the quota is used up.

    >>> is_disk_full(OSError("LanceError(IO): No space left on device (os error 28), writer.rs"))
    True
    >>> is_disk_full(FileNotFoundError(2, "No such file"))
    False
    """
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return error.errno in numbers or any(f"(os error {number})" in str(error) for number in numbers)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole: under a temporary name in the same folder, synced, renamed.

    Args:
        path: Where; its folder must exist. An existing file is replaced.
        data: The content.

    Raises:
        DiskFullError: No room; the old file stays as it was.
    """
    temporary = beside(path)
    with disk_errors(str(path)):
        try:
            with temporary.open("xb") as file:
                leftovers.lock(file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file that others made, or of a pipe; a device such as `/dev/zero` never ends.

    Raises:
        OSError: It cannot be read, or is a device.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device and not a file", str(path))
    return Path(path).read_bytes()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole, as `write_bytes` does; half a sign (a surrogate) as an escape."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: object) -> None:
    """Write JSON whole: indented, UTF-8, in the order given; NaN is refused with `ValueError`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, whoever wrote it.

    Raises:
        UnavailableError: There is no such file.
        InputError: It is not UTF-8 or not JSON; says the line.
    """
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.UnavailableError(
            f"there is no file {path}", hint="check the path, or make it first"
        ) from error
    except (ValueError, RecursionError) as error:
        raise errors.InputError(
            f"{path} is not UTF-8 JSON: {error}", hint="make the file again, or delete it"
        ) from error


def write_manifest(
    path: Path, content: Mapping[str, Any], *, kind: str, schema_version: int, seal: bool = False
) -> None:
    """Write a manifest, the last file of a folder, with its kind and schema version in front.

    Args:
        path: The manifest file.
        content: What else it says.
        kind: What the folder is: `store`, `pack`, ...
        schema_version: The version of its form, from 1.
        seal: Whether it says the checksums of the other files, which are on the disk for good then.
    """
    said = dict(content)
    if seal:
        said[seals.SEALED] = seals.of_folder(path.parent, manifest=path.name)
    write_json(path, manifest(said, kind=kind, schema_version=schema_version))


def change_manifest(path: Path, changes: Mapping[str, Any]) -> None:
    """Write a manifest of ours anew with some fields changed, over the files that are there now."""
    found = {**read_json(path), **changes}
    if seals.SEALED in found:
        found[seals.SEALED] = seals.of_folder(path.parent, manifest=path.name)
    write_json(path, {**found, seals.CHECKSUM: seals.checksum(found)})


def read_manifest(path: Path, *, kind: str, schema_version: int) -> dict[str, Any]:
    """Read a manifest and refuse what another kind or a newer version wrote, or what has changed.

    Args:
        path: The manifest file.
        kind: The kind expected.
        schema_version: The highest version that can be read.

    Returns:
        What `write_manifest` was given as `content`.

    Raises:
        UnavailableError: There is none: no such folder, or one that was never finished.
        StoreError: Of another kind or version; it or a file beside it is not what was written.
    """
    found = read_json(path)
    content = checked_manifest(found, place=path, kind=kind, schema_version=schema_version)
    seals.require_whole(path.parent, seals.noted_in(found, place=path))
    return content


def read_manifest_as(
    schema: type[T], path: Path, *, kind: str, schema_version: int, hint: str
) -> T:
    """As `read_manifest`, as what a dataclass says it is; see `manifest_fields`.

    Args:
        schema: The dataclass.
        path: The manifest file.
        kind: The kind expected.
        schema_version: The highest version that can be read.
        hint: What to do where it does not fit.
    """
    found = read_json(path)
    content = _content(found, place=path, kind=kind, schema_version=schema_version)
    # First, so that the field is named that somebody wrote by hand.
    read = manifest_fields.read(schema, content, place=path, hint=hint)
    seals.require_unchanged(found, place=path)
    seals.require_whole(path.parent, seals.noted_in(found, place=path))
    return read


def manifest(content: Mapping[str, Any], *, kind: str, schema_version: int) -> dict[str, Any]:
    """What a manifest says: kind and schema version in front of its content, its checksum last."""
    said = {"schema_version": schema_version, "kind": kind, **content}
    return {**said, seals.CHECKSUM: seals.checksum(said)}


def checked_manifest(
    found: Any, *, place: Path | str, kind: str, schema_version: int
) -> dict[str, Any]:
    """The content of a manifest that was read; see `read_manifest`.

    Args:
        found: What `manifest` made.
        place: Of what it tells, for the message.
        kind: The kind expected.
        schema_version: The highest version that can be read.
    """
    content = _content(found, place=place, kind=kind, schema_version=schema_version)
    seals.require_unchanged(found, place=place)
    return content


def _content(found: Any, *, place: Path | str, kind: str, schema_version: int) -> dict[str, Any]:
    given = found.get("kind") if isinstance(found, dict) else None
    if given != kind:
        raise errors.StoreError(
            f"{place} is of the kind {given!r}; a {kind} is expected here",
            hint=f"give the folder of a {kind}",
        )
    version = found.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= schema_version:
        raise errors.StoreError(
            f"{place} has schema version {version!r}; this program reads 1 to {schema_version}",
            hint="pip install --upgrade polyglance, or make the folder again",
        )
    return {name: value for name, value in found.items() if name not in MANIFEST_HEAD}


def local_folder(location: str | Path, *, kind: str, marker: str) -> Path:
    """The folder that a path or a hub id names; from the hub it is fetched once and cached.

    Args:
        location: A path, or `owner/name`. A path that exists wins.
        kind: What is looked for, for the message: `language pack`.
        marker: The file by which such a folder is known.

    Raises:
        UnavailableError: No such folder, one without the marker, or the hub does not give it.
    """
    folder, fetched = Path(location), ""
    if not folder.exists() and HUB_ID.fullmatch(str(location)):
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(str(location)))
        except (OSError, ValueError) as error:
            said = f"{type(error).__name__}: {errors.first_line(error)}"
            fetched = f", and the hub did not give it ({said})"
    if not (folder / marker).is_file():
        raise errors.UnavailableError(
            f"there is no {kind} at {location} (no {marker} in it){fetched}",
            hint=f"give the folder of a {kind}, or a hub id (owner/name) and a network",
        )
    return folder


@contextmanager
def folder_in_one_step(path: Path, *, marker: Marker) -> Iterator[Path]:
    """A folder to fill that takes its place whole, or not at all.

    A folder of the same kind at `path` is replaced: for the moment between two renames there is no
    folder, and a process killed just there leaves the old one beside it as `.NAME.old-*`. Anything
    else that stands there is never touched.

    Args:
        path: Where the folder is to stand.
        marker: The file by which a folder of this kind is known, or what tells whether all of a
            folder is of the kind; None replaces nothing.

    Yields:
        An empty folder beside it; write into that, the manifest last.

    Raises:
        OutputError: There is something of another kind.
        DiskFullError: No room; what stood at `path` stays.
    """
    path = Path(path)
    with disk_errors(str(path)):
        _require_replaceable(path, marker)
        path.parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(path)
        making = beside(path)
        making.mkdir()
        try:
            with leftovers.held(making):
                yield making
                _share(making)
                _require_replaceable(path, marker)
                _move_into_place(making, path, marker)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    sync_folder(path.parent)


def _require_replaceable(path: Path, marker: Marker) -> None:
    """Nothing there, an empty folder, or one of the same kind."""
    if not os.path.lexists(path):
        return
    is_own = marker(path) if callable(marker) else (path / (marker or "")).is_file()
    if path.is_symlink() or not path.is_dir() or (any(path.iterdir()) and not is_own):
        wanted = "is not all of this kind" if callable(marker) else f"holds no {marker or 'room'}"
        raise errors.OutputError(
            f"{path} is there already, and {wanted}; that is never replaced",
            hint="name a place that is empty or does not exist yet",
        )


def _share(folder: Path) -> None:
    """Give every file of a folder the rights that the folder itself got from the umask.

    Safetensors and what is built on it write files for their owner alone.
    """
    rights = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o666 != rights:
            path.chmod(stat.S_IMODE(mode) & ~0o666 | rights)


class FolderLock:
    """One writer at a time for a folder: `flock` on a file in it, which the system frees on a kill.

    Args:
        path: The lock file; it stays when the lock is released.
        owner: What is locked, for the message.
    """

    def __init__(self, path: Path, *, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._descriptor: int | None = None
        self._thread: int | None = None
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether this thread holds it through this object."""
        return self._depth > 0 and self._thread == threading.get_ident()

    @contextmanager
    def hold(self, *, wait_seconds: float = 0.0) -> Iterator[None]:
        """Hold the lock; may be nested within one thread.

        Args:
            wait_seconds: How long to wait for another holder; 0 refuses at once.

        Raises:
            StoreError: Another process or thread holds it.
        """
        if not self.held:
            self._acquire(wait_seconds)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._release()

    def _acquire(self, wait_seconds: float) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)  # less the umask
        try:
            self._wait_for(descriptor, until=time.monotonic() + wait_seconds)
            os.ftruncate(descriptor, 0)
            name = f"process {os.getpid()} on {os.uname().nodename}\n"
            try:
                os.pwrite(descriptor, name.encode("utf-8"), 0)
            except OSError as error:
                # On a full disk the name cannot be written; the lock holds all the same.
                if not is_disk_full(error):
                    raise
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._thread = descriptor, threading.get_ident()

    def _wait_for(self, descriptor: int, *, until: float) -> None:
        import fcntl  # POSIX only: reading a store works elsewhere, too

        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
                    raise errors.StoreError(
                        f"{self._owner} is being written by {holder or 'another process'}; "
                        "one writer at a time",
                        hint="wait until it has finished, or end it; then run this again",
                    ) from error
            else:
                return
            time.sleep(LOCK_POLL_SECONDS)

    def _release(self) -> None:
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = self._thread = None


def _move_into_place(making: Path, path: Path, marker: Marker) -> None:
    """Rename a finished folder to its name, what stood there going aside and asked again first."""
    if not path.exists():
        making.rename(path)
        return
    aside = path.with_name(f".{path.name}.old-{secrets.token_hex(4)}")
    path.rename(aside)
    try:
        _require_replaceable(aside, marker)
        making.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def beside(path: Path) -> Path:
    """A name in the same folder that no other writer has."""
    return path.with_name(f".{path.name}.making-{secrets.token_hex(4)}")


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
