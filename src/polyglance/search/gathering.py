"""What is there to index? Pictures of a folder, of webdataset tars, or of a table of downloads.

Which of them is decided by what is given:

    FOLDER with images     their ids are the paths inside it
    FILE.tar, or FOLDER    plain tars where a folder has no image of its own; ids are shard/member
    FILE.parquet           downloads: a column `path`, or `key` as img2dataset names its files,
                           beside the parquet or in the folder of its name; `url` and `caption` are
                           kept. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import ImageFile, Quarantined
from polyglance.sources import images, webdataset

Describe = Callable[[ImageFile], Mapping[str, Any]]
DOWNLOAD_COLUMNS = ("path", "key", "url", "caption", "status")


def _nothing(file: ImageFile) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was found, and what is known of it.

    Attributes:
        root: The folder or file below which it lies.
        images: With distinct ids.
        describe: Caption and url of an image, where there are such; reads them when it is called.
        set_aside: What could not be listed: a damaged tar, a row without its file.
        unseen: Ids, or ids with a slash for all below them, that may be there still: nothing is
            concluded from their absence.
        num_videos: Left out.
        num_heic: Left out, since the extra is not installed.
    """

    root: Path
    images: tuple[ImageFile, ...]
    describe: Describe = _nothing
    set_aside: tuple[Quarantined, ...] = ()
    unseen: tuple[str, ...] = ()
    num_videos: int = 0
    num_heic: int = 0

    def may_be_there(self, identity: str) -> bool:
        """Whether an id that was not found is among the `unseen`."""
        return any(
            identity.startswith(name) if name.endswith("/") else identity == name
            for name in self.unseen
        )


def gather(source: Path) -> Gathered:
    """Find what is to be indexed; see the module.

    Raises:
        InputError: There is nothing of these kinds.
    """
    source = Path(source)
    if source.is_file():
        if source.suffix == ".parquet":
            return from_downloads(source)
        if source.suffix == ".tar":
            return from_tars(source)
        raise errors.InputError(
            f"{source} is a file; a folder, a .tar or a .parquet is wanted",
            hint="give the folder that holds the images",
        )
    survey = images.survey_folder(source)
    if not survey.images and next(source.rglob("*.tar"), None) is not None:
        return from_tars(source)
    if not survey.images:
        images.find_images(source)  # says what is wrong
    return Gathered(
        root=source,
        images=survey.images,
        set_aside=tuple(
            Quarantined(name, f"the folder cannot be listed: {reason}")
            for name, reason in survey.unlisted
        ),
        unseen=(*survey.heic, *(f"{name}/" for name, _ in survey.unlisted)),
        num_videos=survey.num_videos,
        num_heic=len(survey.heic),
    )


def from_tars(source: Path) -> Gathered:
    """The pictures of a tar, or of all tars of a folder."""
    shards = webdataset.read_shards(source)
    by_id = {sample.image.id: sample for sample in webdataset.all_samples(shards)}
    broken = [shard for shard in shards if shard.problem is not None]
    if not by_id:
        raise errors.InputError(
            f"there is no picture in the {len(shards)} tars of {source}"
            + (f"; {broken[0].path}: {broken[0].problem}" if broken else ""),
            hint="a sample is 000.jpg with 000.txt or 000.json beside it, in a plain tar",
        )
    return Gathered(
        root=source,
        images=tuple(sample.image for sample in by_id.values()),
        describe=lambda file: webdataset.describe(by_id[file.id]),
        set_aside=tuple(Quarantined(s.name, s.problem or "") for s in broken),
        unseen=tuple(f"{shard.name}/" for shard in broken),
    )


def from_downloads(table_path: Path) -> Gathered:
    """The files that a parquet of downloads names.

    Raises:
        InputError: It names none, or cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(table_path).names
        table = pq.read_table(table_path, columns=[n for n in DOWNLOAD_COLUMNS if n in there])
    except (OSError, ValueError) as error:
        raise errors.InputError(
            f"{table_path} cannot be read as parquet: {error}", hint="write it again"
        ) from error
    if not {"path", "key"} & set(there):
        raise errors.InputError(
            f"{table_path} has the columns {', '.join(there)}; path or key is wanted",
            hint="name the file of each url in a column path, relative to the parquet",
        )
    root = table_path.parent
    names = _names_by_key(table_path) if "path" not in there else {}
    found: dict[str, dict[str, Any]] = {}
    aside = []
    for row in table.to_pylist():
        if row.get("status", "success") != "success":
            continue
        given = str(row["path"] if "path" in there else row["key"])
        path = root / given if "path" in there else names.get(given)
        if path is None or not path.is_file():
            aside.append(Quarantined(given, "there is no such file"))
        elif not path.resolve().is_relative_to(root.resolve()):
            aside.append(Quarantined(given, f"it lies outside {root}"))
        else:
            kept = {name: str(row[name]) for name in ("url", "caption") if row.get(name)}
            found[path.resolve().relative_to(root.resolve()).as_posix()] = kept
    if not found:
        raise errors.InputError(
            f"none of the {len(table)} files that {table_path} names is there",
            hint="download them first (img2dataset does); no url is fetched here",
        )
    return Gathered(
        root=root,
        images=tuple(ImageFile(name, root / name) for name in sorted(found)),
        describe=lambda file: found[file.id],
        set_aside=tuple(aside),
    )


def _names_by_key(table_path: Path) -> dict[str, Path]:
    """Image files beside a parquet and in the folder of its name, by their stem."""
    suffixes, found = images.readable_suffixes(), {}
    for folder in (table_path.parent, table_path.with_suffix("")):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in suffixes:
                found[path.stem] = path
    return found
