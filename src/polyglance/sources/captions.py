"""Readers of captions: tables, a line a caption, and the forms that publishers ship.

A caption file that does not fit says the file, the line and what was expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from polyglance import errors
from polyglance.languages.registry import DATASET_ALIASES, ENGLISH, normalise_language
from polyglance.records import Caption, Pair, Quarantined
from polyglance.sources import language_files
from polyglance.sources.language_files import LanguageFiles
from polyglance.sources.text_lines import SetAside, entry_of, read_json, require_text
from polyglance.sources.text_lines import read_lines as read_lines
from polyglance.sources.text_lines import read_table as read_table

XTD_NAMES = "test_image_names.txt"
XTD_PREFIX = "test_1kcaptions_"


def read_caption_table(
    path: Path, *, language: str, set_aside: SetAside | None = None
) -> list[Caption]:
    """Captions from a table with the columns `image` and `caption`; several an image are fine.

    Args:
        path: The table, tab-separated.
        language: The language of all its captions, any code that is known.
        set_aside: As for `read_table`.

    Raises:
        InputError: As `read_table`.
        LanguageError: An unknown language.
    """
    known = normalise_language(language)
    rows = read_table(path, ("image", "caption"), set_aside=set_aside)
    return [Caption(image, text, known) for image, text in rows]


def read_caption_lines(
    path: Path,
    *,
    images: Sequence[str],
    images_path: Path,
    language: str,
    set_aside: SetAside | None = None,
) -> list[Caption]:
    """A line a caption, in the order of images that another file gives.

    Args:
        path: The captions.
        images: The image of each line.
        images_path: Where those came from, for the message.
        language: A language id.
        set_aside: Told of each empty line, whose image has no caption then; None stops at the
            first.

    Raises:
        InputError: Another number of captions than of images, or, without `set_aside`, an empty
            caption.
    """
    lines = read_lines(path)
    if len(lines) != len(images):
        raise errors.InputError(
            f"{path}, line {len(lines)}: the file ends after {len(lines)} captions; expected "
            f"{len(images)}, one for each line of {images_path}",
            hint="fetch both files again from the same place",
        )
    found = []
    for number, (image, line) in enumerate(zip(images, lines, strict=True), 1):
        with entry_of(path, f"line {number}", set_aside):
            require_text(line, "the caption")
            found.append(Caption(image, line, language))
    return found


def read_flickr8k(
    folder: Path, language: str, *, split: str, set_aside: SetAside | None = None
) -> list[Caption]:
    """Flickr8k captions of one split: `images.tsv` (image, split) and `captions.LANG.tsv`.

    Args:
        folder: The data set.
        language: Which captions.
        split: `train`, `dev` or `test`.
        set_aside: Told of each row that is none, and of each caption of an image that `images.tsv`
            lacks; None stops at the first.

    Raises:
        InputError: An unknown split or, without `set_aside`, for such a row.
        LanguageError: A language that the folder lacks.
    """
    split_of = read_splits(Path(folder) / "images.tsv")
    if split not in split_of.values():
        raise errors.unknown_name("split", split, allowed=set(split_of.values()))
    path, known = _file_of_language(folder, "captions.*.tsv", language=language, dataset="flickr8k")
    found = []
    for caption in read_caption_table(path, language=known, set_aside=set_aside):
        with entry_of(path, f"image {caption.item_id!r}", set_aside):
            if caption.item_id not in split_of:
                raise errors.InputError(
                    "it is not in images.tsv", hint="fetch both files again from the same place"
                )
            if split_of[caption.item_id] == split:
                found.append(caption)
    return found


def read_splits(path: Path) -> dict[str, str]:
    """Image to split, from a table with the columns `image` and `split`."""
    rows = read_table(path, ("image", "split"))
    return {row[0]: row[1] for row in rows}


def read_uclip(folder: Path, language: str, *, set_aside: SetAside | None = None) -> list[Caption]:
    """The test sets that uCLIP's authors ship, one caption a photo: `captions_LANG.json`.

    A list of `{"filename", "captions_en", "captions_translated"}`. Their XM3600, COCO and Flickr30k
    have it; in XM3600 the caption is the first that people wrote in the language.

    Args:
        folder: The data set.
        language: Which captions.
        set_aside: Told of each entry that lacks a name or a caption; None stops at the first.

    Raises:
        InputError: Another form or, without `set_aside`, such an entry; says which.
        LanguageError: A language that the folder lacks.
    """
    path, known = _file_of_language(folder, "captions_*.json", language=language, dataset="xm3600")
    found = read_json(path)
    if not isinstance(found, list):
        raise _wrong_form(path, "a list of objects")
    captions = []
    for number, entry in enumerate(found, 1):
        with entry_of(path, f"entry {number}", set_aside):
            fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
            for name in ("filename", "captions_translated"):
                require_text(fields.get(name), name)
            captions.append(Caption(fields["filename"], fields["captions_translated"], known))
    return captions


def _file_of_language(
    folder: Path, pattern: str, *, language: str, dataset: str
) -> tuple[Path, str]:
    """The file of a folder whose name holds a language, however the data set writes it.

    Args:
        folder: Where.
        pattern: File names, with a star where the code stands.
        language: Any code that is known.
        dataset: Whose codes the files have.

    Returns:
        The file, and the language's id.
    """
    known = normalise_language(language, dataset=dataset)
    paths = find_files(folder, pattern, dataset=dataset).paths
    if known not in paths:
        raise errors.LanguageError(
            f"{folder} has no captions in {language!r} ({known}); it has: {', '.join(paths)}",
            hint="choose one of those",
        )
    return paths[known], known


def find_files(folder: Path, pattern: str, *, dataset: str) -> LanguageFiles:
    """The files of a folder by the language that stands in place of the star in their names.

    Args:
        folder: Where.
        pattern: File names, with a star where the code stands.
        dataset: Whose codes the files have.

    Raises:
        UnavailableError: No such files.
        InputError: Two of one language.
        LanguageError: No code of theirs is understood.
    """
    before, _, after = pattern.partition("*")
    found = [path for path in sorted(Path(folder).glob(pattern)) if path.name != XTD_NAMES]
    named = [
        (path.name.removeprefix(before).removesuffix(after).removeprefix(XTD_PREFIX), path)
        for path in found
    ]
    if not before:
        # What is called by a word may be of another kind; a data set's own words are codes too.
        own = DATASET_ALIASES[dataset]
        named = [
            (code, path)
            for code, path in named
            if language_files.is_code(code) or XTD_PREFIX in path.name or code in own
        ]
    if not named:
        raise errors.UnavailableError(
            f"there are no files {pattern} in {folder}", hint="check the path, or fetch the data"
        )
    return language_files.by_language(named, dataset=dataset, folder=Path(folder))


def _code_of_language(
    codes: Iterable[str], *, language: str, dataset: str, where: str
) -> tuple[str, str]:
    """Which of a data set's codes means a language, and that language's id."""
    wanted = normalise_language(language, dataset=dataset)
    known = _ids_of_codes(codes, dataset=dataset)
    if wanted not in known:
        raise errors.LanguageError(
            f"{where} has no captions in {language!r} ({wanted}); it has: "
            f"{', '.join(sorted(known))}",
            hint="choose one of those",
        )
    return known[wanted], wanted


def _ids_of_codes(codes: Iterable[str], *, dataset: str) -> dict[str, str]:
    """Language ids to a data set's codes."""
    known = {}
    for code in codes:
        try:
            known[normalise_language(code, dataset=dataset)] = code
        except errors.LanguageError:
            continue  # a file of another kind beside the captions, such as README.txt
    return known


