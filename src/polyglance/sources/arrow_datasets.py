"""Reader of data sets of Hugging Face's library `datasets`: saved to disk, or as Parquet.

    state.json, dataset_info.json, data-NNNNN-of-NNNNN.arrow    what save_to_disk writes
    dataset_dict.json, SPLIT/state.json ...                     the same, split by split
    SPLIT-NNNNN-of-NNNNN.parquet, here or in data/              as data sets are published

The library itself is not needed. An Arrow file is mapped, not read: an image lies in it as it is,
so that it is a span of the file, as the member of a tar is. Parquet packs its values; it is written
once into the user's cache as Arrow, a few rows at a time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polyglance import errors
from polyglance.records import MediaFile, Modality
from polyglance.sources.text_lines import SetAside, entry_of, read_json
from polyglance.storage import atomic, digests, locations

if TYPE_CHECKING:
    import pyarrow

# Which split is measured where there are several, the surest first.
SPLITS = ("test", "validation", "valid", "val", "dev")
# Rows of Parquet that are in memory at once: with images of 10 MB each, 640 MB.
UNPACK_ROWS = 64
UNPACKED = "rows.arrow"
SHARD = re.compile(r"-\d{5}-of-(\d{5})$")
# What a split is called where nothing says so.
UNNAMED = SPLITS[0]
# What the library calls columns of items, and the modality of each.
ITEM_TYPES: Mapping[str, Modality] = {"Image": "image", "Audio": "audio"}
# Columns that say which item a row is about; the number of the row does where there is none.
ID_COLUMNS = ("id", "image_id", "item_id", "audio_id", "file_name", "filename", "key")


@dataclass(frozen=True, kw_only=True)
class SavedDataset:
    """One split of a data set.

    Attributes:
        place: Where it was found, for messages.
        split: Its name; that of the test split where nothing says so.
        paths: Its Arrow files, in the order of their rows.
        columns: Names of its columns.
        features: What the library says of each column; empty where it was written by others.
    """

    place: Path
    split: str
    paths: tuple[Path, ...]
    columns: tuple[str, ...]
    features: Mapping[str, Mapping[str, Any]]

    def item_column(self) -> tuple[str, Modality]:
        """The column of images or sounds, and which of the two.

        Raises:
            InputError: There is none, or more than one; names the columns there are.
        """
        said = {name: str(self.features.get(name, {}).get("_type")) for name in self.columns}
        found = [(name, ITEM_TYPES[kind]) for name, kind in said.items() if kind in ITEM_TYPES]
        if not found:
            named = ((name, known) for name in said for known in ITEM_TYPES.values())
            found = [(name, known) for name, known in named if name == known]
        if len(found) != 1:
            listed = ", ".join(name for name, _ in found) or "none"
            raise self.wrong(
                f"one column of images or sounds is expected, and there is {listed}",
                hint="cast it: cast_column('image', datasets.Image()), or remove the others",
            )
        return found[0]

    def wrong(self, said: str, *, hint: str) -> errors.InputError:
        """An error that names the columns there are."""
        return errors.InputError(
            f"{self.place}: {said}; its columns are {', '.join(self.columns)}", hint=hint
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row: its number, from 1; its item; and the values of other columns that were asked for."""

    number: int
    item: MediaFile
    values: Mapping[str, Any]


