"""All errors, in one tree, each with a hint at what to do next.

Every error says what was given and what is allowed (its message) and what to do (its `hint`).
The command line prints both and exits with `exit_code`; anything else is a bug, and said to be one.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence


class PolyglanceError(Exception):
    """Base of all errors that the user can mend.

    Args:
        message: What was given, and what is allowed.
        hint: The next thing to do, a command where there is one.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.hint}"


class LanguageError(PolyglanceError):
    """A language code that is unknown, ambiguous, or missing where a tower needs one."""


class TowerLacksLanguageError(LanguageError):
    """A language that a tower cannot read; another tower may read it."""


class UnknownNameError(PolyglanceError):
    """A name that its table does not hold: a tower, recipe, task, field or option."""


class MissingExtraError(PolyglanceError):
    """An optional package that is not installed."""


class UnavailableError(PolyglanceError):
    """A file, package or model that cannot be had here: no network, empty cache, absent folder."""


class InputError(PolyglanceError):
    """Input that cannot be used: captions, images, labels, an empty folder."""


class VectorError(InputError):
    """Vectors that cannot be used: NaN, zero length, wrong shape or width."""


class ConfigError(PolyglanceError):
    """A setting of a recipe, tower or command that is out of its range."""


class SpaceMismatchError(PolyglanceError):
    """A pack, query or table that belongs to another space."""


class StoreError(PolyglanceError):
    """A store that cannot be read or written: locked, damaged, of another tower or schema."""


class DiskFullError(StoreError):
    """No room left on the disk; what was committed before stays."""


class OutputError(PolyglanceError):
    """A place that may not be written: it holds what is not ours, or the system refuses."""


class TrainingError(PolyglanceError):
    """Training that cannot go on: NaN, no rows, a batch too small."""


class ResultError(PolyglanceError):
    """Results that cannot be read, or be set beside each other."""


class ExportError(PolyglanceError):
    """A pack that a form of others cannot hold, or that came out of it different."""


_NEXT_STEPS = {
    errno.EACCES: "ask for the right to it (ls -ld shows who has it), or name another place",
    errno.EPERM: "ask for the right to it (ls -ld shows who has it), or name another place",
    errno.EROFS: "this disk can only be read: name a place on another one",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of this path is a file: check the path",
    errno.EISDIR: "this is a folder, and a file is expected",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "its links lead in a circle: name the place itself",
    errno.EMFILE: "too many files are open: ulimit -n 4096 allows more",
    errno.EIO: "the disk does not answer as it should: look at it before you go on",
}
# Names of unsafe ways to read a file, which may run code; no user is sent to them.
_UNSAFE = re.compile("allow_pickle|weights_only|trust_remote_code|pickle[.]load|arbitrary code")
_MOST_SAID = 300
_NUMBER_IN_TEXT = re.compile(r"\(os error (\d+)\)")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def first_line(error: BaseException) -> str:
    r"""What a foreign library says of a failure, on one line, without its advice to read unsafely.

    >>> first_line(ValueError("it is cut.\nTry this:\n  load(x)"))
    'it is cut.'
    >>> first_line(ValueError("Object arrays cannot be loaded when allow_pickle=False"))
    'it holds more than plain data'
    >>> first_line(ValueError("It is pickled. If you trust it, use `allow_pickle=`. So."))
    'It is pickled.'
    >>> first_line(KeyError())
    'KeyError'
    """
    line = str(error).strip().partition("\n")[0].strip()
    kept = _UNSAFE.split(line, maxsplit=1)[0]
    if kept != line:
        # The sentence in which it stands goes as well.
        kept = kept[: kept.rfind(". ") + 1]
        return kept[:_MOST_SAID] or "it holds more than plain data"
    return line[:_MOST_SAID] or type(error).__name__


def system_number(error: OSError) -> int | None:
    """The system's number of a refusal; libraries written in Rust have it in their text alone.

    >>> system_number(OSError("Error while serializing: I/O error: File too large (os error 27)"))
    27
    >>> system_number(FileNotFoundError(2, "No such file")), system_number(OSError("it is cut"))
    (2, None)
    """
    found = _NUMBER_IN_TEXT.search(str(error))
    return error.errno or (int(found[1]) if found else None)


def of_system(error: OSError, *, doing: str = "") -> PolyglanceError:
    """What an `OSError` comes to for the user: what the system refused, and what to do.

    Args:
        error: As the system raised it.
        doing: What was done, as in "writing the report r.html"; else the file it names is told.

    >>> print(of_system(PermissionError(13, "Permission denied", "/data/r.html")))
    /data/r.html: Permission denied
      -> ask for the right to it (ls -ld shows who has it), or name another place
    """
    named = error.filename if isinstance(error.filename, str | bytes) else ""
    what = doing or os.fsdecode(named) or "the system"
    number = system_number(error)
    why = error.strerror or (os.strerror(number) if number else first_line(error))
    if number in _NO_ROOM:
        return DiskFullError(
            f"{what}: {why}", hint="free some space, or name a place on another disk"
        )
    usual = "check the place; POLYGLANCE_DEBUG=1 shows where this happened"
    return OutputError(f"{what}: {why}", hint=_NEXT_STEPS.get(number or 0, usual))


def few(sentences: Sequence[str], *, limit: int = 3) -> list[str]:
    """The first sentences, and how many more there are.

    >>> few(["line 1", "line 2", "line 3"], limit=2)
    ['line 1', 'line 2', 'and 1 more']
    """
    rest = len(sentences) - limit
    return [*sentences[:limit], *([f"and {rest:,} more"] if rest > 0 else [])]


def nearest(given: str, allowed: Iterable[str], *, limit: int = 3) -> list[str]:
    """The allowed names most like `given`, best first.

    Args:
        given: What the user wrote.
        allowed: The names that exist.
        limit: How many to return at most.

    Returns:
        Up to `limit` names; an empty list where nothing is near.

    >>> nearest("rigde", ["ridge", "m2m", "distill"])
    ['ridge']
    """
    by_folded = {name.casefold(): name for name in allowed}
    found = difflib.get_close_matches(given.casefold(), by_folded, n=limit, cutoff=0.5)
    return [by_folded[name] for name in found]


def unknown_name(kind: str, given: str, *, allowed: Iterable[str]) -> UnknownNameError:
    """An `UnknownNameError` that lists what exists and names the nearest.

    >>> print(unknown_name("recipe", "rigde", allowed=["m2m", "ridge"]))
    unknown recipe 'rigde'; there are: m2m, ridge
      -> did you mean ridge?
    """
    names = sorted(allowed)
    close = nearest(given, names)
    otherwise = "choose one of those" if names else "leave it out"
    hint = f"did you mean {' or '.join(close)}?" if close else otherwise
    listed = ", ".join(names) if names else "(none)"
    return UnknownNameError(f"unknown {kind} {given!r}; there are: {listed}", hint=hint)


def missing_extra(feature: str, *, extra: str) -> MissingExtraError:
    """A `MissingExtraError` that prints the install line of an extra.

    >>> print(missing_extra("open_clip towers", extra="openclip"))
    open_clip towers need a package that is not installed
      -> pip install 'polyglance[openclip]'
    """
    return MissingExtraError(
        f"{feature} need a package that is not installed",
        hint=f"pip install 'polyglance[{extra}]'",
    )
