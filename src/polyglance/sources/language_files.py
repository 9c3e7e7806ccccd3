"""Files by language, from the code in the name, as any data set writes it.

A file whose code is not understood stands aside and is named with the nearest language, so that it
is never passed over without a word; it does not stop the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.records import Quarantined

CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, kw_only=True)
class LanguageFiles:
    """The files of a folder by language.

    Attributes:
        paths: Language id to its file, in the order of ids.
        set_aside: Files whose code is not understood, and why.
    """

    paths: Mapping[str, Path]
    set_aside: tuple[Quarantined, ...] = ()


def by_language(
    named: Iterable[tuple[str, Path]], *, dataset: str | None, folder: Path
) -> LanguageFiles:
    """Sort files by the language that their codes mean.

    Args:
        named: Codes, as they stand in the names, and files.
        dataset: Whose codes they are; None for anybody's.
        folder: Where they are, for messages.

    Raises:
        InputError: For two files of one language.
        LanguageError: Where there are files and no code of them is understood.
    """
    paths: dict[str, Path] = {}
    set_aside: list[Quarantined] = []
    for code, path in named:
        try:
            language = normalise_language(code, dataset=dataset)
        except errors.LanguageError as error:
            reason = f"{error.message.partition(';')[0]}: {error.hint}"
            set_aside.append(Quarantined(str(path.relative_to(folder)), reason))
            continue
        if language in paths:
            raise errors.InputError(
                f"{paths[language]} and {path} are both {language}",
                hint="keep one file a language",
            )
        paths[language] = path
    if set_aside and not paths:
        told = "; ".join(f"{item.id}: {item.reason}" for item in set_aside[:3])
        raise errors.LanguageError(
            f"no file of {folder} has a language that is understood: {told}",
            hint="rename the files, as in de or deu_Latn: polyglance languages lists all codes",
        )
    return LanguageFiles(paths=dict(sorted(paths.items())), set_aside=tuple(set_aside))


def is_code(name: str) -> bool:
    """Whether a file is called by a code alone, and not by a word as those of another kind are.

    >>> is_code("de"), is_code("zh_Hant"), is_code("README")
    (True, True, False)
    """
    return CODE.fullmatch(name) is not None
