"""Exclusion patterns of a scan, and those that match nothing, with what was meant."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from polyglance import errors

WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Idle:
    """A pattern that leaves nothing out.

    Attributes:
        pattern: As it was given.
        meant: What was perhaps meant: what is called so but for capitals, or for folders in front;
            None where nothing is.
    """

    pattern: str
    meant: str | None = None


class Patterns:
    """Patterns as shells have them: without a slash for a name anywhere, else for the path inside.

    `*` stands for anything, slashes too. Letters with accents are compared as they look.

    Args:
        patterns: As given.

    Raises:
        ConfigError: One of them is empty.

    >>> found = Patterns(["raw", "2019/*.gif"])
    >>> [found.match(path) for path in ("a/raw", "2019/x.gif", "2020/x.gif")]
    [True, True, False]
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        given = [(one, _plain(one)) for one in patterns]
        for one, plain in given:
            if _inside(plain) in ("", "."):
                raise errors.ConfigError(
                    f"the pattern {one!r} of what is to be left out is empty",
                    hint="give a name (raw, *.gif) or a path inside of the folder (2019/*)",
                )
        self._names = _either([plain for _, plain in given if "/" not in plain])
        self._paths = _either([_inside(plain) for _, plain in given if "/" in plain])

    def match(self, path: str) -> bool:
        """Whether a path inside is meant."""
        if self._names is None and self._paths is None:
            return False
        plain = unicodedata.normalize("NFC", path)
        by_name = self._names is not None and self._names.match(plain.rpartition("/")[2])
        return bool(by_name or (self._paths is not None and self._paths.match(plain)))


def idle(
    patterns: Sequence[str], *, root: Path, taken: Iterable[str], left_out: Collection[str]
) -> tuple[Idle, ...]:
    """The patterns that match nothing, not even what another one leaves out.

    Args:
        patterns: As given.
        root: The folder that was scanned.
        taken: The ids of what was found.
        left_out: The ids of what was left out, with a slash behind those of folders.
    """
    unmatched = {one: Patterns([one]) for one in patterns}
    for path in _with_insides(root, left_out):
        if not unmatched:
            return ()
        unmatched = {one: each for one, each in unmatched.items() if not each.match(path)}
    if not unmatched:
        return ()
    paths = _paths_of([*taken, *(one.rstrip("/") for one in left_out)])
    names = sorted({path.rpartition("/")[2] for path in paths})
    return tuple(Idle(one, _meant(one, names=names, paths=paths)) for one in unmatched)


def _with_insides(root: Path, left_out: Collection[str]) -> Iterator[str]:
    """What was left out, and then what lies in the folders among that, which nobody entered."""
    yield from (one.rstrip("/") for one in left_out)
    for folder in left_out:
        if folder.endswith("/"):
            for place, folders, files in os.walk(root / folder):
                inside = os.path.relpath(place, root).replace(os.sep, "/")
                yield from (f"{inside}/{name}" for name in (*folders, *files))


def _paths_of(ids: Iterable[str]) -> list[str]:
    """The paths of files and of all folders that they lie in, sorted."""
    found = set()
    for identity in ids:
        path = identity
        while path and path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return sorted(found)


def _meant(pattern: str, *, names: Sequence[str], paths: Sequence[str]) -> str | None:
    """What a pattern meant: compared without capitals, with ever fewer folders in front."""
    parts = _inside(_plain(pattern)).split("/")
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        among = paths if "/" in tail else names
        if start and "/" not in tail and WILD.search(tail):
            return None  # it would leave out everywhere what was meant of one folder
        like = re.compile(fnmatch.translate(tail), re.IGNORECASE)
        hit = next((one for one in among if like.match(unicodedata.normalize("NFC", one))), None)
        if hit is not None:
            literal = glob.escape(hit)
            spellings = (tail, tail.lower(), tail.upper(), _spelled(parts[start:], hit), literal)
            return next(each for each in spellings if Patterns([each]).match(hit))
    return None


def _spelled(parts: Sequence[str], hit: str) -> str:
    """A pattern with the folders in front of its first `*` as they are called.

    >>> _spelled(["trips", "2019", "*.gif"], "Trips/2019/a.gif")
    'Trips/2019/*.gif'
    """
    literal = list(takewhile(lambda part: not WILD.search(part), parts))
    return "/".join([*hit.split("/")[: len(literal)], *parts[len(literal) :]])


def _plain(pattern: str) -> str:
    return unicodedata.normalize("NFC", pattern).rstrip("/")


def _inside(plain: str) -> str:
    """A path seen from the folder that is scanned."""
    return plain.removeprefix("./").lstrip("/")


def _either(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(fnmatch.translate, patterns))) if patterns else None
