"""Captions of Crossmodal-3600 as its publisher ships them: `captions.jsonl`, a JSON line a photo.

    {"image/key": "0004886b7d043cfd", "image/locale": "ar", "ar": {"caption": ["...", "..."],
     "caption/tokenized": [...], "caption/tokenized/lowercase": [...]}, "bn": {...}, ...}

`caption` holds what people wrote, about two a language; the tokenized forms say the same and are
not read. The form is built from what big_vision, CLIP_benchmark, NLLB-CLIP's and Babel-ImageNet's
readers take, and was not tried on the real file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.records import Caption, Quarantined
from polyglance.sources.text_lines import SetAside, entry_of, read_lines, require_text

FILE, KEY, ABOUT = "captions.jsonl", "image/key", "image/"
AGAIN = "mend that line, or fetch the file again"
FORM = '{"image/key": "...", "de": {"caption": ["..."]}, ...}'


def read_captions(
    path: Path,
    *,
    languages: Collection[str] | None = None,
    set_aside: SetAside | None = None,
) -> dict[str, list[Caption]]:
    """All captions by language id, in the order of the file; items are the keys with `.jpg`.

    Args:
        path: The file.
        languages: Language ids; None takes all.
        set_aside: Told of each line, language of a line and caption that cannot be used, and of
            each code that is not understood; None stops at the first.

    Raises:
        UnavailableError: No such file.
        LanguageError: A language of `languages` that the file lacks; without `set_aside`, also an
            unknown code.
        InputError: No line holds a caption; without `set_aside`, also what would be set aside.
    """
    found: dict[str, list[Caption]] = {}
    ids: dict[str, str | None] = {}
    unknown: Counter[str] = Counter()
    line_of: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        with entry_of(path, f"line {number}", set_aside):
            entry = _entry(line)
            image = require_text(entry.get(KEY), KEY) + ".jpg"
            if line_of.setdefault(image, number) != number:
                raise errors.InputError(
                    f"{image} has its captions in line {line_of[image]} already", hint=AGAIN
                )
            captioned = {code: said for code, said in entry.items() if not code.startswith(ABOUT)}
            if not captioned:
                raise errors.InputError(f"{image} has captions in no language", hint=AGAIN)
            for code, said in captioned.items():
                if code not in ids:
                    ids[code] = _language(code, set_aside)
                language = ids[code]
                if language is None:
                    unknown[code] += 1
                elif languages is None or language in languages:
                    where = f"line {number} ({image}), {code}"
                    rows = _captions(said, path=path, where=where, set_aside=set_aside)
                    listed = found.setdefault(language, [])
                    listed += [Caption(image, text, language) for text in rows]
    if set_aside is not None:
        for code, count in unknown.items():
            reason = "no language of the table has that code: polyglance languages lists all"
            set_aside(
                Quarantined(f"{path.name}, {code!r} in {count:,} line{'s'[: count > 1]}", reason)
            )
    there = {language: rows for language, rows in found.items() if rows}
    known = sorted(language for language in ids.values() if language is not None)
    if lacking := sorted(set(languages or ()) - set(known)):
        raise errors.LanguageError(
            f"{path} has no captions in {', '.join(lacking)}; it has: {', '.join(known)}",
            hint="leave those out",
        )
    if not there:
        raise errors.InputError(
            f"{path} has no line with a caption; expected lines {FORM}",
            hint="give the publisher's file, which captions.zip of Crossmodal-3600 holds",
        )
    return there


def _entry(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.InputError(f"{line[:60]!r} is no JSON object; expected {FORM}", hint=AGAIN)
    return found


def _language(code: str, set_aside: SetAside | None) -> str | None:
    """The id of a code; None for one that nobody knows, where the others go on."""
    try:
        return normalise_language(code, dataset="xm3600")
    except errors.LanguageError:
        if set_aside is None:
            raise
        return None


def _captions(said: Any, *, path: Path, where: str, set_aside: SetAside | None) -> list[str]:
    """The captions of one photo in one language, those that can be used."""
    texts: list[str] = []
    with entry_of(path, where, set_aside):
        listed = said.get("caption") if isinstance(said, dict) else None
        if not isinstance(listed, list) or not listed:
            raise errors.InputError(
                f"caption is {listed!r}; expected a list of one caption or more", hint=AGAIN
            )
        for number, text in enumerate(listed, 1):
            with entry_of(path, f"{where}, caption {number}", set_aside):
                texts.append(require_text(text, "the caption"))
    return texts
