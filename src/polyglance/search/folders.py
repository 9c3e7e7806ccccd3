"""Folders of an index, found as people type them: relative, in other case, in other forms.

An item lies in a folder by its id (`2024/summer/a.jpg`, from the folder that was indexed) and by
its file's full path. A typed folder may be either, begin with the name of the indexed folder, or
start from where one stands. Spelling decides last: as typed, then composed or not (a Mac writes
accents apart), then in other case.
"""

from __future__ import annotations

import difflib
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from polyglance import errors

NUM_NEAR = 3


class Place(NamedTuple):
    """A folder of the index: what ids, or paths, in it begin with."""

    column: Literal["id", "path"]
    folder: str


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _caseless(text: str) -> str:
    return _composed(_composed(text).casefold())


# How strictly a typed folder is compared, the strictest first.
SPELLINGS: tuple[Callable[[str], str], ...] = (str, _composed, _caseless)


class Folders:
    """All folders of one state of an index.

    Args:
        ids: Of its items; gone through, not copied.
        paths: Their files, in the same order; empty texts for items without one.
    """

    def __init__(self, ids: Sequence[str], paths: Sequence[str]) -> None:
        self._ids, self._paths = ids, paths

    @cached_property
    def of_ids(self) -> frozenset[str]:
        """Every folder in the ids, and the empty one that all lie in."""
        return _ancestors(self._ids)

    @cached_property
    def of_paths(self) -> frozenset[str]:
        """Every folder above a file."""
        return _ancestors(self._paths)

    @cached_property
    def roots(self) -> frozenset[str]:
        """What stands before the ids in the paths: the folders that were indexed."""
        pairs = zip(self._ids, self._paths, strict=True)
        return frozenset(
            path[: -len(identity) - 1] for identity, path in pairs if path.endswith(f"/{identity}")
        )

    def find(self, typed: str, *, here: Path | None = None) -> tuple[Place, ...]:
        """The places that a typed folder means, one or more.

        Args:
            typed: As a person types it.
            here: Where relative ones may start beside the index; None where nobody stands anywhere,
                as on a server.

        Raises:
            InputError: It holds nothing of the index; names near ones.
        """
        for spelling in SPELLINGS:
            if places := self._spelled(typed, here=here, spelling=spelling):
                return places
        raise errors.InputError(
            f"no item of the index lies in the folder {typed!r}", hint=self._hint(typed)
        )

    def _spelled(
        self, typed: str, *, here: Path | None, spelling: Callable[[str], str]
    ) -> tuple[Place, ...]:
        by_id, by_path = self._by_spelling(spelling)
        from_here: list[Place] = []
        if here is not None or typed.startswith("/"):
            full = os.path.normpath(os.path.join(here or "/", os.path.expanduser(typed)))
            # A link to the folder, or one above it, leads there too.
            for each in dict.fromkeys((full, os.path.realpath(full) if here is not None else full)):
                from_here += [Place("path", one) for one in by_path.get(spelling(each), ())]
        # `.`, `./a` and `../a` are said from where one stands, if that is in the index at all.
        if from_here and typed.startswith("."):
            return tuple(dict.fromkeys(from_here))
        inside = posixpath.normpath(typed).strip("/")
        inside = "" if inside == "." else inside
        if typed.startswith("/") and inside:
            return tuple(dict.fromkeys(from_here))
        found = [Place("id", one) for one in by_id.get(spelling(inside), ())]
        if not found and not from_here:
            for root in self.roots:
                # With the name of the indexed folder in front: photos/2024.
                name = posixpath.basename(root)
                if spelling(f"{inside}/").startswith(spelling(f"{name}/")):
                    rest = posixpath.join(root, inside[len(name) + 1 :]).rstrip("/")
                    found += [Place("path", one) for one in by_path.get(spelling(rest), ())]
        return tuple(dict.fromkeys([*from_here, *found]))

    def _by_spelling(
        self, spelling: Callable[[str], str]
    ) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """The folders of ids and of paths, by how they are compared."""
        if spelling not in self._spelt:
            self._spelt[spelling] = (
                _grouped(self.of_ids, spelling),
                _grouped(self.of_paths, spelling),
            )
        return self._spelt[spelling]

    @cached_property
    def _spelt(
        self,
    ) -> dict[Callable[[str], str], tuple[dict[str, list[str]], dict[str, list[str]]]]:
        return {}

    def _hint(self, typed: str) -> str:
        known = sorted(self.of_ids - {""})
        if not known:
            return "leave the filter out: its items lie in no folders"
        wanted = _caseless(posixpath.normpath(typed).strip("/"))
        by_form = {_caseless(each): each for each in known}
        same_name = [
            each
            for form, each in by_form.items()
            if posixpath.basename(form) == posixpath.basename(wanted)
        ]
        alike = [by_form[form] for form in difflib.get_close_matches(wanted, by_form, n=NUM_NEAR)]
        near = list(dict.fromkeys([*same_name, *alike]))[:NUM_NEAR]
        if near:
            return f"did you mean {' or '.join(map(_harmless, near))}?"
        tops = [_harmless(each) for each in known if "/" not in each]
        more = f" and {len(tops) - NUM_NEAR} more" if len(tops) > NUM_NEAR else ""
        return f"folders of the index are {', '.join(tops[:NUM_NEAR])}{more}"


def _harmless(name: str) -> str:
    """A name without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _ancestors(names: Iterable[str]) -> frozenset[str]:
    """All folders above names, the empty one included where there is a name."""
    found: set[str] = set()
    for folder in {name.rpartition("/")[0] for name in names if name}:
        above = folder
        while above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return frozenset(found)


def _grouped(folders: Iterable[str], spelling: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in sorted(folders):
        found.setdefault(spelling(folder), []).append(folder)
    return found
