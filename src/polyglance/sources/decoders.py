"""The decoders: from the bytes of a file to what towers preprocess, one for each modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import BinaryIO

from polyglance.records import Decoded, Modality, Taken
from polyglance.sources import images, sounds

DECODERS: Mapping[Modality, Callable[..., Decoded]] = MappingProxyType(
    {"image": images.decode, "audio": sounds.decode}
)
# What says when and where without being decoded.
TAKEN: Mapping[Modality, Callable[[BinaryIO], Taken]] = MappingProxyType(
    {"image": images.read_taken}
)


def decode(data: bytes, *, name: str, modality: Modality) -> Decoded:
    """Decode one file.

    Args:
        data: Its bytes.
        name: What to call it in messages.
        modality: What it is.

    Raises:
        InputError: It cannot be read; says why.
        MissingExtraError: The library that reads it is not installed.
    """
    return DECODERS[modality](data, name=name)


def read_taken(file: BinaryIO, modality: Modality) -> Taken:
    """When and where the item of an open file was recorded, as far as it says."""
    return TAKEN[modality](file) if modality in TAKEN else Taken()
