"""Samples of webdataset's tars: their members by place, so that none is unpacked.

A shard is a plain tar in which `000.jpg`, `000.txt` and `000.json` stand side by side. Every
image or sound in it is an item; what stands beside it shares its name, to the last dot (`a.b.txt`
with `a.b.jpg`), or to the first, as webdataset itself divides names (`000.txt` with
`000.left.jpg`). A tar holds its members as they are, so an item is a span of the shard, which any
thread can read without the others. By hand, since webdataset itself reads a shard from its
beginning to its end.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import MediaFile, Modality
from polyglance.sources import formats, walking
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Skipped, Why
from polyglance.sources.walking import survey_folder, valid_name

Span = tuple[int, int]
Remark = Callable[[str], None]

# A caption or a json that is longer is no description of an item.
MOST_FIELD_BYTES = 1 << 20
# What Python's reader raises for headers that are damaged.
DAMAGED = (tarfile.TarError, OSError, EOFError, ValueError, ArithmeticError, LookupError)
GZIP_HEAD = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of a shard.

    Attributes:
        item: The item; its id is `shard/member`.
        fields: What stands beside it: suffix (`txt`, `json`, `cls`) to offset and length.
    """

    item: MediaFile
    fields: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one tar holds.

    Attributes:
        name: As in the ids of its samples.
        path: The tar.
        samples: With an item, in the order of the file; their ids are distinct.
        skipped: Members that are neither an item nor beside one, and why they are left out.
        problem: Why reading stopped early; None where it did not.
    """

    name: str
    path: Path
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()
    problem: str | None = None


def find_shards(path: Path, modality: Modality) -> list[MediaFile]:
    """The tars that a path names: itself, or those of a folder and its subfolders, sorted by id.

    Raises:
        InputError: There is none.
    """
    path = Path(path)
    if os.path.isfile(path):
        return [MediaFile(valid_name(path.name), path, modality=modality)]
    survey = survey_folder(path, modality)
    if not survey.tars:
        raise walking.nothing_found(path, survey.skipped, modality, wanted="tar")
    return list(survey.tars)


def read_shards(path: Path, modality: Modality) -> list[Shard]:
    """List the samples of a tar, or of all tars of a folder; reads headers only.

    Args:
        path: A tar, or a folder; a shard is named by its path inside it, without `.tar`.
        modality: What is looked for in it.
    """
    tars = find_shards(path, modality)
    return [read_shard(tar.path, modality, name=shard_name(tar.id)) for tar in tars]


def shard_name(identity: str) -> str:
    """The name of a shard, by the id of its tar."""
    stem, suffix = os.path.splitext(identity)
    return stem if suffix.lower() == formats.TAR_SUFFIX else identity


def read_shard(
    path: Path, modality: Modality, *, name: str, exclude: Patterns | None = None
) -> Shard:
    """List the samples of one tar; what comes after a damaged place is not seen.

    Args:
        path: The tar.
        modality: What is looked for in it.
        name: What its ids are to begin with.
        exclude: Which members are left out, by their ids.
    """
    listing = _Listing(name, exclude or Patterns(()), modality)
    problem = None
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                listing.take(member, read_head=partial(_head_of, tar, member.offset_data))
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            problem = _problem_behind(path, tar.offset)
    except DAMAGED as error:
        problem = _problem_of(path, error)
    return Shard(
        name=name,
        path=path,
        samples=tuple(listing.samples(path)),
        skipped=tuple(listing.skipped()),
        problem=problem,
    )


class _Listing:
    """The members of a tar that was read so far."""

    def __init__(self, shard: str, exclude: Patterns, modality: Modality) -> None:
        self.shard, self.exclude, self.modality = shard, exclude, modality
        self.items: dict[str, Span] = {}  # name to place
        self.fields: dict[str, dict[str, Span]] = {}  # name without suffix to suffix to place
        self.left_out: list[Skipped] = []

    def take(self, member: tarfile.TarInfo, *, read_head: Callable[[], bytes]) -> None:
        """Note a member.

        Args:
            member: Which.
            read_head: Gives its first bytes, where its name does not say what it is.
        """
        if member.size < 0:  # reading would go in a circle
            raise tarfile.ReadError(
                f"the member {member.name} says that it has {member.size} bytes"
            )
        if member.isdir():
            return
        name = valid_name(member.name)
        identity = f"{self.shard}/{name}"
        why = self._why_not(member, identity, read_head)
        stem, suffix = os.path.splitext(name)
        span = (member.offset_data, member.size)
        if why is None and name in self.items:
            # As a tar is unpacked, too: the later of two members takes the place of the earlier.
            self.left_out.append(Skipped(identity, Why.CLASH, "a later member has its name"))
        if why is None:
            self.items[name] = span
        elif why is Why.OTHER:
            self.fields.setdefault(stem, {})[suffix[1:].lower()] = span
        else:
            self.left_out.append(Skipped(identity, why))

    def _why_not(
        self, member: tarfile.TarInfo, identity: str, read_head: Callable[[], bytes]
    ) -> Why | None:
        """The reason to leave a member out; `OTHER` for what may stand beside an item."""
        if not member.isreg() or member.issparse():
            return Why.SPECIAL
        if self.exclude.match(identity):
            return Why.EXCLUDED
        *folders, base = identity.removeprefix(f"{self.shard}/").split("/")
        for part in folders:
            if part not in (".", "..") and (why := walking.why_by_name(part, is_folder=True)):
                return why
        if why := walking.why_by_name(base, is_folder=False):
            return why
        suffix = os.path.splitext(base)[1].lower()
        if suffix == formats.TAR_SUFFIX:
            return Why.ARCHIVE
        return formats.why_by_content(suffix, self.modality, read_head)

    def samples(self, path: Path) -> list[Sample]:
        """Each item with what stands beside it; the nearer name wins."""
        found = []
        for name, span in self.items.items():
            fields = {k: v for stem in _stems(name) for k, v in self.fields.get(stem, {}).items()}
            file = MediaFile(f"{self.shard}/{name}", path, span, modality=self.modality)
            found.append(Sample(item=file, fields=fields))
        return found

    def skipped(self) -> list[Skipped]:
        """What was left out, with the side files that stand beside no item."""
        beside = {stem for name in self.items for stem in _stems(name)}
        alone = [
            Skipped(f"{self.shard}/{stem}.{suffix}".rstrip("."), Why.OTHER)
            for stem, suffixes in self.fields.items()
            if stem not in beside
            for suffix in suffixes
        ]
        return self.left_out + alone


def _stems(name: str) -> tuple[str, ...]:
    """The names under which an item's side files stand, the nearest last.

    >>> _stems("a/photo.2020.jpg")
    ('a/photo', 'a/photo.2020')
    """
    folder, slash, base = name.rpartition("/")
    first, last = base.partition(".")[0], os.path.splitext(base)[0]
    return tuple(dict.fromkeys((folder + slash + first, folder + slash + last)))


def _head_of(tar: tarfile.TarFile, offset: int) -> bytes:
    assert tar.fileobj is not None
    tar.fileobj.seek(offset)
    return bytes(tar.fileobj.read(formats.HEAD_BYTES))


def _problem_of(path: Path, error: Exception) -> str:
    """Why a tar cannot be read, or not to its end."""
    try:
        with open(path, "rb") as file:
            compressed = file.read(len(GZIP_HEAD)) == GZIP_HEAD
    except OSError:
        compressed = False
    if compressed:
        return "it is compressed; plain tars are read: gunzip it"
    said = getattr(error, "strerror", None) or errors.first_line(error)
    return f"it is damaged or cut: {said}"


def _problem_behind(path: Path, end: int) -> str | None:
    """What is wrong behind the last member: Python's reader ends at damage as at the end mark."""
    with open(path, "rb") as file:
        file.seek(end)
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                return f"it is damaged at byte {end:,}, or tars were joined: the rest is not seen"
    return None


