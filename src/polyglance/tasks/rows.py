"""The schema of a row in the table of tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from polyglance import errors
from polyglance.records import Quarantined
from polyglance.results.schema import CaptionPolicy

Kind = Literal["retrieval", "classification", "text"]
T = TypeVar("T")


class TaskData(Protocol):
    """A task with its data at hand, of any kind: a frozen dataclass."""

    @property
    def task(self) -> str:
        """Name of the task."""
        ...

    @property
    def policy(self) -> CaptionPolicy:
        """Which captions take part; `none` where there are no captions."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """Ids of the languages that it can be measured in."""
        ...

    @property
    def set_aside(self) -> tuple[Quarantined, ...]:
        """Files and lines that could not be used, and why."""
        ...

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's texts and what they are scored against."""
        ...


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """A publisher's file, fixed by its revision and hash.

    Attributes:
        url: Where it is to be had; the revision is part of it.
        path: Where it belongs in the task's folder.
        sha256: Of its bytes.
    """

    url: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the table.

    Attributes:
        kind: What is asked: retrieval, classification, or of texts alone.
        summary: What is asked of what.
        num_languages: In the publisher's release.
        metric: What the papers report.
        policy: Which captions take part, where nobody says another.
        splits: Parts that it may be measured on; which of them depends on the files.
        images: What the content ids are, for whoever brings the images; empty without.
        folder: How the publisher's folder is called, where not as the task.
        files: What stands in the publisher's folder, by name or pattern.
        revision: Which release the files are of.
        downloads: Files that may be fetched; empty where the publisher asks to be visited.
        licence: Of the texts.
        citation: Who made it.
        groups: Gives the languages of each group that the papers report a mean of.
        load: Reads the publisher's files from a folder, for some languages or (None) all.
    """

    kind: Kind
    summary: str
    num_languages: int
    metric: str
    policy: CaptionPolicy
    splits: tuple[str, ...] = ("test",)
    images: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    revision: str = ""
    downloads: tuple[PinnedFile, ...] = ()
    licence: str
    citation: str = ""
    groups: Callable[[], Mapping[str, Collection[str]]] | None = None
    load: Callable[[Path | None, list[str] | None], TaskData]


def each_language(
    languages: Iterable[str],
    read: Callable[[str], T],
    *,
    failed: Callable[[str, errors.InputError], None],
) -> dict[str, T]:
    """What the files of each language give; one that cannot be read costs its own language.

    Args:
        languages: Which ones.
        read: Reads one of them.
        failed: Told of each that cannot be read, and why.

    Raises:
        InputError: None of them can be read.
    """
    found: dict[str, T] = {}
    first: errors.InputError | None = None
    for language in languages:
        try:
            found[language] = read(language)
        except errors.InputError as error:
            first = first or error
            failed(language, error)
    if first is not None and not found:
        raise first
    return found
