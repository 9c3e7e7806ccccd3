"""Captions of XTD10 and its kin: a line a caption in the order of a list of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polyglance.records import Caption
from polyglance.sources.captions import (
    XTD_NAMES,
    _file_of_language,
    read_caption_lines,
)
from polyglance.sources.text_lines import SetAside
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
