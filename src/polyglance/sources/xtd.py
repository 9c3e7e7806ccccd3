"""Captions of XTD10 and its kin: a line a caption in the order of a list of images, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyglance.records import Caption
from polyglance.sources.captions import (
    XTD_NAMES,
    _code_of_language,
    _file_of_language,
    _require_text,
    _wrong_form,
    read_caption_lines,
)
from polyglance.sources.text_lines import SetAside, entry_of, read_json
from polyglance.sources.text_lines import read_lines as read_lines
from polyglance.sources.text_lines import read_table as read_table


def read_xtd(
    folder: Path,
    language: str,
    *,
    images_path: Path | None = None,
    images: Sequence[str] | None = None,
    set_aside: SetAside | None = None,
) -> list[Caption]:
    """XTD captions, one an image: `test_1kcaptions_LANG.txt`, or `LANG.txt` as in XTD-200.

    Args:
        folder: The data set.
        language: Which captions.
        images_path: The image names; None means `test_image_names.txt` in the folder, or, as
            XTD-200 comes without one, in the folder `xtd10` beside it.
        images: What was read from `images_path`, where that is no list of names.
        set_aside: As for `read_caption_lines`.

    Raises:
        UnavailableError: No image names.
        LanguageError: A language that the folder lacks.
        InputError: Another number of captions than of images.
    """
    folder = Path(folder)
    if images_path is None:
        own, beside = folder / XTD_NAMES, folder.parent / "xtd10" / XTD_NAMES
        images_path = beside if beside.exists() and not own.exists() else own
    path, known = _file_of_language(folder, "*.txt", language=language, dataset="xtd")
    names = read_lines(images_path) if images is None else images
    return read_caption_lines(
        path, images=names, images_path=images_path, language=known, set_aside=set_aside
    )


def read_xtd_json(path: Path, language: str, *, set_aside: SetAside | None = None) -> list[Caption]:
    """XTD as Babel-ImageNet ships it: `{"images": [...], "captions": {"de": [[...], ...]}}`.

    Args:
        path: The file.
        language: Which captions.
        set_aside: Told of each image without a caption; None stops at the first.

    Raises:
        InputError: Another form, or another number of captions than of images.
        LanguageError: A language that the file lacks.
    """
    found = read_json(path)
    images = found.get("images") if isinstance(found, dict) else None
    by_code = found.get("captions") if isinstance(found, dict) else None
    if not isinstance(images, list) or not isinstance(by_code, dict):
        raise _wrong_form(path, 'an object with the lists "images" and "captions"')
    code, known = _code_of_language(by_code, language=language, dataset="xtd", where=str(path))
    rows = by_code[code]
    if not isinstance(rows, list) or len(rows) != len(images):
        given = len(rows) if isinstance(rows, list) else type(rows).__name__
        raise _wrong_form(path, f"{len(images)} captions in {code!r}, one an image, not {given}")
    captions = []
    for number, (image, texts) in enumerate(zip(images, rows, strict=True), 1):
        with entry_of(path, f"{code!r}, image {number}", set_aside):
            listed: list[Any] = texts if isinstance(texts, list) and texts else [None]
            for text in listed:
                _require_text(text, "the caption")
            captions += [Caption(image, text, known) for text in listed]
    return captions