def _wrong_form(path: Path, expected: str) -> errors.InputError:
    return errors.InputError(f"{path}: expected {expected}", hint="fetch the file again")


def languages_of(folder: Path, pattern: str, *, dataset: str) -> list[str]:
    """The languages of a folder whose file names hold them, as ids, sorted.

    Args:
        folder: Where.
        pattern: File names, with a star where the code stands.
        dataset: Whose codes the files have.

    Raises:
        UnavailableError, InputError, LanguageError: As `find_files`.
    """
    return list(find_files(folder, pattern, dataset=dataset).paths)


def read_parallel_table(path: Path, *, set_aside: SetAside | None = None) -> list[Pair]:
    """Parallel text with English: a table with the columns `english`, `language` and `text`.

    Args:
        path: The table, tab-separated; `language` holds any code that is known.
        set_aside: Told of each row that cannot be used, and of each unknown language once; None
            stops at the first.

    Raises:
        InputError: As `read_table`.
        LanguageError: Without `set_aside`, for an unknown language; with it, where none is known.
    """
    return [
        Pair(english, ENGLISH, text, language)
        for language, english, text in _by_language(path, ("english", "text"), set_aside)
    ]


def read_translations(path: Path, *, set_aside: SetAside | None = None) -> list[Pair]:
    """Texts and their translations in any two languages.

    Args:
        path: The table, tab-separated, with the columns `language`, `text`, `other_language` and
            `other_text`.
        set_aside: As for `read_parallel_table`.

    Raises:
        InputError: As `read_parallel_table`, and for rows whose texts are in one language, where
            there are no others or no `set_aside`.
        LanguageError: As `read_parallel_table`.
    """
    rows = _by_language(
        path,
        ("text", "other_text"),
        set_aside,
        language_columns=("language", "other_language"),
    )
    pairs = [Pair(text, one, other_text, other) for one, other, text, other_text in rows]
    kept = [pair for pair in pairs if pair.language_a != pair.language_b]
    if num_alike := len(pairs) - len(kept):
        reason = "language and other_language are the same; a translation is in another"
        if set_aside is None or not kept:
            raise errors.InputError(
                f"{path}, {num_alike:,} rows: {reason}", hint="mend the columns, or leave them out"
            )
        set_aside(Quarantined(f"{path.name}, rows in one language: {num_alike:,}", reason))
    return kept


