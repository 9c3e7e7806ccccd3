"""Loaders of retrieval data sets: from the publishers' files to a task.

Every loader takes the folder of the publisher's files and the languages wanted, or None for all
that are there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyglance import errors
from polyglance.records import Caption, Quarantined
from polyglance.sources import (
    captions,
    coco_json,
    multi30k,
    numbered_captions,
    wit,
    xflickrco,
    xm3600,
    xtd,
)
from polyglance.tasks import captioned
from polyglance.tasks.coco_loaders import KARPATHY_FLICKR30K
from polyglance.tasks.fetching import required
from polyglance.tasks.retrieval import RetrievalData

if TYPE_CHECKING:
    from polyglance.sources import pictograms

MULTI30K_SPLITS = {"test_2016_flickr": "test", "val": "val"}
# Names of Flickr30k-200's images, and where they are where those are not.
FLICKR30K_NAMES = "filenames.txt"
# Babel-ImageNet's authors ship XTD and xFlickrCO in one JSON each.
XTD_JSON, XFLICKRCO_JSON = "xtd.json", "xflickrco.json"


def load_pictograms(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Names of emoji against the images of the artist that training never uses.

    Args:
        folder: The world's folder; None fetches it into the user's cache.
        languages: Which ones; None takes all that name enough concepts.
    """
    from polyglance.sources import pictograms

    data = pictograms_of(pictograms.load_world(folder), pictograms.TEST_ARTIST)
    return replace(data, captions=captioned.pick(data.captions, languages, "pictograms"))


def pictograms_of(world: pictograms.World, artist: pictograms.Artist) -> RetrievalData:
    """Names of emoji against one artist's images, seen and held-out concepts apart."""
    held_out = np.array([concept.held_out for concept in world.concepts], bool)
    return RetrievalData(
        task="pictograms",
        item_ids=tuple(concept.id for concept in world.concepts),
        captions={
            language: [Caption(concept_id, name, language) for concept_id, name in named.items()]
            for language, named in world.names.items()
        },
        policy="unique",
        splits={"seen": ~held_out, "held_out": held_out},
        media_files=world.media_files(artist),
    )


