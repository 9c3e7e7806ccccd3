"""Parsing of posted forms: the fields and the file, read in one pass.

The body is here and within its limits. It is cut at its boundary by the library's own search: what
a stranger sends takes as long as its bytes, whatever they look like.
"""

from __future__ import annotations

import re

from polyglance import errors
from polyglance.serve import parameters

MOST_FIELDS = parameters.MOST
MOST_FIELD_BYTES = 64 * 2**10
_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70}?)"?\s*(?:;|$)', re.I)
_NAME = re.compile(rb';\s*name="([^"\r\n]{0,200})"', re.I)
_FILE = re.compile(rb";\s*filename\*?=", re.I)

Fields = dict[str, str]
Files = dict[str, bytes]


def read(
    body: bytes, content_type: str, *, example: str = "image=@photo.jpg"
) -> tuple[Fields, Files]:
    """Fields and files by name.

    Args:
        body: All of it.
        content_type: The header.
        example: A field that the end point takes, as curl is told it.

    Raises:
        InputError: It is no form, or one that is broken, has too many fields, or has a name twice.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _of_address(body), {}
    if kind != "multipart/form-data" or not (found := _BOUNDARY.search(content_type)):
        raise errors.InputError(
            f"a body of the type {content_type[:80]!r}; multipart/form-data is wanted",
            hint=f"send a form, as curl -F {example} does",
        )
    delimiter = rb"\r\n--" + re.escape(found[1].encode("ascii")) + rb"(?=--|[ \t]*\r\n)"
    return _of_parts(b"\r\n" + body, re.compile(delimiter))


def _of_address(body: bytes) -> Fields:
    """Fields that are written as in an address."""
    if len(body) > MOST_FIELD_BYTES:
        raise errors.InputError(
            f"{len(body):,} bytes of fields; {MOST_FIELD_BYTES:,} are allowed",
            hint="send an image as multipart/form-data",
        )
    return parameters.once(parameters.pairs(body))


def _of_parts(body: bytes, delimiter: re.Pattern[bytes]) -> tuple[Fields, Files]:
    """Fields and files that stand between delimiters."""
    parts = delimiter.split(body, MOST_FIELDS + 2)
    if len(parts) > MOST_FIELDS + 2:
        raise _broken(f"more than {MOST_FIELDS} fields")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise _broken("a form without its end")
    fields: Fields = {}
    files: Files = {}
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head[:8192])
        if not blank or name is None:
            raise _broken("a field without a name")
        key = _text(name[1], of="the name of a field")
        is_file = bool(_FILE.search(head[:8192]))
        if is_file and key in files:
            raise errors.InputError(
                f"the file {key[:80]!r} is sent more than once; one image is read",
                hint="send one image; a text can stand beside it, as q",
            )
        if key in fields or key in files:
            raise parameters.twice(key)
        if is_file:
            files[key] = content
        elif len(content) > MOST_FIELD_BYTES:
            raise _broken(f"a field of {len(content):,} bytes")
        else:
            fields[key] = _text(content, of=key)
    return fields, files


def _text(content: bytes, *, of: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise parameters.no_utf8(of) from error


def _broken(what: str) -> errors.InputError:
    return errors.InputError(f"{what} in a form", hint="send it as curl -F does")