def read_caption_rows(path: Path, *, set_aside: SetAside | None = None) -> list[Caption]:
    """Captions in several languages: a table with the columns `image`, `language` and `text`.

    Args:
        path: The table, tab-separated; `language` holds any code that is known.
        set_aside: As for `read_parallel_table`.

    Raises:
        InputError, LanguageError: As `read_parallel_table`.
    """
    return [
        Caption(image, text, language)
        for language, image, text in _by_language(path, ("image", "text"), set_aside)
    ]


def read_texts_by_language(
    path: Path, *, set_aside: SetAside | None = None
) -> list[tuple[str, str]]:
    """Texts that belong to nothing: a table with the columns `language` and `text`, or files.

    Args:
        path: The table, tab-separated; or a folder of files as `deu_Latn.txt`, a text a line.
        set_aside: As for `read_parallel_table`.

    Returns:
        Language ids and texts.

    Raises:
        InputError, LanguageError: As `read_parallel_table`; also where there is no text at all.
    """
    found = (
        _texts_of_files(path, set_aside)
        if path.is_dir()
        else [(language, text) for language, text in _by_language(path, ("text",), set_aside)]
    )
    if not found:
        raise errors.InputError(
            f"{path} holds no text", hint="give a table with language and text, or leave it out"
        )
    return found


def _texts_of_files(path: Path, set_aside: SetAside | None) -> list[tuple[str, str]]:
    named = [(file.stem, file) for file in sorted(path.glob("*.txt")) if not file.is_dir()]
    files = language_files.by_language(named, dataset=None, folder=path)
    if not files.paths:
        raise errors.InputError(
            f"{path} holds no file as de.txt or deu_Latn.txt, with a text a line",
            hint="call each file by its language, or give a table with language and text",
        )
    for one in files.set_aside:
        if set_aside is None:
            raise errors.LanguageError(f"{path}: {one.id}: {one.reason}", hint="rename the file")
        set_aside(one)
    return [
        (language, line)
        for language, file in files.paths.items()
        for line in read_lines(file)
        if line.strip()
    ]


def _by_language(
    path: Path,
    columns: Sequence[str],
    set_aside: SetAside | None,
    *,
    language_columns: Sequence[str] = ("language",),
) -> list[tuple[str, ...]]:
    """Language ids and columns of each row of a table whose languages are understood."""
    rows = read_table(path, (*language_columns, *columns), set_aside=set_aside)
    width = len(language_columns)
    counts = Counter(code for row in rows for code in row[:width])
    known: dict[str, str] = {}
    problem: errors.LanguageError | None = None
    for code, count in counts.items():
        try:
            known[code] = normalise_language(code)
        except errors.LanguageError as error:
            problem = errors.LanguageError(f"{path}: {error.message}", hint=error.hint)
            if set_aside is None:
                raise problem from error
            set_aside(Quarantined(f"{path.name}, rows in {code!r}: {count:,}", error.message))
    kept = [
        (*(known[code] for code in row[:width]), *row[width:])
        for row in rows
        if all(code in known for code in row[:width])
    ]
    if problem is not None and not kept:
        raise problem
    return kept
