"""The schema of a store's rows: Arrow types, checked tables, and which vectors can be used.

Legend: N rows, D width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors

if TYPE_CHECKING:
    import pyarrow

Vectors = NDArray[np.float32]

BASE_COLUMNS = ("id", "key", "vector")
# Squared lengths of float32 unit vectors differ from 1 by some 1e-6, of ones kept in half precision
# by 1e-3.
UNIT_TOLERANCE = 1e-2


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


def unusable_rows(vectors: Vectors) -> dict[int, str]:
    """Rows that have no direction, and why: NaN, infinite, or of length 0 (or not measurable).

    Args:
        vectors: float32 (N, D).

    Returns:
        Row to reason, in order.

    >>> unusable_rows(np.array([[1, 0], [0, 0], [np.nan, 1]], dtype=np.float32))
    {1: 'length 0', 2: 'NaN'}
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", vectors, vectors)  # (N,)
    found = {}
    for row in np.flatnonzero(~(np.isfinite(squared) & (squared > 0))).tolist():
        if np.isnan(vectors[row]).any():
            found[row] = "NaN"
        elif np.isinf(vectors[row]).any():
            found[row] = "infinite"
        else:
            found[row] = "length 0" if squared[row] == 0 else "too long for float32"
    return found


def is_unit(vectors: Vectors) -> NDArray[np.bool_]:
    """Which rows are finite and of length one, as far as float32 and half precision hold it.

    >>> is_unit(np.array([[0.6, 0.8], [np.nan, 1], [2, 0]], np.float32)).tolist()
    [True, False, False]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("nd,nd->n", vectors, vectors)  # (N,)
        found: NDArray[np.bool_] = np.abs(squared - 1) < UNIT_TOLERANCE  # False for NaN
    return found


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
            "encodes those pictures again",
        )
    return vectors


def check_shape(vectors: Vectors, *, dim: int, num_rows: int) -> None:
    """Refuse what is not float32 of (num_rows, dim).

    Raises:
        VectorError: Wrong type, shape or width.
    """
    kind = getattr(vectors, "dtype", type(vectors).__name__)
    shape = getattr(vectors, "shape", "without a shape")
    if kind != np.float32 or shape != (num_rows, dim):
        raise errors.VectorError(
            f"vectors of {kind} {shape} were given; float32 ({num_rows}, {dim}) is allowed: one "
            "a row, of the store's width",
            hint="numpy.asarray(vectors, dtype=numpy.float32), one row for each id",
        )


def check_vectors(vectors: Vectors, *, dim: int, ids: Sequence[str]) -> None:
    """Refuse vectors that cannot be stored.

    Args:
        vectors: Should be float32 (N, D), every row with a direction.
        dim: D.
        ids: N names of the rows, for the message.

    Raises:
        VectorError: Wrong type, shape or width, or unusable rows; names the first three.
    """
    check_shape(vectors, dim=dim, num_rows=len(ids))
    if bad := unusable_rows(vectors):
        first = ", ".join(
            f"row {row} ({ids[row]!r}): {reason}" for row, reason in list(bad.items())[:3]
        )
        raise errors.VectorError(
            f"{len(bad)} of {len(ids)} vectors cannot be used: {first}; each must be finite and "
            "longer than 0",
            hint="leave those rows out, or look at what the tower got for them",
        )


def repair_hint(store: Path | str) -> str:
    """What to do with a damaged store."""
    return (
        f"polyglance check-index {store} says what is left, and mends it with --repair; or get the "
        "folder from a copy"
    )
