"""Where does parallel text come from? A file a language, or a pair of files a pair of languages.

A pair with an empty side is dropped and counted; two files of another length are refused.
"""

from __future__ import annotations

from pathlib import Path

from polyglance import errors
from polyglance.languages import AMBIGUOUS, ENGLISH, normalise_language
from polyglance.records import Pair
from polyglance.sources.captions import read_lines


def tatoeba_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The files of LASER's Tatoeba form, `tatoeba.CODE-eng.CODE` and `tatoeba.CODE-eng.eng`.

    Returns:
        Language id to its file and the English one beside it, in the order of ids.

    Raises:
        UnavailableError: Where there is none.
    """
    found = {}
    for path in Path(folder).glob("tatoeba.*-eng.*"):
        code = path.name.split(".")[1].removesuffix("-eng")
        if path.suffix == f".{code}":
            language = normalise_language(code, dataset="tatoeba")
            found[language] = (path, path.with_suffix(".eng"))
    return _some(found, folder, "tatoeba.CODE-eng.CODE")


def language_files(folder: Path, *, dataset: str | None = None) -> dict[str, tuple[Path, Path]]:
    """The files `LANG.txt` of a folder, each beside the English one.

    Args:
        folder: Where; files whose names mean no language are passed over.
        dataset: Whose codes the names are.

    Returns:
        Language id to its file and the English one, in the order of ids, without English.

    Raises:
        UnavailableError: Without an English file or any other.
        LanguageError: For an ambiguous name.
        InputError: For two files of one language.
    """
    by_language: dict[str, Path] = {}
    for path in sorted(Path(folder).glob("*.txt")):
        try:
            language = normalise_language(path.stem, dataset=dataset)
        except errors.LanguageError:
            if path.stem.casefold() in AMBIGUOUS:
                raise
            continue  # a file of another kind, such as README.txt
        if language in by_language:
            raise errors.InputError(
                f"{by_language[language]} and {path} are both {language}",
                hint="keep one file a language",
            )
        by_language[language] = path
    if ENGLISH not in by_language:
        raise errors.UnavailableError(
            f"there is no English file in {folder}; languages are paired with English",
            hint="give a folder of files such as deu_Latn.txt and eng_Latn.txt: --data FOLDER",
        )
    english = by_language.pop(ENGLISH)
    paired = {language: (path, english) for language, path in by_language.items()}
    return _some(paired, folder, "LANG.txt beside the English one")


def read_pairs(path: Path, other_path: Path, *, language: str) -> tuple[list[Pair], int]:
    """Two files line by line, the second in English.

    Args:
        path: Of the language.
        other_path: Of English.
        language: A language id.

    Returns:
        The pairs, and how many were dropped since a side is empty.

    Raises:
        UnavailableError: For a file that is not there.
        InputError: For files of different length, naming both.
    """
    texts, others = read_lines(path), read_lines(other_path)
    if len(texts) != len(others):
        raise errors.InputError(
            f"{path} has {len(texts)} lines and {other_path} {len(others)}; line i of one is the "
            "translation of line i of the other",
            hint="fetch both files again from the same place",
        )
    pairs = [
        Pair(text, language, other, ENGLISH)
        for text, other in zip(texts, others, strict=True)
        if text.strip() and other.strip()
    ]
    return pairs, len(texts) - len(pairs)


def _some(
    found: dict[str, tuple[Path, Path]], folder: Path, expected: str
) -> dict[str, tuple[Path, Path]]:
    if not found:
        raise errors.UnavailableError(
            f"there are no files {expected} in {folder}",
            hint="check the path, or fetch the data set",
        )
    return dict(sorted(found.items()))
