"""Identity of a store: whose vectors it holds, as its folder and its table say.

The folder's manifest is what is read there. The table says the same, so that it goes alone to
object storage and is opened there by its address.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from polyglance import __version__, errors
from polyglance.records import Modality, Output
from polyglance.storage import atomic, manifest_fields, manifests, schema
from polyglance.storage.manifest_fields import Name, Width

if TYPE_CHECKING:
    import lance

TABLE_NAME = "vectors.lance"
MANIFEST_NAME = "store.json"
LOCK_NAME = "store.lock"
KEY = "polyglance.store"
KIND, SCHEMA_VERSION = "store", 1
TableId = Annotated[
    str, manifest_fields.form("(?:[0-9a-f]{32})?", "32 hexadecimal digits, or nothing")
]


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

    modality: Modality
    dim: Width
    fingerprint: Name
    space_id: Name
    output: Output = "embedding"


@dataclass(frozen=True, kw_only=True)
class StoreManifest(StoreFacts):
    """All that a store says of itself.

    Attributes:
        created_by: Which program wrote it.
        facts: What its maker noted beside.
        table_id: Which table it is of, at random and for good; empty in a store from before.
    """

    created_by: str = ""
    table_id: TableId = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_vectors(self) -> StoreFacts:
        """The facts alone."""
        return StoreFacts(**{each.name: getattr(self, each.name) for each in fields(StoreFacts)})


def read(path: Path) -> StoreManifest:
    """What the manifest of a folder says.

    Raises:
        StoreError: Something that is not allowed, or not what was written.
    """
    hint = repair_hint(path.parent)
    try:
        return manifests.read_manifest_as(
            StoreManifest, path, kind=KIND, schema_version=SCHEMA_VERSION, hint=hint
        )
    except (errors.InputError, errors.StoreError) as error:
        if _is_newer(path):
            raise
        raise errors.StoreError(error.message, hint=hint) from error


def _is_newer(path: Path) -> bool:
    """Whether a manifest is one of a later version of this program."""
    try:
        found = atomic.read_json(path)
    except errors.InputError:
        return False
    version = found.get("schema_version") if isinstance(found, dict) else None
    return isinstance(version, int) and version > SCHEMA_VERSION and found.get("kind") == KIND


def repair_hint(store: Path) -> str:
    """What to do with a store whose manifest is damaged or gone."""
    return (
        f"polyglance check-index {store} --repair takes it from the table, which says the same; or "
        "get the folder from a copy"
    )


def require_no_table(store: Path) -> None:
    """Refuse to take a folder for unfinished that has rows and has only lost its manifest.

    Raises:
        StoreError: With the command that writes the manifest again.
    """
    if any((store / TABLE_NAME / "data").glob("*")):
        raise errors.StoreError(
            f"the store {store} has a table with rows and no manifest, which says whose they are",
            hint=repair_hint(store),
        )


def content(facts: StoreFacts, extra_facts: Mapping[str, Any], *, table_id: str) -> dict[str, Any]:
    """What a manifest says of a store."""
    made_by = f"polyglance {__version__}"
    said = {"created_by": made_by, "table_id": table_id, "facts": dict(extra_facts)}
    return {**asdict(facts), **said}


def new_table_id() -> str:
    """An id that no other table has."""
    return secrets.token_hex(16)


def write(path: Path, said: Mapping[str, Any]) -> None:
    """Write the manifest of a folder."""
    manifests.write_manifest(path, said, kind=KIND, schema_version=SCHEMA_VERSION)


def require_same(held: StoreFacts, given: StoreFacts, *, place: Path) -> None:
    """Refuse facts that are not a store's; as `Store.require`.

    Args:
        held: The store's.
        given: Others.
        place: The store's folder, for the message.

    Raises:
        SpaceMismatchError: Another space.
        StoreError: Another tower, modality, output or width.
    """
    hint = "give another folder for this tower, or the tower that the store was made with"
    if given.space_id != held.space_id:
        raise errors.SpaceMismatchError(
            f"vectors of the space {given.space_id!r} for the store {place}, which holds the space "
            f"{held.space_id!r}",
            hint=hint,
        )
    mine, theirs = asdict(held), asdict(given)
    if other := [name for name in mine if mine[name] != theirs[name]]:
        said = "; ".join(
            f"{name} {theirs[name]!r} was given, it has {mine[name]!r}" for name in other
        )
        raise errors.StoreError(f"the store {place} was made otherwise: {said}", hint=hint)


def note(table: lance.LanceDataset, content: Mapping[str, Any], *, again: bool = False) -> bool:
    """Write a manifest's content into the table as well; False where it is there already.

    Args:
        table: The store's.
        content: Of the manifest.
        again: Whether what is there is replaced.
    """
    missing = again or KEY not in table.config()
    if missing:
        said = manifests.manifest(content, kind=KIND, schema_version=SCHEMA_VERSION)
        table.update_config({KEY: json.dumps(said)})
    return missing


def require_same_table(table: lance.LanceDataset, table_id: str, *, store: Path) -> None:
    """Refuse a table that another store was made with and that was put in the place of this one's.

    Args:
        table: As it is open.
        table_id: What the store's manifest says; where that is nothing, nothing is compared.
        store: The store's folder.

    Raises:
        StoreError: It is the table of another store.
    """
    if not table_id:
        return
    noted = table.config().get(KEY)
    if noted is None and not table.count_rows():
        return  # the first version of a new store, before its note
    found = _parsed(noted)
    if found.get("table_id") != table_id:
        raise errors.StoreError(
            f"the table in {store} is another store's: it was put in the place of its own",
            hint=f"get the folder {store} from a copy; or delete it and index again",
        )


def _parsed(noted: str | None) -> dict[str, Any]:
    """A note as it stands in a table; nothing where it cannot be read."""
    try:
        found = json.loads(noted or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def noted_at(address: str) -> StoreManifest:
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
            f"no table can be opened at {table_at(address)}: {errors.first_line(error)}",
            hint="give the address of an index; keys and end points of a storage are taken from "
            "the environment, as AWS_ACCESS_KEY_ID and AWS_ENDPOINT",
        ) from error
    if noted is None:
        raise errors.StoreError(
            f"the table at {table_at(address)} does not say whose vectors it holds",
            hint="index again with this version of polyglance, then copy the table",
        )
    said = manifests.checked_manifest(
        json.loads(noted), place=address, kind=KIND, schema_version=SCHEMA_VERSION
    )
    return manifest_fields.read(
        StoreManifest, said, place=address, hint="copy the table there anew"
    )


def noted_in(table: Path) -> dict[str, Any]:
    """The content of the manifest, as the table of a folder holds it.

    Raises:
        StoreError: It holds none, or cannot be read.
    """
    import lance

    with schema.reading(table.parent):
        noted = lance.dataset(str(table.absolute())).config().get(KEY)
    if noted is None:
        raise errors.StoreError(
            f"the table {table} does not say whose vectors it holds",
            hint="get the folder from a copy, or delete it and index again",
        )
    return manifests.checked_manifest(
        json.loads(noted), place=table, kind=KIND, schema_version=SCHEMA_VERSION
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
