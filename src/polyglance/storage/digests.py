"""Digests: the names of contents, caches and packs, and the checksums of files.

The only file that imports `hashlib`. What these functions give is persisted, in manifests, tables
and names of folders: another value makes every one of them unreadable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def of_parts(parts: Iterable[str | bytes | NDArray[Any]], *, num_bytes: int = 16) -> str:
    r"""BLAKE2b of parts that follow each other: texts as UTF-8, arrays by their values row by row.

    Nothing stands between parts: who has several of any length puts a separator or lengths there.

    Args:
        parts: Taken one at a time, so that they need not be in memory together.
        num_bytes: Length of the digest.

    Returns:
        2 * `num_bytes` hexadecimal characters.

    >>> of_parts(["a", b"b"]) == of_parts(["ab"])
    True
    >>> of_parts([np.ones((2, 3)).T]) == of_parts([np.ones(6).tobytes()])
    True
    """
    digest = hashlib.blake2b(digest_size=num_bytes)
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def number_of(text: str) -> int:
    """A number below 2^64 that only depends on a text, for choices that no seed changes."""
    return int(of_parts([text], num_bytes=8), 16)


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file, which is read in pieces.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
