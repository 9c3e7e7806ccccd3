"""Readers of parallel text: a file a language, or a pair of files a pair of languages.

A pair with an empty side is dropped and counted; two files of another length are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Pair, Quarantined
from polyglance.sources.language_files import LanguageFiles, by_language, is_code
from polyglance.sources.text_lines import read_lines


@dataclass(frozen=True, kw_only=True)
class PairedFiles:
    """The files of a folder by language, each beside the English one.

    Attributes:
        paths: Language id to its file and the English one, in the order of ids, without English.
        set_aside: Files whose code is not understood, and why.
    """

    paths: Mapping[str, tuple[Path, Path]]
    set_aside: tuple[Quarantined, ...] = ()


def tatoeba_files(folder: Path) -> PairedFiles:
    """The files of LASER's Tatoeba form, `tatoeba.CODE-eng.CODE` and `tatoeba.CODE-eng.eng`.

    Raises:
        UnavailableError: Where there is none.
        InputError, LanguageError: As `language_files.by_language`.
    """
    named = []
    for path in sorted(Path(folder).glob("tatoeba.*-eng.*")):
        code = path.name.split(".")[1].removesuffix("-eng")
        if path.suffix == f".{code}":
            named.append((code, path))
    found = by_language(named, dataset="tatoeba", folder=Path(folder))
    paired = {name: (path, path.with_suffix(".eng")) for name, path in found.paths.items()}
    return _some(paired, found, folder, "tatoeba.CODE-eng.CODE")


def language_files(folder: Path, *, dataset: str | None = None) -> PairedFiles:
    """The files `LANG.txt` of a folder, each beside the English one.

    Args:
        folder: Where; files whose names are no codes, such as README.txt, are passed over.
        dataset: Whose codes the names are.

    Raises:
        UnavailableError: Without an English file or any other.
        InputError, LanguageError: As `language_files.by_language`.
    """
    texts = sorted(Path(folder).glob("*.txt"))
    named = [(path.stem, path) for path in texts if is_code(path.stem)]
    found = by_language(named, dataset=dataset, folder=Path(folder))
    if ENGLISH not in found.paths:
        raise errors.UnavailableError(
            f"there is no English file in {folder}; languages are paired with English",
            hint="give a folder of files such as deu_Latn.txt and eng_Latn.txt: --data FOLDER",
        )
    english = found.paths[ENGLISH]
    paired = {name: (path, english) for name, path in found.paths.items() if name != ENGLISH}
    return _some(paired, found, folder, "LANG.txt beside the English one")


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
    paired: dict[str, tuple[Path, Path]], found: LanguageFiles, folder: Path, expected: str
) -> PairedFiles:
    if not paired and found.set_aside:
        told = "; ".join(f"{item.id}: {item.reason}" for item in found.set_aside[:3])
        raise errors.LanguageError(
            f"no file of {folder} but the English one has a language that is understood: {told}",
            hint="rename the files, as in de or deu_Latn: polyglance languages lists all codes",
        )
    if not paired:
        raise errors.UnavailableError(
            f"there are no files {expected} in {folder}",
            hint="check the path, or fetch the data set",
        )
    return PairedFiles(paths=paired, set_aside=found.set_aside)
