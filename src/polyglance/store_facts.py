"""Whose vectors are these? What a store says of itself, in its folder and in its table.

The folder's manifest is what is read there. The table says the same, so that it goes alone to
object storage and is opened there by its address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyglance import errors, files, store_rows

if TYPE_CHECKING:
    import lance

TABLE_NAME = "vectors.lance"
KEY = "polyglance.store"
KIND, SCHEMA_VERSION = "store", 1


@dataclass(frozen=True, kw_only=True)
class StoreFacts:
    """Whose vectors a store holds; two towers never share one.

    Attributes:
        modality: `image`, `text` or `audio`.
        dim: Width D.
        fingerprint: Which tower made them.
        space_id: Which space they lie in.
        output: `embedding`, or `pre_projection` for the features in front of the projection.
    """

    modality: str
    dim: int
    fingerprint: str
    space_id: str
    output: str = "embedding"


def facts_in(found: Mapping[str, Any], *, place: Path | str) -> StoreFacts:
    """The facts that a manifest names.

    Args:
        found: What it says.
        place: Where it stands, for the message.

    Raises:
        StoreError: One of them is not named.
    """
    names = StoreFacts.__dataclass_fields__
    if missing := [name for name in names if name not in found]:
        raise errors.StoreError(
            f"{place} does not say its {', '.join(missing)}",
            hint="the store is damaged: delete the folder and embed again",
        )
    return StoreFacts(**{name: found[name] for name in names})


def note(table: lance.LanceDataset, content: Mapping[str, Any]) -> bool:
    """Write a manifest's content into the table as well.

    Returns:
        Whether it was written: the table said nothing, or had other facts of its maker's.
    """
    noted = table.config().get(KEY)
    if noted is not None and json.loads(noted).get("facts") == content.get("facts"):
        return False
    said = files.manifest(content, kind=KIND, schema_version=SCHEMA_VERSION)
    table.update_config({KEY: json.dumps(said)})
    return True


def noted_at(address: str) -> dict[str, Any]:
    """What the table at an address says.

    Args:
        address: As for `Store.open`.

    Raises:
        UnavailableError: There is no table, or it cannot be reached.
        StoreError: It says nothing, or is of another schema version.
    """
    import lance

    try:
        noted = lance.dataset(table_at(address)).config().get(KEY)
    except (OSError, ValueError) as error:
        raise errors.UnavailableError(
            f"no table can be opened at {table_at(address)}: "
            f"{str(error)[: store_rows.SHOWN_CHARACTERS]}",
            hint="give the address of an index; keys and end points of a storage are taken from "
            "the environment, as AWS_ACCESS_KEY_ID and AWS_ENDPOINT",
        ) from error
    if noted is None:
        raise errors.StoreError(
            f"the table at {table_at(address)} does not say whose vectors it holds",
            hint="index again with this version of polyglance, then copy the table",
        )
    return files.checked_manifest(
        json.loads(noted), place=address, kind=KIND, schema_version=SCHEMA_VERSION
    )


def is_address(place: Path | str) -> bool:
    """Whether it is an address such as `s3://bucket/index`, and no path.

    >>> is_address("s3://bucket/index"), is_address("index"), is_address(Path("a://b"))
    (True, False, False)
    """
    return isinstance(place, str) and "://" in place


def table_at(address: str) -> str:
    """The table of a store's address, which may be the table's own.

    >>> table_at("s3://bucket/index/"), table_at("s3://bucket/photos.lance")
    ('s3://bucket/index/vectors.lance', 's3://bucket/photos.lance')
    """
    plain = address.rstrip("/")
    return plain if plain.endswith(".lance") else f"{plain}/{TABLE_NAME}"
