"""Readers of COCO-like caption JSON: four forms that name COCO's photos.

    read_coco       {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}:
                    COCO itself, STAIR Captions (Japanese), MSCOCO-IT (Italian)
    read_korean     [{"file_path": "val2014/NAME.jpg", "caption_ko": [...]}, ...]: AI-Hub's Korean
    read_karpathy   {"images": [{"filename", "split", "sentences": [{"raw"}]}]}: Karpathy's splits
                    of COCO, Flickr8k and Flickr30k
    read_listed     {"images": ["NAME.jpg"], "captions": {"de": [["..."], ...]}}: XTD, xFlickrCO
                    and XM3600 as Babel-ImageNet's authors ship or make them, a list an image

Each reads plain or gzip-compressed JSON. `set_aside` is told of each entry and caption that cannot
be used, and the others go on; where it is None, the first stops all, with the file and the entry.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages.registry import ENGLISH, normalise_language
from polyglance.records import Caption
from polyglance.sources.text_lines import SetAside, entry_of, read_lines, require_text

AGAIN = "fetch the file again"


def read_coco(path: Path, *, language: str, set_aside: SetAside | None = None) -> list[Caption]:
    """Captions in COCO's own form, in the order of the file.

    Args:
        path: The JSON.
        language: The language of all its captions.
        set_aside: See the module.

    Raises:
        InputError: Another form; without `set_aside` also an empty caption, or one of a photo that
            `images` lacks.
    """
    known = normalise_language(language)
    found = _load(path)
    named: dict[int, str] = {}
    for where, image in _entries(found, "images", path=path):
        with entry_of(path, where, set_aside):
            named[_get(image, "id", kind=int)] = _get(image, "file_name", kind=str)
    rows = []
    for where, each in _entries(found, "annotations", path=path):
        with entry_of(path, where, set_aside):
            number = _get(each, "image_id", kind=int)
            if number not in named:
                raise errors.InputError(
                    f"image_id {number} is not among the images of the file", hint=AGAIN
                )
            rows.append(
                Caption(
                    named[number],
                    require_text(_get(each, "caption", kind=str), "the caption"),
                    known,
                )
            )
    return rows


def read_korean(path: Path, *, set_aside: SetAside | None = None) -> list[Caption]:
    """Korean captions of COCO as AI-Hub ships them: `MSCOCO_train_val_Korean.json`.

    Args:
        path: The JSON.
        set_aside: See the module.

    Raises:
        InputError: Another form; without `set_aside` also an empty caption.
    """
    texts: list[tuple[str, str, Any]] = []
    for where, each in _entries({"": _load(path)}, "", path=path):
        with entry_of(path, where, set_aside):
            name = _get(each, "file_path", kind=str).rpartition("/")[2]
            listed = _get(each, "caption_ko", kind=list)
            texts += [(f"{where}, caption {n}", name, text) for n, text in enumerate(listed, 1)]
    return _captions(path, texts, language="kor_Hang", set_aside=set_aside)


def read_karpathy(path: Path, *, split: str, set_aside: SetAside | None = None) -> list[Caption]:
    """English captions of one of Karpathy's splits: `dataset_coco.json` and its like.

    Args:
        path: The JSON.
        split: `train`, `restval`, `val` or `test`.
        set_aside: See the module.

    Raises:
        InputError: Another form; without `set_aside` also an empty caption.
        UnknownNameError: A split that the file lacks.
    """
    texts: list[tuple[str, str, Any]] = []
    splits = set()
    for where, image in _entries(_load(path), "images", path=path):
        with entry_of(path, where, set_aside):
            splits.add(own := _get(image, "split", kind=str))
            if own == split:
                name = _get(image, "filename", kind=str)
                for number, each in enumerate(_get(image, "sentences", kind=list), 1):
                    raw = each.get("raw") if isinstance(each, Mapping) else each
                    texts.append((f"{where}, sentence {number}", name, raw))
    if split not in splits:
        raise errors.unknown_name(f"split of {path}", split, allowed=splits)
    return _captions(path, texts, language=ENGLISH, set_aside=set_aside)


def read_listed(
    path: Path,
    *,
    dataset: str,
    languages: Collection[str] | None = None,
    set_aside: SetAside | None = None,
) -> dict[str, list[Caption]]:
    """Captions by language id, a list of them for each image of one list.

    Args:
        path: The JSON.
        dataset: Whose codes its languages have.
        languages: Language ids; None takes all.
        set_aside: See the module.

    Raises:
        InputError: Another form, or another number of lists than of images.
        LanguageError: A language of `languages` that it lacks; without `set_aside`, also a code
            that is not understood.
    """
    found = _load(path)
    names = [name for _, name in _entries(found, "images", path=path)]
    by_code = found.get("captions")
    if not isinstance(by_code, Mapping):
        raise errors.InputError(f"{path}: expected an object 'captions'", hint=AGAIN)
    rows: dict[str, list[Caption]] = {}
    for code, lists in by_code.items():
        with entry_of(path, f"captions of {code!r}", set_aside):
            language = normalise_language(code, dataset=dataset)
            if languages is not None and language not in languages:
                continue
            if not isinstance(lists, list) or len(lists) != len(names):
                raise errors.InputError(
                    f"expected {len(names)} lists, one for each image", hint=AGAIN
                )
            texts = [
                (f"image {place}, {code}, caption {number}", name, text)
                for place, (name, said) in enumerate(zip(names, lists, strict=True), 1)
                for number, text in enumerate(said if isinstance(said, list) else [said], 1)
            ]
            rows[language] = _captions(path, texts, language=language, set_aside=set_aside)
    if lacking := sorted(set(languages or ()) - set(rows)):
        raise errors.LanguageError(
            f"{path} has no captions in {', '.join(lacking)}; it has: {', '.join(by_code)}",
            hint="leave those out",
        )
    return rows


def _captions(
    path: Path,
    texts: Iterable[tuple[str, Any, Any]],
    *,
    language: str,
    set_aside: SetAside | None,
) -> list[Caption]:
    """Captions from where each stands, its photo and its text."""
    rows = []
    for where, name, text in texts:
        with entry_of(path, where, set_aside):
            image = require_text(name, "the image")
            rows.append(Caption(image, require_text(text, "the caption"), language))
    return rows


def _load(path: Path) -> Any:
    try:
        return json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise errors.InputError(f"{path} is not JSON: {error}", hint="fetch it again") from error


def _entries(found: Any, name: str, *, path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a list, each with where it stands."""
    listed = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        wanted = f"an object with the list {name!r}" if name else "a list"
        raise errors.InputError(
            f"{path}: expected {wanted}",
            hint="give the publisher's file; polyglance eval --list says which",
        )
    for number, each in enumerate(listed, 1):
        yield f"{name.removesuffix('s') or 'entry'} {number}", each


def _get(entry: Any, name: str, *, kind: type) -> Any:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, kind):
        raise errors.InputError(f"{name} is {value!r}; expected {kind.__name__}", hint=AGAIN)
    return value
