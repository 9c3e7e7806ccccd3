"""Reader of AudioCaps' captions: `SPLIT.LANG.csv`, a row a caption, five of a clip of the test."""

from __future__ import annotations

import csv
from pathlib import Path

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import language_files
from polyglance.sources.language_files import LanguageFiles
from polyglance.sources.text_lines import SetAside, entry_of, read_lines, require_text

COLUMNS = ("youtube_id", "start_time", "caption")
# As the publisher calls its English files.
ENGLISH_ONLY = "{split}.csv"


def find_files(folder: Path, *, split: str) -> LanguageFiles:
    """The files of a split by language: `test.csv`, which is English, and `test.LANG.csv`.

    Raises:
        UnavailableError: Where there is none.
        InputError: For two files of one language.
        LanguageError: Where no code is understood.
    """
    prefix = f"{split}."
    named = [
        (path.name.removeprefix(prefix).removesuffix(".csv"), path)
        for path in sorted(Path(folder).glob(f"{split}.*.csv"))
    ]
    plain = Path(folder) / ENGLISH_ONLY.format(split=split)
    named += [("en", plain)] if plain.is_file() else []
    if not named:
        raise errors.UnavailableError(
            f"{folder} has no {split}.csv and no {split}.LANG.csv",
            hint="fetch AudioCaps' captions, and those of other languages beside them",
        )
    return language_files.by_language(named, dataset="audiocaps", folder=Path(folder))


def read_audiocaps(
    path: Path, *, language: str, set_aside: SetAside | None = None
) -> list[Caption]:
    """The captions of one file; a clip is called by its video and the second it starts at.

    Args:
        path: CSV with the columns `youtube_id`, `start_time` and `caption`.
        language: The language id of all its captions.
        set_aside: Told of each row that lacks one of them; None stops at the first.

    Raises:
        UnavailableError: There is no such file.
        InputError: A column is missing or, without `set_aside`, for such a row.
    """
    rows = csv.DictReader(f"{line}\n" for line in read_lines(path))
    if lacking := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise errors.InputError(
            f"{path}, line 1: no column {' or '.join(lacking)}; the header has {rows.fieldnames}",
            hint="fetch the file again; its header begins audiocap_id,youtube_id,start_time",
        )
    found = []
    for row in rows:
        with entry_of(path, f"line {rows.line_num}", set_aside):
            video, start, text = (require_text(row[name], f"the {name}") for name in COLUMNS)
            found.append(Caption(f"{video}_{start}", text, language))
    return found
