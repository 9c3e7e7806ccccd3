"""Which captions does a JSON of COCO's kinds hold? Three forms that name COCO's photos.

    read_coco       {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}:
                    COCO itself, STAIR Captions (Japanese), MSCOCO-IT (Italian)
    read_korean     [{"file_path": "val2014/NAME.jpg", "caption_ko": [...]}, ...]: AI-Hub's Korean
    read_karpathy   {"images": [{"filename", "split", "sentences": [{"raw"}]}]}: Karpathy's splits
                    of COCO, Flickr8k and Flickr30k

Each reads plain or gzip-compressed JSON, and says the file and the entry that does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages import ENGLISH, normalise_language
from polyglance.records import Caption
from polyglance.sources.text_lines import read_lines, unusable


def read_coco(path: Path, *, language: str) -> list[Caption]:
    """Captions in COCO's own form, in the order of the file.

    Args:
        path: The JSON.
        language: The language of all its captions.

    Raises:
        InputError: Another form, an empty caption, or one of a photo that `images` lacks.
    """
    known = normalise_language(language)
    found = _load(path)
    named = {
        _get(image, "id", kind=int, where=where): _get(image, "file_name", kind=str, where=where)
        for where, image in _entries(found, "images", path=path)
    }
    rows = []
    for where, each in _entries(found, "annotations", path=path):
        number = _get(each, "image_id", kind=int, where=where)
        if number not in named:
            raise errors.InputError(
                f"{where}: image_id {number} is not among the images of the file",
                hint="fetch the file again",
            )
        rows.append(Caption(named[number], _text(each, "caption", where=where), known))
    return rows


def read_korean(path: Path) -> list[Caption]:
    """Korean captions of COCO as AI-Hub ships them: `MSCOCO_train_val_Korean.json`.

    Raises:
        InputError: Another form, or an empty caption.
    """
    rows = []
    for where, each in _entries({"": _load(path)}, "", path=path):
        name = _get(each, "file_path", kind=str, where=where).rpartition("/")[2]
        for text in _get(each, "caption_ko", kind=list, where=where):
            rows.append(Caption(name, _text({"": text}, "", where=where), "kor_Hang"))
    return rows


def read_karpathy(path: Path, *, split: str) -> list[Caption]:
    """English captions of one of Karpathy's splits: `dataset_coco.json` and its like.

    Args:
        path: The JSON.
        split: `train`, `restval`, `val` or `test`.

    Raises:
        InputError: Another form, or an empty caption.
        UnknownNameError: A split that the file lacks.
    """
    rows, splits = [], set()
    for where, image in _entries(_load(path), "images", path=path):
        splits.add(own := _get(image, "split", kind=str, where=where))
        if own == split:
            name = _get(image, "filename", kind=str, where=where)
            for each in _get(image, "sentences", kind=list, where=where):
                rows.append(Caption(name, _text(each, "raw", where=where), ENGLISH))
    if not rows:
        raise errors.unknown_name(f"split of {path}", split, allowed=splits)
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
        yield f"{path}, {name or 'entry'} {number}".replace("images ", "image "), each


def _get(entry: Any, name: str, *, kind: type, where: str) -> Any:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, kind):
        raise errors.InputError(
            f"{where}: {name} is {value!r}; expected {kind.__name__}", hint="fetch the file again"
        )
    return value


def _text(entry: Any, name: str, *, where: str) -> str:
    text: str = _get(entry, name, kind=str, where=where).strip()
    if not text:
        raise errors.InputError(f"{where}: the caption is empty", hint="mend that entry")
    if reason := unusable(text):
        raise errors.InputError(f"{where}: {reason}", hint="mend that entry")
    return text
