"""Atomic files: temporary name, rename, manifest last; a full disk.

A reader sees the old file or the new one, never half of one. A folder is written beside its place
and renamed into it; a folder that grows in place (a store) gets its manifest last, so that a folder
without one is unfinished.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from polyglance import errors
from polyglance.storage import leftovers, locks

T = TypeVar("T")
Marker = str | Callable[[Path], bool] | None


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
    return errors.system_number(error) in (errno.ENOSPC, errno.EDQUOT)


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
                locks.lock_open(file.fileno())
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
