"""Loaders of retrieval data sets: from the publishers' files to a task.

Every loader takes the folder of the publisher's files and the languages wanted, or None for all
that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyglance import errors
from polyglance.records import Caption, Quarantined
from polyglance.results.schema import CaptionPolicy
from polyglance.sources import captions, coco_json, multi30k, numbered_captions, wit, xflickrco, xtd
from polyglance.sources.text_lines import SetAside
from polyglance.tasks.fetching import pinned_files
from polyglance.tasks.retrieval import Metric, RetrievalData
from polyglance.tasks.rows import each_language

if TYPE_CHECKING:
    from polyglance.sources import pictograms

MULTI30K_SPLITS = {"test_2016_flickr": "test", "val": "val"}
KARPATHY_COCO = "dataset_coco.json"
# Names of Flickr30k-200's images, and where they are where those are not.
FLICKR30K_NAMES, KARPATHY_FLICKR30K = "filenames.txt", "dataset_flickr30k.json"


def load_pictograms(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Names of emoji against the images of the artist that training never uses.

    Args:
        folder: The world's folder; None fetches it into the user's cache.
        languages: Which ones; None takes all that name enough concepts.
    """
    from polyglance.sources import pictograms

    data = pictograms_of(pictograms.load_world(folder), pictograms.TEST_ARTIST)
    return replace(data, captions=_pick(data.captions, languages, "pictograms"))


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
    where = _required(folder, "flickr8k")
    rows, aside = _by_language(
        where,
        languages,
        pattern="captions.*.tsv",
        dataset="flickr8k",
        read=lambda language, set_aside: captions.read_flickr8k(
            where, language, split="test", set_aside=set_aside
        ),
    )
    return _data("flickr8k", rows, policy="all", set_aside=aside)


def load_xtd10(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """XTD in 11 languages.

    Args:
        folder: Holds `test_1kcaptions_LANG.txt` and the image names.
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
    """Crossmodal-3600: repeated captions have several positives.

    Args:
        folder: Holds `captions_LANG.json`.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "xm3600")
    rows, aside = _by_language(
        where,
        languages,
        pattern="captions_*.json",
        dataset="xm3600",
        read=lambda language, set_aside: captions.read_xm3600(where, language, set_aside=set_aside),
    )
    return _data("xm3600", rows, policy="unique", set_aside=aside)


