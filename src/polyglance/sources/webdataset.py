"""Which samples are in webdataset's tars? Their members by place, so that none is unpacked.

A shard is a plain tar in which `000.jpg`, `000.txt` and `000.json` stand side by side: one sample,
named by what is in front of the first dot. A tar holds its members as they are, so a picture is a
span of the shard, which any thread can read without the others.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import ImageFile
from polyglance.sources.images import readable_suffixes

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of a shard.

    Attributes:
        image: The picture; its id is `shard/member`.
        fields: What stands beside it: suffix (`txt`, `json`, `cls`) to offset and length.
    """

    image: ImageFile
    fields: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one tar holds.

    Attributes:
        name: As in the ids of its samples.
        path: The tar.
        samples: With a picture, in the order of the file.
        problem: Why reading stopped early; None where it did not.
    """

    name: str
    path: Path
    samples: tuple[Sample, ...]
    problem: str | None = None


def find_shards(path: Path) -> list[Path]:
    """The tars that a path names: itself, or those of a folder and its subfolders, sorted.

    Raises:
        InputError: There is none.
    """
    path = Path(path)
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*.tar") if p.is_file())
    if not found:
        raise errors.InputError(
            f"there is no tar in {path}; plain .tar files are read",
            hint="give a tar, or the folder that holds them",
        )
    return found


def read_shards(path: Path) -> list[Shard]:
    """List the samples of a tar, or of all tars of a folder; reads headers only.

    Args:
        path: A tar, or a folder; a shard is named by its path inside it, without `.tar`.
    """
    path = Path(path)
    root = path.parent if path.is_file() else path
    return [
        read_shard(tar, name=tar.relative_to(root).with_suffix("").as_posix())
        for tar in find_shards(path)
    ]


def read_shard(path: Path, *, name: str) -> Shard:
    """List the samples of one tar; what comes after a damaged place is not seen.

    Args:
        path: The tar.
        name: What its ids shall begin with.
    """
    images: dict[str, tuple[str, Span]] = {}  # sample to member and place
    fields: dict[str, dict[str, Span]] = {}
    suffixes, problem = readable_suffixes(), None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                folder, _, base = member.name.rpartition("/")
                stem, _, suffix = base.partition(".")
                if not member.isreg() or member.issparse() or not stem:
                    continue
                sample, span = f"{folder}/{stem}", (member.offset_data, member.size)
                if f".{suffix.lower()}" in suffixes:
                    images[sample] = (_utf8(member.name), span)
                else:
                    fields.setdefault(sample, {})[suffix.lower()] = span
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}; plain tars are read, no compressed ones"
    samples = (
        Sample(image=ImageFile(f"{name}/{member}", path, span), fields=fields.get(sample, {}))
        for sample, (member, span) in images.items()
    )
    return Shard(name=name, path=path, samples=tuple(samples), problem=problem)


def read_span(path: Path, span: Span) -> bytes:
    """The bytes of one place of a file.

    Raises:
        OSError: The file ends before them.
    """
    offset, length = span
    with Path(path).open("rb") as file:
        file.seek(offset)
        data = file.read(length)
    if len(data) < length:
        raise OSError(f"the file ends {length - len(data):,} bytes early")
    return data


def describe(sample: Sample) -> dict[str, str]:
    """The caption and address that stand beside a picture, as far as they do.

    `txt` is the caption, else `caption` in the `json`; `url` in the `json` is the address.

    Returns:
        `caption` and `url`, those that are there.
    """
    facts = facts_of(sample)
    found = {k: facts[k] for k in ("caption", "url") if isinstance(facts.get(k), str)}
    if "txt" in sample.fields:
        text = read_span(sample.image.path, sample.fields["txt"])
        found["caption"] = text.decode("utf-8", "replace").strip()
    return found


def facts_of(sample: Sample) -> Mapping[str, Any]:
    """The object in the `json` beside a picture; empty without one, or where it is no object."""
    if "json" not in sample.fields:
        return {}
    try:
        facts = json.loads(read_span(sample.image.path, sample.fields["json"]))
    except ValueError:
        return {}
    return facts if isinstance(facts, Mapping) else {}


def _utf8(name: str) -> str:
    """A member's name as valid text; bytes that are not UTF-8 are escaped with a backslash."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def all_samples(shards: Sequence[Shard]) -> list[Sample]:
    """The samples of several shards, in order."""
    return [sample for shard in shards for sample in shard.samples]
