"""Which pictures at hand are those that a task names? Files of a folder and members of tars.

A task knows a picture by its file name. In a tar it may stand under a number instead
(`000123.jpg`); then the `json` or `txt` beside it may say the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polyglance.records import ImageFile, Quarantined
from polyglance.sources import walking, webdataset

# Where a sample's json says what its picture is called, the surest first.
NAME_KEYS = ("file_name", "filename", "name", "image", "image_path", "path", "key", "url")


@dataclass(frozen=True, kw_only=True)
class Named:
    """What was found.

    Attributes:
        images: Under the names that were asked for, in their order.
        damaged_tars: Tars that could not be read to their end, and why; what they hold behind that
            place is not among the pictures.
    """

    images: tuple[ImageFile, ...]
    damaged_tars: tuple[Quarantined, ...]


def find_named(place: Path, names: Sequence[str]) -> Named:
    """Find pictures by their names, anywhere below a folder, loose or in tars, or in one tar.

    Args:
        place: The folder, or one tar.
        names: File names, without folders.

    Raises:
        InputError: Where there is neither a picture nor a tar.
    """
    wanted = set(names)
    tars = [place] if place.is_file() else list(place.rglob("*.tar"))
    loose = walking.survey_folder(place).images if tars and place.is_dir() else ()
    if not tars:
        loose = tuple(walking.find_images(place))
    found: dict[str, ImageFile] = {}
    for image in loose:
        found.setdefault(Path(image.id).name, image)
    shards = webdataset.read_shards(place) if tars else []
    for sample in webdataset.all_samples(shards):
        # A number may look like another picture's name: what stands beside it is believed first.
        said = next((name for name in _said_names(sample) if name in wanted), None)
        found.setdefault(said or Path(sample.image.id).name, sample.image)
    return Named(
        images=tuple(replace(found[name], id=name) for name in names if name in found),
        damaged_tars=tuple(
            Quarantined(shard.path.name, shard.problem) for shard in shards if shard.problem
        ),
    )


def _said_names(sample: webdataset.Sample) -> list[str]:
    """File names that stand beside a picture of a tar."""
    said: list[str] = []
    try:
        facts = webdataset.facts_of(sample)
        said += [_base_name(facts[key]) for key in NAME_KEYS if isinstance(facts.get(key), str)]
        if "txt" in sample.fields:
            text = webdataset.read_span(sample.image.path, sample.fields["txt"])
            said.append(_base_name(text.decode("utf-8", "replace").strip()))
    except OSError:
        pass  # the tar is cut; that is said already
    return said


def _base_name(text: str) -> str:
    """What a path or address ends in.

    >>> _base_name("val/a b.jpg"), _base_name("x://y/z/a%20b.jpg?size=3")
    ('a b.jpg', 'a b.jpg')
    """
    if "://" in text:
        text = unquote(urlsplit(text).path)
    return text.replace("\\", "/").rpartition("/")[2]