def load_flickr30k_200(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Flickr30k's 1,000 test photos in the 201 languages of FLORES.

    Args:
        folder: Holds `LANG.txt` (English: `eng_captions.txt`), a line an image, and the image
            names in `filenames.txt` or Karpathy's `dataset_flickr30k.json`.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "flickr30k-200")
    names = where / FLICKR30K_NAMES
    images = None
    unnamed: list[Quarantined] = []
    if not names.is_file():
        names = where / KARPATHY_FLICKR30K
        found = coco_json.read_karpathy(names, split="test", set_aside=unnamed.append)
        images = list(dict.fromkeys(caption.item_id for caption in found))
    rows, aside = _by_language(
        where,
        languages,
        pattern="*.txt",
        dataset="xtd",
        read=lambda language, set_aside: xtd.read_xtd(
            where, language, images_path=names, images=images, set_aside=set_aside
        ),
    )
    return _data("flickr30k-200", rows, set_aside=(*unnamed, *aside))


def load_multi30k(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Multi30K task 1: the test of 2016, or the validation set where that is not there.

    Args:
        folder: As `multi30k.read_multi30k_captions` takes it.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "multi30k")
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
    rows, aside = _by_language(
        multi30k.multi30k_files(where, split)[0],
        languages,
        pattern=f"{split}.*.gz",
        dataset="multi30k",
        read=lambda language, set_aside: multi30k.read_multi30k_captions(
            where, split, language, set_aside=set_aside
        ),
    )
    return _data("multi30k", rows, split=MULTI30K_SPLITS[split], set_aside=aside)


def load_xflickrco(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """xFlickrCO: 1,000 photos of Flickr30k and 1,000 of COCO.

    Args:
        folder: Holds `LANG/test.jsonl`.
        languages: Which ones; None takes all that are there.
    """
    where = _required(folder, "xflickrco")
    files = xflickrco.find_files(where)
    wanted = languages or list(files.paths)
    aside = list(files.set_aside)
    rows = {name: xflickrco.read_xflickrco(where, name, set_aside=aside.append) for name in wanted}
    return _data("xflickrco", rows, set_aside=aside)


def load_coco_cn(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """COCO-CN: the sentences that people wrote about its 1,000 test photos.

    Args:
        folder: Holds `coco-cn_test.txt` and `imageid.human-written-caption.txt`.
        languages: Chinese, or None.
    """
    where = _required(folder, "coco-cn")
    names = numbered_captions.read_names(where / "coco-cn_test.txt")
    aside: list[Quarantined] = []
    rows = numbered_captions.read_numbered(
        where / "imageid.human-written-caption.txt",
        language="zho_Hans",
        names=names,
        set_aside=aside.append,
    )
    picked = _pick({"zho_Hans": rows}, languages, "coco-cn")
    return _data("coco-cn", picked, policy="all", set_aside=aside)


def load_flickr30k_cn(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """Flickr30k-CN: five translations, by people, of each of the 1,000 test photos.

    Args:
        folder: Holds `test.txt`.
        languages: Chinese, or None.
    """
    where = _required(folder, "flickr30k-cn")
    aside: list[Quarantined] = []
    rows = numbered_captions.read_numbered(
        where / "test.txt", language="zho_Hans", set_aside=aside.append
    )
    picked = _pick({"zho_Hans": rows}, languages, "flickr30k-cn")
    return _data("flickr30k-cn", picked, policy="all", set_aside=aside)


def load_mscoco_it(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """MSCOCO-IT: the development set that NLLB-CLIP and Italian CLIP report on.

    Args:
        folder: Holds `captions_ita_devset_unvalidated.json`, or that with `.gz`.
        languages: Italian, or None.
    """
    where = _required(folder, "mscoco-it")
    path = _plain_or_gzip(where / "captions_ita_devset_unvalidated.json")
    aside: list[Quarantined] = []
    rows = {"ita_Latn": coco_json.read_coco(path, language="ita_Latn", set_aside=aside.append)}
    return _data(
        "mscoco-it",
        _pick(rows, languages, "mscoco-it"),
        policy="all",
        split="val",
        metric="mean_reciprocal_rank",
        set_aside=aside,
    )


def load_stair(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """STAIR Captions on Karpathy's 5,000 test photos of COCO.

    Args:
        folder: Holds `stair_captions_v1.2_val.json` and Karpathy's `dataset_coco.json`.
        languages: Japanese, or None.
    """
    where = _required(folder, "stair")
    path = _plain_or_gzip(where / "stair_captions_v1.2_val.json")
    aside: list[Quarantined] = []
    found = coco_json.read_coco(path, language="jpn_Jpan", set_aside=aside.append)
    return _karpathy_test(where, found, task="stair", languages=languages, aside=aside)


def load_korean_coco(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """AI-Hub's Korean captions on Karpathy's 5,000 test photos of COCO.

    Args:
        folder: Holds `MSCOCO_train_val_Korean.json` and Karpathy's `dataset_coco.json`.
        languages: Korean, or None.
    """
    where = _required(folder, "korean-coco")
    path = _plain_or_gzip(where / "MSCOCO_train_val_Korean.json")
    aside: list[Quarantined] = []
    found = coco_json.read_korean(path, set_aside=aside.append)
    return _karpathy_test(where, found, task="korean-coco", languages=languages, aside=aside)


def load_wit(folder: Path | None, languages: list[str] | None) -> RetrievalData:
    """WIT: every language searches the images of its own pages.

    Args:
        folder: Holds `wit_v1.test.all-*.tsv.gz`.
        languages: Which ones; None takes all that are there.
    """
    found = wit.read_wit(_required(folder, "wit"), languages=languages)
    data = _data("wit", found.captions, policy="unique")
    return replace(data, candidates="captioned", num_dropped=found.num_dropped)


def _load_xtd(folder: Path | None, languages: list[str] | None, *, task: str) -> RetrievalData:
    where = _required(folder, task)
    rows, aside = _by_language(
        where,
        languages,
        pattern="*.txt",
        dataset="xtd",
        read=lambda language, set_aside: xtd.read_xtd(where, language, set_aside=set_aside),
    )
    return _data(task, rows, set_aside=aside)


def _karpathy_test(
    folder: Path,
    found: Sequence[Caption],
    *,
    task: str,
    languages: list[str] | None,
    aside: list[Quarantined],
) -> RetrievalData:
    """A task in ETCL's form: all captions of Karpathy's test photos, average recall."""
    english = coco_json.read_karpathy(
        _plain_or_gzip(folder / KARPATHY_COCO), split="test", set_aside=aside.append
    )
    test = {caption.item_id for caption in english}
    kept = [caption for caption in found if caption.item_id in test]
    without = len(test - {caption.item_id for caption in kept})
    rows = {kept[0].language: kept} if kept else {}
    if not rows:
        raise errors.InputError(
            f"{task}: none of {len(found)} captions is of one of the {len(test)} test photos",
            hint="give the publisher's files of COCO 2014",
        )
    picked = _pick(rows, languages, task)
    data = _data(task, picked, policy="all", metric="average_recall", set_aside=aside)
    return replace(data, num_dropped={"photos_without_caption": without} if without else {})


def _plain_or_gzip(path: Path) -> Path:
    """The file, or the same with `.gz` behind its name where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def _data(
    task: str,
    rows: Mapping[str, Sequence[Caption]],
    *,
    policy: CaptionPolicy = "first",
    split: str = "test",
    metric: Metric = "hit_rate",
    set_aside: Sequence[Quarantined] = (),
) -> RetrievalData:
    """A task whose content items are all those that any language has captions of.

    Raises:
        InputError: Where there is no caption at all.
    """
    captioned = {language: listed for language, listed in rows.items() if listed}
    ids = tuple(dict.fromkeys(c.item_id for listed in captioned.values() for c in listed))
    if not ids:
        raise errors.InputError(
            f"{task} has no caption to measure in {', '.join(rows) or 'any language'}",
            hint="look at the files in --data: is the file of captions empty, or of another split?",
        )
    return RetrievalData(
        task=task,
        item_ids=ids,
        captions=captioned,
        policy=policy,
        splits={split: np.ones(len(ids), bool)},
        metric=metric,
        set_aside=tuple(set_aside),
    )


def _by_language(
    folder: Path,
    languages: list[str] | None,
    *,
    pattern: str,
    dataset: str,
    read: Callable[[str, SetAside], list[Caption]],
) -> tuple[dict[str, list[Caption]], tuple[Quarantined, ...]]:
    """Captions by language, and what stood aside: files of no language, lines of no caption."""
    found = captions.find_files(folder, pattern, dataset=dataset)
    aside = list(found.set_aside)

    def failed(name: str, error: errors.InputError) -> None:
        where = str(found.paths[name].relative_to(folder)) if name in found.paths else name
        aside.append(Quarantined(where, f"{error.message}; {error.hint}"))

    rows = each_language(
        languages or found.paths, lambda name: read(name, aside.append), failed=failed
    )
    return rows, tuple(aside)


def _pick(
    names: Mapping[str, Sequence[Caption]], languages: list[str] | None, task: str
) -> dict[str, Sequence[Caption]]:
    """The languages wanted of those that are there."""
    if languages is None:
        return dict(names)
    lacking = [language for language in languages if language not in names]
    if lacking:
        raise errors.LanguageError(
            f"{task} has nothing in {', '.join(lacking)}; it has {', '.join(sorted(names))}",
            hint="leave those out",
        )
    return {language: names[language] for language in languages}


def _required(folder: Path | None, task: str) -> Path:
    if folder is None:
        fetched = "fetch them: --download; or " if pinned_files(task) else ""
        raise errors.UnavailableError(
            f"the texts of {task} are not part of polyglance",
            hint=f"{fetched}say where the publisher's files are: --data FOLDER (see eval --list)",
        )
    return folder
