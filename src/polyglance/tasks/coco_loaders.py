"""Loaders of retrieval data sets on the photos of COCO and Flickr30k, by the names of the photos.

Every loader takes the folder of the publisher's files and the languages wanted, or None for all
that are there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Caption, Quarantined
from polyglance.sources import captions, coco_json, numbered_captions
from polyglance.tasks import captioned
from polyglance.tasks.fetching import required
from polyglance.tasks.retrieval import Metric, RetrievalData

KARPATHY_COCO, KARPATHY_FLICKR30K = "dataset_coco.json", "dataset_flickr30k.json"
COCO_CN_TEST, COCO_CN_JSON = "coco-cn_test.txt", "captions.json"
CHINESE = "zho_Hans"


def load_karpathy(
    folder: Path | None, languages: list[str] | None, *, task: str, file: str, metric: Metric
) -> RetrievalData:
    """The test photos of one of Karpathy's files and all their English captions.

    Args:
        folder: Holds the file.
        languages: English, or None.
        task: Its name.
        file: `dataset_coco.json` (5,000 photos) or `dataset_flickr30k.json` (1,000).
        metric: What the papers report.
    """
    where = required(folder, task)
    aside: list[Quarantined] = []
    path = captioned.plain_or_gzip(where / file)
    rows = {ENGLISH: coco_json.read_karpathy(path, split="test", set_aside=aside.append)}
    picked = captioned.pick(rows, languages, task)
    return captioned.task_of(task, picked, policy="all", metric=metric, set_aside=aside)


def load_uclip(folder: Path | None, languages: list[str] | None, *, task: str) -> RetrievalData:
    """A test set of uCLIP's release: each photo with its one caption, each caption with its photo.

    Args:
        folder: Holds `captions_LANG.json`.
        languages: Which ones; None takes all that are there.
        task: Its name.
    """
    where = required(folder, task)
    rows, aside = captioned.by_language(
        where,
        languages,
        pattern="captions_*.json",
        dataset="xm3600",
        read=lambda language, set_aside: captions.read_uclip(where, language, set_aside=set_aside),
    )
    return captioned.task_of(task, rows, set_aside=aside)


def load_coco_cn(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """COCO-CN: the sentences that people wrote about its 1,000 test photos.

    Args:
        folder: Holds `coco-cn_test.txt` and `imageid.human-written-caption.txt`; or, as the data
            set is given out today, `captions.json` in COCO's form, of the test photos alone where
            there is no `coco-cn_test.txt` beside it.
        languages: Chinese, or None.
    """
    where = required(folder, "coco-cn")
    listed, aside = where / COCO_CN_TEST, list[Quarantined]()
    names = numbered_captions.read_names(listed) if listed.is_file() else None
    if (where / COCO_CN_JSON).is_file():
        rows = coco_json.read_coco(where / COCO_CN_JSON, language=CHINESE, set_aside=aside.append)
        if names is not None:
            test = {name + numbered_captions.SUFFIX for name in names}
            rows = [caption for caption in rows if caption.item_id in test]
    else:
        rows = numbered_captions.read_numbered(
            where / "imageid.human-written-caption.txt",
            language=CHINESE,
            names=numbered_captions.read_names(listed),
            set_aside=aside.append,
        )
    picked = captioned.pick({CHINESE: rows}, languages, "coco-cn")
    return captioned.task_of("coco-cn", picked, policy="all", set_aside=aside)


def load_mscoco_it(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """MSCOCO-IT: the development set that NLLB-CLIP and Italian CLIP report on.

    Args:
        folder: Holds `captions_ita_devset_unvalidated.json`, or that with `.gz`.
        languages: Italian, or None.
    """
    where = required(folder, "mscoco-it")
    path = captioned.plain_or_gzip(where / "captions_ita_devset_unvalidated.json")
    aside: list[Quarantined] = []
    rows = {"ita_Latn": coco_json.read_coco(path, language="ita_Latn", set_aside=aside.append)}
    return captioned.task_of(
        "mscoco-it",
        captioned.pick(rows, languages, "mscoco-it"),
        policy="all",
        split="val",
        metric="mean_reciprocal_rank",
        set_aside=aside,
    )


def load_karpathy_test(
    folder: Path | None,
    languages: list[str] | None,
    *,
    task: str,
    file: str,
    read: Callable[..., list[Caption]],
) -> RetrievalData:
    """Captions of another language on Karpathy's 5,000 test photos of COCO, as ETCL measures.

    Args:
        folder: Holds the file of captions and Karpathy's `dataset_coco.json`, both perhaps `.gz`.
        languages: The one it is in, or None.
        task: Its name.
        file: Of the captions.
        read: Reads them, told of what stands aside by `set_aside`.

    Raises:
        InputError: None of the captions is of a test photo.
    """
    where = required(folder, task)
    aside: list[Quarantined] = []
    found = read(captioned.plain_or_gzip(where / file), set_aside=aside.append)
    english = coco_json.read_karpathy(
        captioned.plain_or_gzip(where / KARPATHY_COCO), split="test", set_aside=aside.append
    )
    test = {caption.item_id for caption in english}
    kept = [caption for caption in found if caption.item_id in test]
    if not kept:
        raise errors.InputError(
            f"{task}: none of {len(found)} captions is of one of the {len(test)} test photos",
            hint="give the publisher's files of COCO 2014",
        )
    without = len(test - {caption.item_id for caption in kept})
    picked = captioned.pick({kept[0].language: kept}, languages, task)
    data = captioned.task_of(task, picked, policy="all", metric="average_recall", set_aside=aside)
    return replace(data, num_dropped={"photos_without_caption": without} if without else {})


def coco_form(language: str) -> Callable[..., list[Caption]]:
    """The reader of COCO's own form in one language, for `load_karpathy_test`."""
    return functools.partial(coco_json.read_coco, language=language)
