"""Which captions does xFlickrCO hold? A JSON line an image, a folder a language (IGLUE's form).

LANG/test.jsonl     {"sentences": ["..."], "id": 274455, "img_path": "NAME.jpg"}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages import normalise_language
from polyglance.records import Caption
from polyglance.sources import captions

FILE = "test.jsonl"


def languages_of(folder: Path) -> list[str]:
    """The languages that have a folder with a test file, as ids, sorted.

    Raises:
        UnavailableError: None has.
    """
    found = sorted(
        normalise_language(path.parent.name, dataset="xflickrco")
        for path in Path(folder).glob(f"*/{FILE}")
    )
    if not found:
        raise errors.UnavailableError(
            f"there are no files LANG/{FILE} in {folder}",
            hint="give the folder xFlickrCO/annotations of the release",
        )
    return found


def read_xflickrco(folder: Path, language: str) -> list[Caption]:
    """The test captions of one language, in the order of the file.

    Args:
        folder: The release's `annotations`.
        language: A language id.

    Raises:
        LanguageError: A language that the folder lacks.
        InputError: A line of another form.
    """
    by_language = {
        normalise_language(path.parent.name, dataset="xflickrco"): path
        for path in Path(folder).glob(f"*/{FILE}")
    }
    if language not in by_language:
        raise errors.LanguageError(
            f"{folder} has no captions in {language}; it has: {', '.join(sorted(by_language))}",
            hint="choose one of those",
        )
    path = by_language[language]
    rows = []
    for number, line in enumerate(captions.read_lines(path), 1):
        image, sentences = _fields(line, where=f"{path}, line {number}")
        rows += [Caption(image, sentence.strip(), language) for sentence in sentences]
    return rows


def _fields(line: str, *, where: str) -> tuple[str, list[str]]:
    try:
        found: Any = json.loads(line)
    except ValueError:
        found = None
    image = found.get("img_path") if isinstance(found, dict) else None
    sentences = found.get("sentences") if isinstance(found, dict) else None
    texts = isinstance(sentences, list) and sentences
    if not isinstance(image, str) or not texts:
        raise errors.InputError(
            f'{where}: {line[:80]!r}; expected {{"sentences": [...], "img_path": "NAME.jpg"}}',
            hint="fetch the file again",
        )
    assert isinstance(sentences, list)
    if not all(isinstance(text, str) and text.strip() for text in sentences):
        raise errors.InputError(f"{where}: an empty caption", hint="mend that line")
    return image, sentences
