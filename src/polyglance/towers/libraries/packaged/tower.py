"""Towers by `packaged:NAME?options`: found in the table, converted once, read by what fits them.

    packaged:multilingual-e5-small                  with `query: ` in front of every text
    packaged:multilingual-e5-small?prompt=passage   with `passage: `
    packaged:use-multilingual-v3

Options are those of the reader: of sentence-transformers' folders for E5 and MiniLM.
"""

from __future__ import annotations

import importlib
from typing import cast

from polyglance import errors
from polyglance.languages import encoder_languages
from polyglance.records import Modality
from polyglance.towers import Tower, TowerReference
from polyglance.towers.libraries.packaged import conversion, table


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Load a packaged tower; the first time its package's files are converted.

    Args:
        reference: `packaged:NAME?options`.
        modality: What it is to read.

    Raises:
        UnknownNameError: For a name that the table does not hold, or an unknown option.
        ConfigError: The tower reads something else.
        MissingExtraError: Its package is not installed.
        UnavailableError: Its package is of another version.
        StoreError: A file of the package is not the published one.
        DiskFullError: There is no room for the converted folder.
    """
    row = table.row_of(reference.location)
    if modality != row.modality:
        fitting = [name for name, each in table.PACKAGED.items() if each.modality == modality]
        raise errors.ConfigError(
            f"{reference} as {modality} tower; it reads {row.modality}",
            hint=f"take one of: {', '.join(fitting) or 'none reads that'}",
        )
    module, _, function = row.reader.partition(":")
    read = getattr(importlib.import_module(module), function)
    tower = cast(Tower, read(conversion.folder_of(reference.location), reference))
    if row.languages:
        tower.languages = tuple(sorted(encoder_languages.languages_in(row.languages)))
    return tower
