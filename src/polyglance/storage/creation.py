"""Creation of a store: an empty table, what is noted of it, and the manifest, written last."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.storage import atomic, checksums, identity, locks, schema
from polyglance.storage.identity import LOCK_NAME, MANIFEST_NAME, TABLE_NAME, StoreFacts

if TYPE_CHECKING:
    import pyarrow


def create(
    path: Path,
    facts: StoreFacts,
    *,
    extra_columns: Mapping[str, pyarrow.DataType],
    extra_facts: Mapping[str, Any],
) -> None:
    """Make an empty store; arguments and errors are those of `Store.create`."""
    import lance

    columns = schema.schema_of(facts.dim, extra_columns)
    with atomic.disk_errors(f"the store {path}"):
        path.mkdir(parents=True, exist_ok=True)
        with locks.FolderLock(path / LOCK_NAME, owner=f"the store {path}").hold():
            if (path / MANIFEST_NAME).exists():
                raise errors.StoreError(
                    f"there is a store at {path} already", hint="open it, or give a new folder"
                )
            identity.require_no_table(path)
            folder = path / TABLE_NAME
            shutil.rmtree(folder, ignore_errors=True)
            (path / checksums.NAME).unlink(missing_ok=True)  # of the table that went
            table_id = identity.new_table_id()
            content = identity.content(facts, extra_facts, table_id=table_id)
            table = lance.write_dataset(columns.empty_table(), str(folder.absolute()))
            identity.note(table, content)
            checksums.note(path, table, folder=folder)
            identity.write(path / MANIFEST_NAME, content)