def load_flickr8k(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """The test split of Flickr8k.

    Args:
        folder: Holds `images.tsv` and `captions.LANG.tsv`.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "flickr8k")
    rows, aside = captioned.by_language(
        where,
        languages,
        pattern="captions.*.tsv",
        dataset="flickr8k",
        read=lambda language, set_aside: captions.read_flickr8k(
            where, language, split="test", set_aside=set_aside
        ),
    )
    return captioned.task_of("flickr8k", rows, policy="all", set_aside=aside)


def load_xtd10(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """XTD in 11 languages.

    Args:
        folder: Holds `test_1kcaptions_LANG.txt` and the image names, or `xtd.json` as
            Babel-ImageNet's authors ship it.
        languages: Which ones; None takes all that are there.
    """
    return _load_xtd(folder, languages, task="xtd10")


def load_xtd200(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """XTD in the 201 languages of FLORES.

    Args:
        folder: Holds `LANG.txt`, and the image names here or in the folder `xtd10` beside it.
        languages: Which ones; None takes all that are there.
    """
    return _load_xtd(folder, languages, task="xtd200")


def load_xm3600(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Crossmodal-3600 with all its captions, about two a photo in each of 36 languages.

    Papers ask it in three ways, which `RetrievalData.asked_with` names: `first` (NLLB-CLIP,
    CLIP_benchmark), `all` (big_vision, Babel-ImageNet, MetaCLIP; text to image also mteb, where
    every caption is a query), and `unique` (M2M: each distinct caption once, right for every photo
    that it was given to).

    Args:
        folder: Holds the publisher's `captions.jsonl`.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "xm3600")
    if not (where / xm3600.FILE).is_file() and any(where.glob("captions_*.json")):
        raise errors.UnavailableError(
            f"{where} has captions_LANG.json, one caption a photo as uCLIP's authors ship them, "
            f"and not the publisher's {xm3600.FILE}",
            hint="measure that form under its own name: --task xm3600-uclip; or fetch captions.zip "
            "of Crossmodal-3600",
        )
    aside: list[Quarantined] = []
    rows = xm3600.read_captions(where / xm3600.FILE, languages=languages, set_aside=aside.append)
    return captioned.task_of("xm3600", rows, policy="all", set_aside=aside)


def load_flickr30k_200(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Flickr30k's 1,000 test photos in the 201 languages of FLORES.

    Args:
        folder: Holds `LANG.txt` (English: `eng_captions.txt`), a line an image, and the image
            names in `filenames.txt` or Karpathy's `dataset_flickr30k.json`.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "flickr30k-200")
    names = where / FLICKR30K_NAMES
    images = None
    unnamed: list[Quarantined] = []
    if not names.is_file():
        names = where / KARPATHY_FLICKR30K
        found = coco_json.read_karpathy(names, split="test", set_aside=unnamed.append)
        images = list(dict.fromkeys(caption.item_id for caption in found))
    rows, aside = captioned.by_language(
        where,
        languages,
        pattern="*.txt",
        dataset="xtd",
        read=lambda language, set_aside: xtd.read_xtd(
            where, language, images_path=names, images=images, set_aside=set_aside
        ),
    )
    return captioned.task_of("flickr30k-200", rows, set_aside=(*unnamed, *aside))


def load_multi30k(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Multi30K task 1: the test of 2016, or the validation set where that is not there.

    Args:
        folder: As `multi30k.read_multi30k_captions` takes it.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "multi30k")
    there = [
        split for split in MULTI30K_SPLITS if multi30k.multi30k_files(where, split)[1].is_file()
    ]
    if not there:
        listed = multi30k.multi30k_files(where, next(iter(MULTI30K_SPLITS)))[1]
        raise errors.UnavailableError(
            f"there is no list of test photos {listed}",
            hint="give the folder data/task1 of the release, or one with its raw and image_splits",
        )
    split = there[0]
    rows, aside = captioned.by_language(
        multi30k.multi30k_files(where, split)[0],
        languages,
        pattern=f"{split}.*.gz",
        dataset="multi30k",
        read=lambda language, set_aside: multi30k.read_multi30k_captions(
            where, split, language, set_aside=set_aside
        ),
    )
    return captioned.task_of("multi30k", rows, split=MULTI30K_SPLITS[split], set_aside=aside)


def load_multi30k_task2(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Multi30K with all its captions: five in English and German (task 2), one in French and Czech.

    Args:
        folder: The release's `data`, with `task1` and `task2`.
        languages: Which ones; None takes all that are there.
    """
    task = "multi30k-task2"
    where = required(folder, task)
    aside: list[Quarantined] = []
    rows = multi30k.read_all_captions(where, languages=languages, set_aside=aside.append)
    return captioned.task_of(task, rows, policy="all", metric="average_recall", set_aside=aside)


def load_xflickrco(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """xFlickrCO: 1,000 photos of Flickr30k and 1,000 of COCO.

    Args:
        folder: Holds `LANG/test.jsonl`, or `xflickrco.json` as Babel-ImageNet's authors ship it.
        languages: Which ones; None takes all that are there.
    """
    where = required(folder, "xflickrco")
    if (where / XFLICKRCO_JSON).is_file():
        return _listed(where / XFLICKRCO_JSON, languages, task="xflickrco", dataset="xflickrco")
    files = xflickrco.find_files(where)
    wanted = languages or list(files.paths)
    aside = list(files.set_aside)
    rows = {name: xflickrco.read_xflickrco(where, name, set_aside=aside.append) for name in wanted}
    return captioned.task_of("xflickrco", rows, set_aside=aside)


def load_flickr30k_cn(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Flickr30k-CN: five translations, by people, of each of the 1,000 test photos.

    Args:
        folder: Holds `test.txt`.
        languages: Chinese, or None.
    """
    where = required(folder, "flickr30k-cn")
    aside: list[Quarantined] = []
    rows = numbered_captions.read_numbered(
        where / "test.txt", language="zho_Hans", set_aside=aside.append
    )
    picked = captioned.pick({"zho_Hans": rows}, languages, "flickr30k-cn")
    return captioned.task_of("flickr30k-cn", picked, policy="all", set_aside=aside)


def load_wit(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """WIT: every language searches the images of its own pages.

    Args:
        folder: Holds `wit_v1.test.all-*.tsv.gz`.
        languages: Which ones; None takes all that are there.
    """
    found = wit.read_wit(required(folder, "wit"), languages=languages)
    data = captioned.task_of("wit", found.captions, policy="unique")
    return replace(data, candidates="captioned", num_dropped=found.num_dropped)


def _load_xtd(folder: Path | None, languages: list[str] | None, *, task: str) -> RetrievalData:
    where = required(folder, task)
    if task == "xtd10" and (where / XTD_JSON).is_file():
        return _listed(where / XTD_JSON, languages, task=task, dataset="xtd")
    rows, aside = captioned.by_language(
        where,
        languages,
        pattern="*.txt",
        dataset="xtd",
        read=lambda language, set_aside: xtd.read_xtd(where, language, set_aside=set_aside),
    )
    return captioned.task_of(task, rows, set_aside=aside)


def _listed(path: Path, languages: list[str] | None, *, task: str, dataset: str) -> RetrievalData:
    """A task in Babel-ImageNet's form of retrieval data."""
    aside: list[Quarantined] = []
    rows = coco_json.read_listed(path, dataset=dataset, languages=languages, set_aside=aside.append)
    return captioned.task_of(task, rows, set_aside=aside)