def read_span(path: Path, span: Span | None) -> bytes:
    """The bytes of one place of a file; None for all of them.

    Raises:
        OSError: The file ends before them.
    """
    if span is None:
        return Path(path).read_bytes()
    offset, length = span
    with Path(path).open("rb") as file:
        early = offset + length - os.fstat(file.fileno()).st_size
        if early > 0:
            raise OSError(f"the file ends {early:,} bytes early")
        file.seek(offset)
        data = file.read(length)
    if len(data) < length:  # it became shorter meanwhile
        raise OSError("the file ends early")
    return data


def _nothing(what: str) -> None:
    del what


def describe(sample: Sample, *, remark: Remark = _nothing) -> dict[str, str]:
    """The caption and address that stand beside an item, as far as they do.

    `txt` is the caption, else `caption` in the `json`; `url` in the `json` is the address. What is
    damaged costs the item nothing.

    Args:
        sample: The item.
        remark: Is told what could not be read as it is.

    Returns:
        `caption` and `url`, those that are there, valid Unicode.
    """
    facts = facts_of(sample, remark=remark)
    found = {k: facts[k] for k in ("caption", "url") if isinstance(facts.get(k), str)}
    if text := _field(sample, "txt", remark):
        try:
            found["caption"] = text.decode(_encoding_of(text)).strip()
        except UnicodeDecodeError:
            found["caption"] = text.decode("utf-8", "replace").strip()
            remark("its caption is not UTF-8; what was not is shown as \ufffd")
    return {name: _mended(text, name, remark) for name, text in found.items()}


def facts_of(sample: Sample, *, remark: Remark = _nothing) -> Mapping[str, Any]:
    """The object in the `json` beside an item; empty without one, or where it is no object."""
    written = _field(sample, "json", remark)
    if not written:
        return {}
    try:
        facts = json.loads(written)
    except (ValueError, RecursionError) as error:
        remark(f"its json cannot be read: {errors.first_line(error)}")
        return {}
    return facts if isinstance(facts, Mapping) else {}


def _field(sample: Sample, suffix: str, remark: Remark) -> bytes:
    """The bytes of a side file; empty where there is none, or it cannot be read."""
    span = sample.fields.get(suffix)
    if span is None:
        return b""
    if span[1] > MOST_FIELD_BYTES:
        remark(f"its {suffix} has {span[1]:,} bytes; {MOST_FIELD_BYTES:,} are read at most")
        return b""
    try:
        return read_span(sample.item.path, span)
    except OSError as error:
        remark(f"its {suffix} cannot be read: {error.strerror or error}")
        return b""


def _encoding_of(text: bytes) -> str:
    """By the mark in front; UTF-8 without one."""
    return "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _mended(text: str, name: str, remark: Remark) -> str:
    mended = valid_text(text)
    if mended != text:
        remark(f"its {name} holds what is no text; that is shown as \ufffd")
    return mended


def valid_text(text: str) -> str:
    """Valid Unicode without NUL: half of a pair, as in half an emoji, becomes U+FFFD."""
    mended = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return mended.replace("\0", "\ufffd")


def all_samples(shards: Sequence[Shard]) -> list[Sample]:
    """The samples of several shards, in order."""
    return [sample for shard in shards for sample in shard.samples]
