"""Look-up of the items that a task names, in files of a folder and members of tars.

A task knows an item by its file name, with folders before it or without (`val2014/000123.jpg`).
In a tar it may stand under a number instead (`000123.jpg`); then the `json` or `txt` beside it may
say the name. Systems write names in other normal forms and cases (macOS takes an umlaut apart), so
names are looked for without regard to either, and the one spelled as asked goes first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polyglance.records import MediaFile, Modality, Quarantined
from polyglance.sources import formats, walking, webdataset

# Where a sample's json says what its item is called, the surest first.
NAME_KEYS = ("file_name", "filename", "name", "image", "image_path", "path", "key", "url")


@dataclass(frozen=True, kw_only=True)
class Named:
    """What was found.

    Attributes:
        items: Under the names that were asked for, in their order.
        damaged_tars: Tars that could not be read to their end, and why; what they hold behind that
            place is not among the items.
        ambiguous: Names that fit two items of other content or more, and which one was taken.
    """

    items: tuple[MediaFile, ...]
    damaged_tars: tuple[Quarantined, ...]
    ambiguous: tuple[Quarantined, ...] = ()


def find_named(place: Path, names: Sequence[str], modality: Modality) -> Named:
    """Find items by their names, anywhere below a folder, loose or in tars, or in one tar.

    Args:
        place: The folder, or one tar.
        names: File names, with folders before them or without.
        modality: What they are.

    Raises:
        InputError: Where there is neither an item nor a tar.
    """
    tars = [place] if place.is_file() else list(place.rglob("*.tar"))
    loose = walking.survey_folder(place, modality).items if tars and place.is_dir() else ()
    if not tars:
        loose = tuple(walking.find_media(place, modality))
    shards = webdataset.read_shards(place, modality) if tars else []
    asked_by_base: dict[str, list[str]] = {}
    for name in names:
        asked_by_base.setdefault(_parts(name)[-1], []).append(name)
    there: dict[str, list[tuple[str, MediaFile]]] = {}
    for said, item in _called(loose, shards, asked=asked_by_base):
        there.setdefault(_parts(said)[-1], []).append((said, item))
    found: list[MediaFile] = []
    ambiguous: list[Quarantined] = []
    for name in names:
        base = _parts(name)[-1]
        nearest = _nearest(name, there.get(base, []), is_alone=len(asked_by_base[base]) == 1)
        if nearest:
            found.append(replace(nearest[0], id=name))
            if other := _of_other_content(nearest):
                noun = formats.FORMATS[modality].noun
                reason = f"fits several {noun}s; {nearest[0].id} was taken and not {other.id}"
                ambiguous.append(Quarantined(name, reason))
    return Named(
        items=tuple(found),
        damaged_tars=tuple(
            Quarantined(shard.path.name, shard.problem) for shard in shards if shard.problem
        ),
        ambiguous=tuple(ambiguous),
    )


def _called(
    loose: Sequence[MediaFile],
    shards: Sequence[webdataset.Shard],
    *,
    asked: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, MediaFile]]:
    """Every item with what it is called, loose ones first."""
    for item in loose:
        yield item.id, item
    for sample in webdataset.all_samples(shards):
        # A number may look like another item's name: what stands beside it is believed first.
        said = next((name for name in _said_names(sample) if _parts(name)[-1] in asked), None)
        yield said or sample.item.id, sample.item


def _nearest(
    name: str, there: Sequence[tuple[str, MediaFile]], *, is_alone: bool
) -> list[MediaFile]:
    """The items whose path ends most like a name; several where that leaves them level.

    Args:
        name: What is asked for.
        there: Items of that base name, whatever case and normal form, and what they are called.
        is_alone: Whether no other name that is asked for has that base: else its folders and its
            spelling must agree, so that no item answers for two.
    """
    wanted = _parts(name)
    ranked: list[tuple[tuple[int, bool], MediaFile]] = []
    for said, item in there:
        parts = _parts(said)
        level = 0
        while level < min(len(wanted), len(parts)) and wanted[-1 - level] == parts[-1 - level]:
            level += 1
        is_spelled_so = _base_name(said) == _base_name(name)
        if is_alone or (level == len(wanted) and (is_spelled_so or len(wanted) > 1)):
            ranked.append(((level, is_spelled_so), item))
    best = max((rank for rank, _ in ranked), default=None)
    return [item for rank, item in ranked if rank == best]


def _of_other_content(level: Sequence[MediaFile]) -> MediaFile | None:
    """The first of several items that does not hold what the first of all holds."""
    if len(level) < 2:
        return None
    own = _content(level[0])
    return next((other for other in level[1:] if _content(other) != own), None)


def _content(item: MediaFile) -> bytes | None:
    """The bytes of an item; None where they cannot be read, which is told when it is encoded."""
    try:
        return webdataset.read_span(item.path, item.span)
    except OSError:
        return None


def _parts(name: str) -> list[str]:
    """A path in pieces, in the one form in which names are compared.

    >>> _parts("./Val2014/A.JPG")
    ['val2014', 'a.jpg']
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return [part for part in folded.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _said_names(sample: webdataset.Sample) -> list[str]:
    """File names that stand beside an item of a tar."""
    said: list[str] = []
    try:
        facts = webdataset.facts_of(sample)
        said += [_base_name(facts[key]) for key in NAME_KEYS if isinstance(facts.get(key), str)]
        if "txt" in sample.fields:
            text = webdataset.read_span(sample.item.path, sample.fields["txt"])
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
