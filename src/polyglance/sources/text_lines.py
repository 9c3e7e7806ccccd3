"""Lines and rows of text files, whatever editor saved them.

A line ends at a line feed, and a carriage return before it is dropped; nothing else ends one
(`str.splitlines` would also split at U+2028, which stands inside captions).
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import Quarantined
from polyglance.storage import atomic

BOM = b"\xef\xbb\xbf"
# So many bytes tell whether every other one is zero.
WIDE_HEAD = 1000
# Told of a line or file that cannot be used, while the others go on.
SetAside = Callable[[Quarantined], None]


@contextmanager
def entry_of(path: Path, name: str, set_aside: SetAside | None) -> Iterator[None]:
    """One entry of many in a file: where it cannot be used, the others go on.

    Args:
        path: The file.
        name: Where the entry stands in it, as `line 7`.
        set_aside: Told of the entry where what is done with it raises InputError or
            LanguageError; None lets the error go on, with the file and the entry before its words.
    """
    try:
        yield
    except (errors.InputError, errors.LanguageError) as error:
        if set_aside is None:
            raise type(error)(f"{path}, {name}: {error.message}", hint=error.hint) from error
        set_aside(Quarantined(f"{path.name}, {name}", error.message))


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, gzip or not, without their ends; the last may lack one.

    Raises:
        UnavailableError: There is no such file.
        InputError: Not UTF-8 (names the line), or damaged gzip.
    """
    try:
        data = atomic.read_bytes(path)
        if Path(path).suffix == ".gz":
            data = gzip.decompress(data)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.UnavailableError(
            f"there is no file {path}", hint="check the path, or fetch the data set"
        ) from error
    except (OSError, EOFError) as error:  # BadGzipFile is an OSError
        raise errors.InputError(
            f"{path} cannot be read: {errors.first_line(error)}", hint="fetch the file again"
        ) from error
    _require_narrow(path, data)
    pieces = data.removeprefix(BOM).split(b"\n")
    if not pieces[-1]:
        pieces.pop()
    lines = []
    for number, piece in enumerate(pieces, 1):
        try:
            lines.append(piece.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise errors.InputError(
                f"{path}, line {number}: not UTF-8 (byte 0x{piece[error.start]:02x} at "
                f"position {error.start}); captions must be UTF-8",
                hint=f"convert the file from what `file -bi {path}` says it is, as in: "
                f"iconv -f LATIN1 -t UTF-8 {path} > NEW",
            ) from error
    return lines


def read_json(path: Path) -> Any:
    """A publisher's JSON.

    Raises:
        UnavailableError: There is no such file.
        InputError: It is not UTF-8, not JSON, or nested too deeply.
    """
    try:
        return atomic.read_json(path)
    except errors.InputError:
        _require_narrow(path, atomic.read_bytes(path))
        raise


def _require_narrow(path: Path, data: bytes) -> None:
    if is_wide(data):
        raise errors.InputError(
            f"{path} is UTF-16, as some editors and spreadsheets save it; texts must be UTF-8",
            hint=f"convert the file, as in: iconv -f UTF-16 -t UTF-8 {path} > NEW",
        )


def is_wide(data: bytes) -> bool:
    """Whether bytes are UTF-16 or UTF-32: by their mark, or by the zeros between Latin letters.

    >>> is_wide("de".encode("utf-16")), is_wide("de, fr".encode("utf-16-be")), is_wide(b"de, fr")
    (True, True, False)
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        return True
    head = data[:WIDE_HEAD]
    return max(head[::2].count(0), head[1::2].count(0)) * 4 > len(head) > 1


def read_table(
    path: Path, columns: Sequence[str], *, set_aside: SetAside | None = None
) -> list[tuple[str, ...]]:
    """Columns of a tab-separated table with a header; quotes mean nothing special.

    Args:
        path: The file; more columns than those wanted, and empty lines, are passed over.
        columns: Which columns, by the names in the header.
        set_aside: Told of each row with too few or too many columns, or without a value; the
            others go on. None stops at the first.

    Returns:
        A tuple a row, in the order of `columns`.

    Raises:
        InputError: A column is missing or there twice, no row is left, or, without `set_aside`,
            for such a row.
    """
    lines = read_lines(path)
    header = lines[0].split("\t") if lines else []
    places = _places_of(columns, header=header, path=path)
    rows: list[tuple[str, ...]] = []
    wrong: list[Quarantined] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        values = line.split("\t")
        row = tuple(values[place] for place in places if place < len(values))
        reason = ""
        if len(values) != len(header):
            reason = f"{len(values)} columns; expected {len(header)}, separated by tabs"
        elif not all(value.strip() for value in row):
            empty = columns[[bool(value.strip()) for value in row].index(False)]
            reason = f"the column {empty!r} is empty; expected a value"
        if not reason:
            rows.append(row)
        elif set_aside is None:
            raise errors.InputError(
                f"{path}, line {number}: {reason}", hint="mend that line, or delete it"
            )
        else:
            wrong.append(Quarantined(f"{path.name}, line {number}", reason))
            set_aside(wrong[-1])
    if wrong and not rows:
        raise errors.InputError(
            f"{path} has no row that can be used; {wrong[0].id}: {wrong[0].reason}",
            hint=f"give lines of tab-separated values: {' '.join(header)}",
        )
    return rows


def _places_of(columns: Sequence[str], *, header: Sequence[str], path: Path) -> list[int]:
    """Where each column stands in a table that begins with this header."""
    if lacking := [name for name in columns if name not in header]:
        raise errors.InputError(
            f"{path}, line 1: no column {' or '.join(map(repr, lacking))}; the header has {header}",
            hint=f"begin the file with a line of tab-separated names: {' '.join(columns)}",
        )
    if twice := [name for name in columns if header.count(name) > 1]:
        raise errors.InputError(
            f"{path}, line 1: several columns {twice[0]!r}; the header has {header}",
            hint="give each column a name of its own",
        )
    return [header.index(name) for name in columns]


def unusable(value: object) -> str:
    r"""Why a value is no text that can be read; empty where it is one.

    >>> unusable("a"), unusable(" "), unusable("\ud83d")
    ('', "' ' was found", "'\\ud83d' holds half a character")
    """
    if not isinstance(value, str) or not value.strip():
        return f"{value!r} was found"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of an emoji, as a JSON may hold it
        return f"{value!r} holds half a character"
    return ""


def require_text(value: object, what: str) -> str:
    """A value that must be text, without blanks around it.

    Raises:
        InputError: It is none, is empty, or holds half a character.
    """
    if reason := unusable(value):
        raise errors.InputError(
            f"{what}: {reason}; expected text that is not empty",
            hint="mend that entry, or fetch the file again",
        )
    return str(value).strip()
