"""Files that a scan leaves out: each with its reason, and a summary with counts by reason.

Nothing is dropped silently. What is left out by a rule is `Skipped`, with a reason of this
file's table; what could not be read is `Quarantined`, with the words of who failed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

# How many suffixes or names a line of the summary shows.
SHOWN_NAMES = 6


class Why(Enum):
    """Why something is left out; the values are in the order of the summary."""

    FORMAT = "format"
    SOUND_FORMAT = "sound-format"
    HEIC = "heic"
    VIDEO = "video"
    ARCHIVE = "archive"
    LINK_OUT = "link-out"
    LINKED_FOLDER = "linked-folder"
    LINK_BROKEN = "link-broken"
    CLASH = "clash"
    NOT_DOWNLOADED = "not-downloaded"
    EXCLUDED = "excluded"
    SYSTEM = "system"
    OURS = "ours"
    HIDDEN = "hidden"
    SPECIAL = "special"
    OTHER = "other"


# Items may lie behind these, and nobody chose to leave them out.
LINKS = frozenset({Why.LINK_OUT, Why.LINKED_FOLDER, Why.LINK_BROKEN})


@dataclass(frozen=True, slots=True)
class Reason:
    """How a reason reads.

    Attributes:
        one: Of a single item.
        many: Of several.
        remedy: How to have them all the same; empty where nobody would want to.
        by_suffix: Whether the summary counts suffixes; else it shows names.
        by_choice: Whether it is left out though it is there and could be read: its row leaves.
    """

    one: str
    many: str
    remedy: str = ""
    by_suffix: bool = False
    by_choice: bool = False


REASONS: dict[Why, Reason] = {
    Why.FORMAT: Reason(
        "file in an image format that is not read",
        "files in image formats that are not read",
        "save them as JPEG or PNG",
        by_suffix=True,
    ),
    Why.SOUND_FORMAT: Reason(
        "file in a sound format that is not read",
        "files in sound formats that are not read",
        "save them as WAV or FLAC",
        by_suffix=True,
    ),
    Why.HEIC: Reason(
        "HEIC file", "HEIC files", "to read them: pip install 'polyglance[heic]'", by_suffix=True
    ),
    Why.VIDEO: Reason("video", "videos", by_suffix=True),
    Why.ARCHIVE: Reason(
        "archive that is compressed or lies in a tar",
        "archives that are compressed or lie in a tar",
        "unpack them; gunzip makes a .tar, which is read, of a .tar.gz",
    ),
    Why.LINK_OUT: Reason(
        "link to a file outside the folder",
        "links to files outside the folder",
        "index a folder that holds both the links and what they lead to",
    ),
    Why.LINKED_FOLDER: Reason(
        "linked folder that was not entered",
        "linked folders that were not entered",
        "index a folder that holds what they lead to",
    ),
    Why.LINK_BROKEN: Reason("link that leads nowhere", "links that lead nowhere"),
    Why.CLASH: Reason(
        "item under an id that another has",
        "items under an id that another has",
        "rename the file, the tar or its member",
    ),
    Why.NOT_DOWNLOADED: Reason(
        "row that failed and was not downloaded",
        "rows that failed and were not downloaded",
        "img2dataset downloads; no url is fetched here",
    ),
    Why.EXCLUDED: Reason("left out by --exclude", "left out by --exclude", by_choice=True),
    Why.SYSTEM: Reason(
        "folder of thumbnails, bins or snapshots that a system keeps",
        "folders of thumbnails, bins or snapshots that a system keeps",
        "index one by itself to have it",
        by_choice=True,
    ),
    Why.OURS: Reason(
        "file or folder of polyglance's own",
        "files or folders of polyglance's own",
        by_choice=True,
    ),
    Why.HIDDEN: Reason(
        "hidden file or folder (a leading dot)",
        "hidden files or folders (a leading dot)",
        by_choice=True,
    ),
    Why.SPECIAL: Reason(
        "pipe, socket, device or link in a tar", "pipes, sockets, devices or links in tars"
    ),
    Why.OTHER: Reason("other file", "other files", by_suffix=True),
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was left out.

    Attributes:
        id: Its path inside the source; a slash at the end stands for a folder and all in it.
        why: The reason.
        note: What there is to say of this one.
    """

    id: str
    why: Why
    note: str = ""


def summary(skipped: Iterable[Skipped]) -> list[str]:
    """A line for each reason: how many, of which suffixes or names, and how to have them.

    >>> summary([Skipped("a.cr2", Why.FORMAT), Skipped("b/c.cr2", Why.FORMAT)])
    ['2 files in image formats that are not read (.cr2 2); save them as JPEG or PNG']
    >>> summary([Skipped("@eaDir/", Why.SYSTEM), Skipped("x.mov", Why.VIDEO)])[0]
    '1 video (.mov 1)'
    """
    return [_line(why, items) for why, items in by_reason(skipped).items()]


def by_reason(skipped: Iterable[Skipped]) -> dict[Why, list[Skipped]]:
    """The items of each reason that has any, in the order of the reasons."""
    found: defaultdict[Why, list[Skipped]] = defaultdict(list)
    for one in skipped:
        found[one.why].append(one)
    return {why: found[why] for why in Why if why in found}


def _line(why: Why, items: Sequence[Skipped]) -> str:
    reason = REASONS[why]
    what = reason.one if len(items) == 1 else reason.many
    shown = _suffixes(items) if reason.by_suffix else _names(items)
    return f"{len(items):,} {what} ({shown})" + (f"; {reason.remedy}" if reason.remedy else "")


def _suffixes(items: Sequence[Skipped]) -> str:
    """Each suffix with its count, the most frequent first."""
    counts = Counter(PurePosixPath(one.id).suffix.lower() or "no suffix" for one in items)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{suffix} {count:,}" for suffix, count in ranked[:SHOWN_NAMES])
    return shown + (", ..." if len(ranked) > SHOWN_NAMES else "")


def _names(items: Sequence[Skipped]) -> str:
    """The first names."""
    shown = ", ".join(one.id for one in items[: SHOWN_NAMES // 2])
    return shown + (", ..." if len(items) > SHOWN_NAMES // 2 else "")
