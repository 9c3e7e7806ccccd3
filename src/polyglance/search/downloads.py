"""Tables of downloads: the files that a parquet names, loose or in the tar of its name.

A column `path` names files, relative to the parquet; or `key`, as img2dataset does, those beside
the parquet, in the folder of its name, or in the tar of its name. `url` and `caption` are kept.
Nothing is fetched: a row whose file is there is taken, whatever its `status` says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.records import MediaFile, Modality, Quarantined
from polyglance.search.scan_result import Gathered
from polyglance.sources import webdataset
from polyglance.sources.formats import readable_suffixes
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why, summary
from polyglance.sources.walking import valid_name

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("path", "key", "url", "caption", "status")
SUCCESS = "success"


def from_downloads(table_path: Path, modality: Modality, *, exclude: Patterns) -> Gathered:
    """The files that a parquet of downloads names; see the module.

    Args:
        table_path: The parquet.
        modality: What the files are.
        exclude: Which are left out, by their ids.

    Raises:
        InputError: It names none that is there, or cannot be read.
    """
    rows, columns = _read_rows(table_path)
    if not {"path", "key"} & set(columns):
        raise errors.InputError(
            f"{table_path} has the columns {', '.join(columns)}; path or key is wanted",
            hint="name the file of each url in a column path, relative to the parquet",
        )
    finder = _Finder(table_path, modality, column="path" if "path" in columns else "key")
    items: dict[str, MediaFile] = {}
    kept: dict[str, dict[str, str]] = {}
    skipped: list[Skipped] = []
    aside = list(finder.aside)
    for number, row in enumerate(rows):
        given, status = row.get(finder.column), row.get("status")
        found = finder.find(given)
        if isinstance(found, str) and status in (None, SUCCESS):
            aside.append(Quarantined(given or f"row {number}", found))
        elif isinstance(found, str):
            skipped.append(Skipped(given or f"row {number}", Why.NOT_DOWNLOADED, status or ""))
        elif exclude.match(found.id):
            skipped.append(Skipped(found.id, Why.EXCLUDED))
        elif found.id in items:
            skipped.append(Skipped(found.id, Why.CLASH, f"row {number} names it again"))
        else:
            items[found.id] = found
            kept[found.id] = {k: v for k in ("url", "caption") if (v := row.get(k))}
    if not items:
        said = "; ".join([*summary(skipped), *(f"{one.id}: {one.reason}" for one in aside[:1])])
        raise errors.InputError(
            f"none of the {len(rows)} files that {table_path} names is there ({said})",
            hint="download them first (img2dataset does); no url is fetched here",
        )
    return Gathered(
        root=table_path.parent,
        items=tuple(items[name] for name in sorted(items)),
        describe=lambda file, remark: kept[file.id],
        set_aside=tuple(aside),
        skipped=tuple(skipped),
        num_tars=finder.num_tars,
    )


class _Finder:
    """Finds the file of a row.

    Args:
        table_path: The parquet.
        modality: What the files are.
        column: Which column names files: `path` or `key`.

    Attributes:
        aside: Tars that cannot be read.
        num_tars: Tars that were looked into.
    """

    def __init__(self, table_path: Path, modality: Modality, *, column: str) -> None:
        self.modality = modality
        self.root = os.path.abspath(table_path.parent)
        self.real_root = os.path.realpath(self.root)
        self.column = column
        self.aside: list[Quarantined] = []
        self.num_tars = 0
        self._by_key: dict[str, MediaFile] = {}
        if column == "key":
            self._list_keys(table_path)

    def find(self, given: str | None) -> MediaFile | str:
        """The file that a row names, or why there is none."""
        if given is None:
            return f"its {self.column} is empty"
        if self.column == "key":
            return self._by_key.get(given, "there is no such file")
        path = os.path.join(self.root, given)
        if not os.path.isfile(path):
            return "there is no such file"
        inside = os.path.relpath(os.path.realpath(path), self.real_root)
        if inside.startswith(".." + os.sep):
            return f"it lies outside {self.root}"
        name = valid_name(inside.replace(os.sep, "/"))
        return MediaFile(name, Path(self.root, inside), modality=self.modality)

    def _list_keys(self, table_path: Path) -> None:
        """Items by the stem of their names, which is their key; loose ones before a tar's."""
        for folder in (table_path.with_suffix(""), table_path.parent):
            for path in self._listed(folder):
                identity = path.relative_to(table_path.parent).as_posix()
                item = MediaFile(valid_name(identity), path, modality=self.modality)
                self._by_key.setdefault(valid_name(path.stem), item)
        tar = table_path.with_suffix(".tar")
        if tar.is_file():
            self.num_tars = 1
            shard = webdataset.read_shard(tar, self.modality, name=valid_name(tar.stem))
            if shard.problem is not None:
                self.aside.append(Quarantined(shard.name, shard.problem))
            for sample in shard.samples:
                self._by_key.setdefault(Path(sample.item.id).stem, sample.item)

    def _listed(self, folder: Path) -> list[Path]:
        """The items of a folder itself, sorted."""
        if not folder.is_dir():
            return []
        suffixes = readable_suffixes(self.modality)
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def _read_rows(table_path: Path) -> tuple[list[dict[str, str | None]], list[str]]:
    """The rows as valid text, and the names of all columns.

    Raises:
        InputError: It is no parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(table_path).names
        table = pq.read_table(table_path, columns=[name for name in COLUMNS if name in there])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise errors.InputError(
            f"{table_path} cannot be read as parquet: {errors.first_line(error)}",
            hint="write it again",
        ) from error
    columns = {name: texts_of(table[name]) for name in table.column_names}
    return [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ], there


def texts_of(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    """The values of a column of any type as valid text; bytes count as UTF-8."""
    import pyarrow as pa

    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # a writer that did not look
        values = column.cast(pa.large_binary()).to_pylist()
    return [_text(value) for value in values]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return webdataset.valid_text(text)
