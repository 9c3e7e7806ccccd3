"""Download of a task's files: fetched where the table pins them, checked by hash.

A file is written under a temporary name and takes its own only when its hash is right; what is
there already with the right hash is not fetched again.
"""

from __future__ import annotations

import csv
import urllib.error
import urllib.request
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from polyglance import errors, progress
from polyglance.storage import atomic, digests, locations
from polyglance.tasks.rows import PinnedFile, Task

TABLE = Path(__file__).with_name("pinned_files.tsv")
HUB = "hf://datasets/"
TIMEOUT_SECONDS = 60.0


@cache
def pinned_files(task: str) -> tuple[PinnedFile, ...]:
    """The files of a task that may be fetched, from `pinned_files.tsv`; none for most tasks."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            PinnedFile(url=row["url"], path=row["path"], sha256=row["sha256"])
            for row in csv.DictReader(file, delimiter="\t")
            if row["task"] == task
        )


def required(folder: Path | None, task: str) -> Path:
    """The folder of the publisher's files.

    Raises:
        UnavailableError: Where none was given.
    """
    if folder is None:
        fetched = "fetch them: --download; or " if pinned_files(task) else ""
        raise errors.UnavailableError(
            f"the texts of {task} are not part of polyglance",
            hint=f"{fetched}say where the publisher's files are: --data FOLDER (see eval --list)",
        )
    return Path(folder)


def fetch_task(name: str, task: Task, *, folder: Path | None = None) -> Path:
    """Fetch the files of a task that are not there yet.

    Args:
        name: The task's.
        task: Its row.
        folder: Where to; None is a folder of the user's cache.

    Returns:
        The folder, as the task's `load` takes it.

    Raises:
        UnavailableError: Where nothing is pinned, or a file cannot be had.
        InputError: For a file of another hash; what was there before stays.
        DiskFullError: No room.
    """
    if not task.downloads:
        listed = ", ".join(task.files) or "see its publisher"
        raise errors.UnavailableError(
            f"{name} is not fetched: no file of it is pinned by hash here",
            hint=f"fetch it from its publisher ({task.citation or task.licence}; {listed}) and "
            "give the folder: --data FOLDER",
        )
    where = locations.cache_folder() / "tasks" / name if folder is None else folder
    fetch_files(task.downloads, folder=where)
    return where


def fetch_files(pinned: Iterable[PinnedFile], *, folder: Path) -> int:
    """Fetch those files that a folder lacks, or holds with other bytes.

    Returns:
        How many were fetched.
    """
    missing = [file for file in pinned if _hash_of(folder / file.path) != file.sha256]
    with progress.bar("fetching", total=len(missing)) as advance:
        for file in missing:
            data = _read(file.url)
            found = digests.sha256(data)
            if found != file.sha256:
                raise errors.InputError(
                    f"{file.url} has the hash {found}; {file.sha256} is expected",
                    hint="its publisher has changed it, or something on the way has: fetch it by "
                    "hand, look at it, and give the folder with --data",
                )
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(path, data)
            advance(1)
    return len(missing)


def _hash_of(path: Path) -> str | None:
    return digests.sha256_of_file(path) if path.is_file() else None


def _read(url: str) -> bytes:
    """The bytes behind an address; of a hub's data set through its own client."""
    try:
        if url.startswith(HUB):
            return _from_hub(url).read_bytes()
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            data: bytes = answer.read()
            return data
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise errors.UnavailableError(
            f"{url} cannot be fetched: {errors.first_line(error)}",
            hint="check the network and run the same command again; what was fetched stays",
        ) from error


def _from_hub(url: str) -> Path:
    """A file of `hf://datasets/OWNER/NAME@REVISION/PATH`, in the hub client's cache."""
    from huggingface_hub import hf_hub_download

    repository, _, rest = url.removeprefix(HUB).partition("@")
    revision, _, path = rest.partition("/")
    found = hf_hub_download(repository, path, repo_type="dataset", revision=revision)
    return Path(found)