def find_dataset(place: Path) -> SavedDataset:
    """The split of a data set that is to be measured: the test split, else the validation split.

    Args:
        place: A folder in one of the forms above, that of a single split, or one Parquet file.

    Raises:
        UnavailableError: There is nothing of the kind.
        InputError: Several splits and none is called so, or files that cannot be read.
    """
    place = Path(place)
    split, given = _files_of_split(place)
    paths = [_as_arrow(path) for path in given]
    schemas = [_opened(path)[1].schema for path in paths]
    for path, schema in zip(given, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise errors.InputError(
                f"{path} has the columns {', '.join(schema.names)}; the first file has "
                f"{', '.join(schemas[0].names)}",
                hint="save the data set again",
            )
    columns = tuple(schemas[0].names)
    features = _features(schemas[0], place)
    return SavedDataset(
        place=place, split=split, paths=tuple(paths), columns=columns, features=features
    )


def read_rows(
    dataset: SavedDataset, *, columns: Sequence[str], set_aside: SetAside
) -> Iterator[Row]:
    """Every row with an item, with the values of some columns; one batch is in memory at once.

    Args:
        dataset: Which.
        columns: Names of columns beside the item's.
        set_aside: Told of each row without an item, and of each whose id an earlier row has with
            another item.

    Raises:
        InputError: For a column of items of another form.
    """
    name, modality = dataset.item_column()
    id_column = next((one for one in ID_COLUMNS if one in dataset.columns and one != name), None)
    wanted = {*columns, *([id_column] if id_column else ())}
    seen: dict[str, tuple[MediaFile, Any]] = {}
    number = 0
    for path in dataset.paths:
        for buffer, values, places in _batches(path, name, wanted):
            for row, place in enumerate(places):
                number += 1
                with entry_of(dataset.place, f"row {number}", set_aside):
                    if place is None:
                        raise errors.InputError(f"{name}: no bytes and no path", hint="mend it")
                    known = str(number if id_column is None else values[id_column][row])
                    if id_column and values[id_column][row] is None:
                        raise errors.InputError(f"{id_column}: there is none", hint="give it one")
                    held: Any = place
                    if isinstance(place, Path):
                        item = MediaFile(
                            known, _folder_of(dataset.place) / place, modality=modality
                        )
                    else:
                        held = buffer.slice(*place)
                        item = MediaFile(known, path, place, modality=modality)
                    # A row a caption: the item is repeated, and is one.
                    item, first = seen.setdefault(known, (item, held))
                    if first != held:
                        raise errors.InputError(
                            f"{id_column} {known!r} is that of an earlier row with another {name}",
                            hint="give every item an id of its own",
                        )
                    taken = {one: values[one][row] for one in columns}
                    yield Row(number=number, item=item, values=taken)


def _folder_of(place: Path) -> Path:
    return place if place.is_dir() else place.parent


def _files_of_split(place: Path) -> tuple[str, list[Path]]:
    """The split to be measured, by name, and its Arrow or Parquet files."""
    if place.is_file():
        return _split_in(place.stem), [place]
    if (place / "dataset_dict.json").is_file():
        listed = _object(place / "dataset_dict.json").get("splits")
        splits = {str(one): place / str(one) for one in listed or ()}
        chosen = _chosen(splits, place)
        return chosen, _files_of_split(splits[chosen])[1]
    if (place / "state.json").is_file():
        state = _object(place / "state.json")
        if state.get("_indices_data_files"):
            raise errors.InputError(
                f"{place} is a selection of rows of another data set",
                hint="save it whole: dataset.flatten_indices().save_to_disk(FOLDER)",
            )
        try:
            files = [place / str(one["filename"]) for one in state["_data_files"]]
        except (KeyError, TypeError):
            files = []
        if not files:
            raise errors.InputError(
                f"{place / 'state.json'} names no files of rows", hint="save the data set again"
            )
        return str(state.get("_split") or UNNAMED), files
    for folder in (place, place / "data"):
        for suffix in ("arrow", "parquet"):
            if found := sorted(folder.glob(f"*.{suffix}")):
                by_split: dict[str, list[Path]] = {}
                for path in found:
                    by_split.setdefault(SHARD.sub("", path.stem), []).append(path)
                chosen = _chosen(by_split, folder)
                _require_all(by_split[chosen])
                return _split_in(chosen), by_split[chosen]
    raise errors.UnavailableError(
        f"there is no data set at {place}: no state.json, *.arrow or *.parquet",
        hint="give the folder that save_to_disk wrote, or one of Parquet files: --data FOLDER",
    )


def _chosen(splits: Collection[str], place: Path) -> str:
    """Which of several splits is measured; names may begin with that of the data set."""
    if len(splits) == 1:
        return next(iter(splits))
    for wanted in SPLITS:
        for name in splits:
            if name == wanted or name.endswith(f"-{wanted}"):
                return name
    raise errors.InputError(
        f"{place} has the splits {', '.join(sorted(splits)) or '(none)'}; expected one of "
        f"{', '.join(SPLITS)}",
        hint="give the folder or the file of one split: --data FOLDER/SPLIT",
    )


def _split_in(stem: str) -> str:
    """The split that a file's name says, as `mine-train-00000-of-00002`."""
    last = SHARD.sub("", stem).rpartition("-")[2]
    return last if last in (*SPLITS, "train") else UNNAMED


def _require_all(paths: Sequence[Path]) -> None:
    """Refuse a split of which a numbered file is missing."""
    said = {int(found[1]) for path in paths if (found := SHARD.search(path.stem))}
    if said and said != {len(paths)}:
        raise errors.InputError(
            f"{paths[0].parent} holds {len(paths)} of the {max(said)} files of its split: "
            f"{', '.join(path.name for path in paths[:5])}",
            hint="fetch all of them, or give one by its name: --data FILE",
        )


def _object(path: Path) -> Mapping[str, Any]:
    found = read_json(path)
    if not isinstance(found, Mapping):
        raise errors.InputError(f"{path}: expected an object", hint="save the data set again")
    return found


def _as_arrow(path: Path) -> Path:
    """The file itself, or what a Parquet file became in the user's cache."""
    if path.suffix != ".parquet":
        return path
    import pyarrow as pa
    from pyarrow import parquet

    try:
        facts = path.stat()
        mark = f"{os.path.abspath(path)}\0{facts.st_size}\0{facts.st_mtime_ns}"
        folder = locations.cache_folder() / "unpacked" / digests.of_parts([mark], num_bytes=12)
        if not (folder / UNPACKED).is_file():
            with (
                parquet.ParquetFile(path) as rows,
                atomic.folder_in_one_step(folder, marker=UNPACKED) as made,
                pa.OSFile(str(made / UNPACKED), "wb") as sink,
                pa.ipc.new_stream(sink, rows.schema_arrow) as writer,
            ):
                for batch in rows.iter_batches(batch_size=UNPACK_ROWS):
                    writer.write_batch(batch)
    except (pa.ArrowException, FileNotFoundError) as error:
        raise _unreadable(path, error) from error
    return folder / UNPACKED


def _opened(path: Path) -> tuple[pyarrow.Buffer, Any]:
    """A mapped file, and the reader of its batches."""
    import pyarrow as pa

    try:
        buffer = pa.memory_map(str(path)).read_buffer()
        is_file = bytes(memoryview(buffer)[:6]) == b"ARROW1"
        opened = pa.ipc.open_file(buffer) if is_file else pa.ipc.open_stream(buffer)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    if is_file:
        batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
        return buffer, _Batches(opened.schema, batches)
    return buffer, opened


@dataclass(frozen=True)
class _Batches:
    """The batches of Arrow's file form, read as those of a stream are."""

    schema: Any
    batches: Iterator[Any]

    def __iter__(self) -> Iterator[Any]:
        return self.batches


def _unreadable(path: Path, error: Exception) -> errors.InputError:
    return errors.InputError(
        f"{path} cannot be read: {errors.first_line(error)}", hint="save the data set again"
    )


def _features(schema: Any, place: Path) -> Mapping[str, Mapping[str, Any]]:
    """What the library wrote of the columns: in the file itself, else in `dataset_info.json`."""
    written = (schema.metadata or {}).get(b"huggingface")
    info: Any = {}
    if written is not None:
        try:
            info = json.loads(written).get("info") or {}
        except (ValueError, AttributeError) as error:
            raise _unreadable(place, error) from error
    elif (place / "dataset_info.json").is_file():
        info = _object(place / "dataset_info.json")
    found = info.get("features") if isinstance(info, Mapping) else None
    named = found if isinstance(found, Mapping) else {}
    return {name: each for name, each in named.items() if isinstance(each, Mapping)}


def _batches(
    path: Path, item: str, columns: Collection[str]
) -> Iterator[tuple[pyarrow.Buffer, dict[str, list[Any]], list[tuple[int, int] | Path | None]]]:
    """The mapped file, and of each batch values by column and the places of the items."""
    import pyarrow as pa

    buffer, reader = _opened(path)
    try:
        for batch in reader:
            values = {name: batch.column(name).to_pylist() for name in columns}
            yield buffer, values, _places(batch.column(item), buffer, path=path, name=item)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _places(
    column: Any, buffer: pyarrow.Buffer, *, path: Path, name: str
) -> list[tuple[int, int] | Path | None]:
    """Where each item is: a span of the mapped file, or a file of its own; None for neither."""
    import pyarrow as pa

    kind = column.type
    paths: list[str | None] = [None] * len(column)
    if pa.types.is_struct(kind):
        fields = dict(zip([field.name for field in kind], column.flatten(), strict=True))
        if "path" in fields:
            paths = fields["path"].to_pylist()
        column = fields.get("bytes")
    elif pa.types.is_string(kind):
        paths, column = column.to_pylist(), None
    if column is not None and not (
        pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
    ):
        raise errors.InputError(
            f"{path}: {name} is {kind}; expected binary, a path, or a struct of bytes and path",
            hint=f"cast it: cast_column('{name}', datasets.Image())",
        )
    spans = [None] * len(paths) if column is None else _spans(column, buffer, path=path)
    return [
        span if span is not None else (Path(said) if said else None)
        for span, said in zip(spans, paths, strict=True)
    ]


def _spans(column: Any, buffer: pyarrow.Buffer, *, path: Path) -> list[tuple[int, int] | None]:
    """Offset and length in the file of each value of a column of bytes; None for null."""
    import pyarrow as pa

    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return [None] * len(column)
    begin = data.address - buffer.address
    if not 0 <= begin <= buffer.size:
        raise errors.InputError(
            f"{path} is compressed; plain Arrow files are read",
            hint="save it without compression, as save_to_disk does",
        )
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    ends = np.frombuffer(offsets, width)[column.offset : column.offset + len(column) + 1]
    there = column.is_valid().to_pylist()
    starts = (ends[:-1].astype(np.int64) + begin).tolist()
    lengths = np.diff(ends).tolist()
    return [
        (start, length) if valid else None
        for start, length, valid in zip(starts, lengths, there, strict=True)
    ]
