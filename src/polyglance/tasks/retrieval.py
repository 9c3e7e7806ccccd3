"""What are the texts and content items of a retrieval task, and which belong to which split?

Legend: M content items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Caption, ImageFile
from polyglance.results import CaptionPolicy
from polyglance.sources import captions

if TYPE_CHECKING:
    from polyglance.sources import pictograms


@dataclass(frozen=True, kw_only=True, eq=False)
class RetrievalData:
    """A retrieval task with its data at hand.

    Attributes:
        task: Name of the task.
        content_ids: M ids, in the order of the content vectors.
        captions: By language.
        policy: Which captions take part.
        splits: By name, which content items (bool (M,)) ask and are asked for. All content items
            and all captions are candidates in every split.
        image_files: The pictures, where the task brings them; empty where the user does.
        num_dropped: What could not take part, by reason.
    """

    task: str
    content_ids: tuple[str, ...]
    captions: Mapping[str, Sequence[Caption]]
    policy: CaptionPolicy
    splits: Mapping[str, NDArray[np.bool_]]
    image_files: tuple[ImageFile, ...] = ()
    num_dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages it has captions in."""
        return tuple(self.captions)

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's texts and the content items they are scored against."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update("".join(f"{content_id}\0" for content_id in self.content_ids).encode())
        said = (f"{caption.content_id}\0{caption.text}\0" for caption in self.captions[language])
        digest.update("".join(said).encode())
        for name, members in self.splits.items():
            digest.update(name.encode() + members.tobytes())
        return digest.hexdigest()

    def only(self, content_ids: Sequence[str], *, reason: str) -> RetrievalData:
        """The task on the content items that are at hand; the others are dropped and counted.

        Args:
            content_ids: What there is.
            reason: Why the others are not there, as `images_missing`.

        Raises:
            UnavailableError: Where none is at hand.
        """
        there = set(content_ids)
        keep = np.array([content_id in there for content_id in self.content_ids], bool)
        if not keep.any():
            raise errors.UnavailableError(
                f"not one of the {len(keep)} images of {self.task} is at hand; "
                f"the first is {self.content_ids[0]}",
                hint="give the folder that holds files of those names: --images FOLDER",
            )
        return replace(
            self,
            content_ids=tuple(np.array(self.content_ids, object)[keep]),
            image_files=tuple(file for file in self.image_files if file.id in there),
            splits={name: members[keep] for name, members in self.splits.items()},
            num_dropped={**self.num_dropped, reason: int((~keep).sum())},
        )


def load_pictograms(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Names of emoji against the pictures of the artist that training never uses.

    Args:
        folder: The world's folder; None fetches it into the user's cache.
        languages: Which ones; None takes all that name enough concepts.
    """
    from polyglance.sources import pictograms

    data = pictograms_of(pictograms.load_world(folder), pictograms.TEST_ARTIST)
    if languages is None:
        return data
    return replace(data, captions=_pick(data.captions, languages, "pictograms"))


def pictograms_of(world: pictograms.World, artist: pictograms.Artist) -> RetrievalData:
    """Names of emoji against one artist's pictures, seen and held-out concepts apart."""
    held_out = np.array([concept.held_out for concept in world.concepts], bool)
    return RetrievalData(
        task="pictograms",
        content_ids=tuple(concept.id for concept in world.concepts),
        captions={
            language: [Caption(concept_id, name, language) for concept_id, name in named.items()]
            for language, named in world.names.items()
        },
        policy="unique",
        splits={"seen": ~held_out, "held_out": held_out},
        image_files=world.image_files(artist),
    )


def load_flickr8k(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """The test split of Flickr8k.

    Args:
        folder: Holds `images.tsv` and `captions.LANG.tsv`.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "flickr8k")
    rows = _by_language(
        where,
        languages,
        pattern="captions.*.tsv",
        dataset="flickr8k",
        read=lambda language: captions.read_flickr8k(where, language, split="test"),
    )
    return _data("flickr8k", rows, policy="all")


def load_xtd(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """XTD in 11 languages, or in the 201 of FLORES, by what the folder holds.

    Args:
        folder: Holds `test_1kcaptions_LANG.txt` or `LANG.txt`, and the image names.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "xtd10")
    rows = _by_language(
        where,
        languages,
        pattern="*.txt",
        dataset="xtd",
        read=lambda language: captions.read_xtd(where, language),
    )
    return _data("xtd10" if len(rows) <= 11 and "xtd200" not in where.name else "xtd200", rows)


def load_xm3600(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Crossmodal-3600: repeated captions have several positives.

    Args:
        folder: Holds `captions_LANG.json`.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "xm3600")
    rows = _by_language(
        where,
        languages,
        pattern="captions_*.json",
        dataset="xm3600",
        read=lambda language: captions.read_xm3600(where, language),
    )
    return _data("xm3600", rows, policy="unique")


def _data(
    task: str, rows: Mapping[str, Sequence[Caption]], *, policy: CaptionPolicy = "first"
) -> RetrievalData:
    """A task whose content items are all those that any language has captions of."""
    ids = tuple(dict.fromkeys(c.content_id for listed in rows.values() for c in listed))
    return RetrievalData(
        task=task,
        content_ids=ids,
        captions=rows,
        policy=policy,
        splits={"test": np.ones(len(ids), bool)},
    )


def _by_language(
    folder: Path,
    languages: list[str] | None,
    *,
    pattern: str,
    dataset: str,
    read: Callable[[str], list[Caption]],
) -> dict[str, list[Caption]]:
    wanted = languages or captions.languages_of(folder, pattern, dataset=dataset)
    return {language: read(language) for language in wanted}


def _pick(
    names: Mapping[str, Sequence[Caption]], languages: list[str], task: str
) -> dict[str, Sequence[Caption]]:
    lacking = [language for language in languages if language not in names]
    if lacking:
        raise errors.LanguageError(
            f"{task} has no names in {', '.join(lacking)}; it has {', '.join(sorted(names))}",
            hint="leave those out",
        )
    return {language: names[language] for language in languages}


def _required(folder: Path | None, task: str) -> Path:
    if folder is None:
        raise errors.UnavailableError(
            f"the texts of {task} are not part of polyglance",
            hint=f"say where the publisher's files are: --data FOLDER (see eval --list for {task})",
        )
    return folder
