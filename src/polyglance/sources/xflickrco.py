"""Reader of xFlickrCO: a JSON line an image, a folder a language (IGLUE's form).

LANG/test.jsonl     {"sentences": ["..."], "id": 274455, "img_path": "NAME.jpg"}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.records import Caption, Quarantined
from polyglance.sources import language_files
from polyglance.sources.language_files import LanguageFiles
from polyglance.sources.text_lines import SetAside, read_lines, unusable

FILE = "test.jsonl"


def find_files(folder: Path) -> LanguageFiles:
    """The test files of a folder by the language of the folders that they are in.

    Raises:
        UnavailableError: There is none.
        InputError, LanguageError: As `language_files.by_language`.
    """
    named = [(path.parent.name, path) for path in sorted(Path(folder).glob(f"*/{FILE}"))]
    if not named:
        raise errors.UnavailableError(
            f"there are no files LANG/{FILE} in {folder}",
            hint="give the folder xFlickrCO/annotations of the release",
        )
    return language_files.by_language(named, dataset="xflickrco", folder=Path(folder))


def read_xflickrco(
    folder: Path, language: str, *, set_aside: SetAside | None = None
) -> list[Caption]:
    """The test captions of one language, in the order of the file.

    Args:
        folder: The release's `annotations`.
        language: A language id.
        set_aside: Told of each line of another form; None stops at the first.

    Raises:
        LanguageError: A language that the folder lacks.
        InputError: Without `set_aside`, a line of another form.
    """
    by_language = find_files(folder).paths
    if language not in by_language:
        raise errors.LanguageError(
            f"{folder} has no captions in {language}; it has: {', '.join(by_language)}",
            hint="choose one of those",
        )
    path = by_language[language]
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        image, sentences, reason = _fields(line)
        if reason and set_aside is None:
            raise errors.InputError(f"{path}, line {number}: {reason}", hint="mend that line")
        if reason and set_aside is not None:
            set_aside(Quarantined(f"{path.relative_to(folder)}, line {number}", reason))
            continue
        rows += [Caption(image, sentence.strip(), language) for sentence in sentences]
    return rows


def _fields(line: str) -> tuple[str, list[str], str]:
    """Image and captions of a line, or why it has none."""
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    image = found.get("img_path") if isinstance(found, dict) else None
    sentences = found.get("sentences") if isinstance(found, dict) else None
    if not isinstance(image, str) or not isinstance(sentences, list) or not sentences:
        return (
            "",
            [],
            f'{line[:80]!r}; expected {{"sentences": [...], "img_path": "NAME.jpg"}}',
        )
    reasons = [reason for value in (image, *sentences) if (reason := unusable(value))]
    return image, sentences, reasons[0] if reasons else ""
