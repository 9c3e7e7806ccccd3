"""Data of text-to-text retrieval: captions of the same items, found by one another."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Caption, Quarantined
from polyglance.results.schema import CaptionPolicy
from polyglance.sources import audiocaps
from polyglance.storage import digests
from polyglance.tasks import coco_loaders, retrieval_loaders
from polyglance.tasks.fetching import required
from polyglance.tasks.rows import each_language


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionTextData:
    """Captions that ask for other captions of their own item, without the items.

    Attributes:
        task: Name of the task.
        captions: By language.
        asked: The languages to be measured; English is read beside them, to be compared with.
        policy: Every distinct text is one query and one candidate: a text that two items share is
            right for both, and no text is found by its own copy.
        set_aside: Files and lines that could not be used, and why.
    """

    task: str
    captions: Mapping[str, Sequence[Caption]]
    asked: tuple[str, ...]
    policy: CaptionPolicy = "unique"
    set_aside: tuple[Quarantined, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages that have a text of the same item to find, in them or in English."""
        return tuple(language for language in self.asked if self.partners(language))

    @functools.cached_property
    def places(self) -> Mapping[str, int]:
        """A number for each item, the same in every language."""
        ids = (caption.item_id for rows in self.captions.values() for caption in rows)
        return {item_id: place for place, item_id in enumerate(dict.fromkeys(ids))}

    def partners(self, language: str) -> tuple[str, ...]:
        """In which languages the texts of one look for others: in itself, and in English.

        In itself only where an item has two distinct texts or more.
        """
        texts = self.texts_of(language)
        others = {ENGLISH} & set(self.captions) - {language}
        own = any(len(found) > 1 for found in texts.values())
        shared = [who for who in others if texts.keys() & self.texts_of(who).keys()]
        return (*((language,) if own else ()), *shared)

    def texts_of(self, language: str) -> dict[str, list[str]]:
        """The distinct texts of each item, in the order of the data set."""
        found: dict[str, dict[str, None]] = {}
        for caption in self.captions[language]:
            found.setdefault(caption.item_id, {})[caption.text] = None
        return {item_id: list(texts) for item_id, texts in found.items()}

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's texts and of those they are looked for among."""
        parts: list[str] = []
        for who in dict.fromkeys((language, *self.partners(language))):
            parts += [f"{who}\0", *(f"{c.item_id}\0{c.text}\0" for c in self.captions[who])]
        return digests.of_parts(parts)


def load_xm3600_text(folder: Path | None, languages: list[str] | None) -> CaptionTextData:
    """All captions of Crossmodal-3600 without its photos.

    Args:
        folder: As `retrieval_loaders.load_xm3600` takes it.
        languages: Which ones; None takes all that are there.
    """
    found = retrieval_loaders.load_xm3600(folder, _with_english(languages))
    return _data("xm3600-text", found.captions, languages, set_aside=found.set_aside)


def load_xm3600_uclip_text(folder: Path | None, languages: list[str] | None) -> CaptionTextData:
    """The captions of Crossmodal-3600 without its photos, one of a photo.

    Args:
        folder: As `coco_loaders.load_uclip` takes it.
        languages: Which ones; None takes all that are there.
    """
    found = coco_loaders.load_uclip(folder, _with_english(languages), task="xm3600-uclip")
    return _data("xm3600-uclip-text", found.captions, languages, set_aside=found.set_aside)


def load_audiocaps_text(folder: Path | None, languages: list[str] | None) -> CaptionTextData:
    """The captions of AudioCaps' test clips without their sounds, five of a clip.

    Args:
        folder: Holds `test.LANG.csv`, or `test.csv` in English.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "audiocaps-text")
    files = audiocaps.find_files(where, split="test")
    aside = list(files.set_aside)

    def read(language: str) -> list[Caption]:
        if language not in files.paths:
            raise errors.InputError(
                f"{where} has no captions in {language}; it has: {', '.join(files.paths)}",
                hint="choose one of those",
            )
        return audiocaps.read_audiocaps(
            files.paths[language], language=language, set_aside=aside.append
        )

    def failed(language: str, error: errors.InputError) -> None:
        if languages is None or language in languages:
            aside.append(Quarantined(f"test.{language}.csv", error.message))

    rows = each_language(_with_english(languages) or files.paths, read, failed=failed)
    return _data("audiocaps-text", rows, languages, set_aside=tuple(aside))


def _with_english(languages: list[str] | None) -> list[str] | None:
    return None if languages is None else list(dict.fromkeys([*languages, ENGLISH]))


def _data(
    task: str,
    captions: Mapping[str, Sequence[Caption]],
    languages: list[str] | None,
    *,
    set_aside: tuple[Quarantined, ...],
) -> CaptionTextData:
    there = {language: rows for language, rows in captions.items() if rows}
    asked = tuple(there) if languages is None else tuple(one for one in languages if one in there)
    return CaptionTextData(task=task, captions=there, asked=asked, set_aside=set_aside)
