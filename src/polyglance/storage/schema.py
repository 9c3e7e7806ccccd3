"""The schema of a store's rows: Arrow types, checked tables, and what is read of them.

Legend: N rows, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyglance import errors
from polyglance.vectors import Vectors, check_vectors, is_unit

if TYPE_CHECKING:
    import pyarrow


BASE_COLUMNS = ("id", "key", "vector")


def schema_of(dim: int, extra_columns: Mapping[str, pyarrow.DataType]) -> pyarrow.Schema:
    """The Arrow schema of a store's table.

    Args:
        dim: Width D, 1 or more.
        extra_columns: Columns beyond id, key and vector, name to type.

    Raises:
        ConfigError: A name that is taken, or a width below 1.
    """
    import pyarrow as pa

    if taken := [name for name in extra_columns if name in BASE_COLUMNS]:
        raise errors.ConfigError(
            f"the column name {taken[0]!r} is the store's own; its own are: "
            f"{', '.join(BASE_COLUMNS)}",
            hint="choose another name",
        )
    if dim < 1:
        raise errors.ConfigError(
            f"width {dim} was given; 1 or more is allowed", hint="give the tower's width"
        )
    base = {"id": pa.string(), "key": pa.string(), "vector": pa.list_(pa.float32(), dim)}
    return pa.schema(list({**base, **extra_columns}.items()))


def table_of(
    ids: Sequence[str],
    keys: Sequence[str],
    *,
    vectors: Vectors,
    extra: Mapping[str, Sequence[Any]],
    schema: pyarrow.Schema,
) -> pyarrow.Table:
    """Check rows and make an Arrow table of them, without copying the vectors.

    Args:
        ids: N distinct ids.
        keys: N content keys.
        vectors: float32 (N, D), every row with a direction.
        extra: The values of the columns beyond, N each.
        schema: The store's.

    Raises:
        VectorError: Vectors that cannot be used.
        InputError: Counts that differ, columns missing or unknown, values of the wrong type.
        StoreError: An id twice.
    """
    import pyarrow as pa

    dim = schema.field("vector").type.list_size
    check_vectors(vectors, dim=dim, ids=ids)
    wanted = [name for name in schema.names if name not in BASE_COLUMNS]
    if set(extra) != set(wanted):
        raise errors.InputError(
            f"the columns {sorted(extra)} were given; the store has {sorted(wanted)}",
            hint="give each column once, one value a row",
        )
    if len(set(ids)) != len(ids):
        twice, count = Counter(ids).most_common(1)[0]
        raise errors.StoreError(
            f"the id {twice!r} was given {count} times; ids are unique", hint="give each id once"
        )
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    arrays = {"vector": pa.FixedSizeListArray.from_arrays(flat, dim)}
    for name, values in {"id": ids, "key": keys, **extra}.items():
        if len(values) != len(ids):
            raise errors.InputError(
                f"{len(values)} values of {name} for {len(ids)} ids", hint="give one a row"
            )
        try:
            arrays[name] = pa.array(values, type=schema.field(name).type)
        except (TypeError, ValueError, OverflowError) as error:
            raise errors.InputError(
                f"a value of {name} is not {schema.field(name).type}: {errors.first_line(error)}",
                hint="text must be valid Unicode, numbers must fit their type",
            ) from error
    return pa.table([arrays[name] for name in schema.names], schema=schema)


def matrix(column: pyarrow.FixedSizeListArray) -> Vectors:
    """An Arrow column of vectors as (N, D), without a copy."""
    width = column.type.list_size
    found: Vectors = column.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)
    return found


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """Say of a table that cannot be read that it is damaged, and what to do.

    Lance raises `OSError`, `ValueError` and Arrow's own errors, which are `ValueError`s, too.

    Args:
        place: The store's folder, or its address.

    Raises:
        StoreError: In place of those.
    """
    try:
        yield
    except BaseException as error:
        # What Lance did not expect in a file ends in a panic of Rust, which is no `Exception`.
        is_panic = type(error).__name__ == "PanicException"
        if not (is_panic or isinstance(error, (OSError, ValueError, RuntimeError))):
            raise
        if isinstance(place, str):
            raise errors.StoreError(
                f"the table at {place} cannot be read: {errors.first_line(error)}",
                hint="try again; if it goes on, copy the table there anew",
            ) from error
        raise errors.StoreError(
            f"the table of the store {place} cannot be read: {errors.first_line(error)}",
            hint=repair_hint(place),
        ) from error


def require_unit(vectors: Vectors, *, place: Path | str) -> Vectors:
    """The vectors as they were read, refused where one is not finite or not of length one.

    Args:
        vectors: float32 (N, D), of an index.
        place: Which, for the message.

    Raises:
        StoreError: Says how many are damaged, and the command that mends it.
    """
    sound = is_unit(vectors)
    if not sound.all():
        raise errors.StoreError(
            f"{int((~sound).sum()):,} of {len(vectors):,} vectors of {place} are damaged: not "
            "finite, or not of length one",
            hint=f"polyglance check-index {place} --repair takes them out; polyglance index then "
            "encodes those images again",
        )
    return vectors


def repair_hint(store: Path | str) -> str:
    """What to do with a damaged store."""
    return (
        f"polyglance check-index {store} says what is left, and mends it with --repair; or get the "
        "folder from a copy"
    )
