"""Data of text tasks: pairs of sentences with a score, and translations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.records import Pair, Quarantined, ScoredPair
from polyglance.results.schema import CaptionPolicy
from polyglance.sources import bitext, sts
from polyglance.storage import digests
from polyglance.tasks.fetching import required
from polyglance.tasks.rows import each_language


@dataclass(frozen=True, kw_only=True, eq=False)
class SimilarityData:
    """Sentence pairs that people have scored.

    Attributes:
        task: Name of the task.
        pairs: By language, then by the other language (the same where both are in one): two pairs
            or more.
        num_unscored: Pairs without a score, by language and other language.
        policy: There are no captions.
        set_aside: Files and lines that could not be used, and why.
    """

    task: str
    pairs: Mapping[str, Mapping[str, Sequence[ScoredPair]]]
    num_unscored: Mapping[tuple[str, str], int]
    policy: CaptionPolicy = "none"
    set_aside: tuple[Quarantined, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages; a pair with English goes by the other."""
        return tuple(self.pairs)

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's pairs and scores."""
        said = []
        for other, rows in self.pairs[language].items():
            said.append(f"{other}\0")
            said += [f"{row.text_a}\0{row.text_b}\0{row.score}\0" for row in rows]
        return digests.of_parts(said)


@dataclass(frozen=True, kw_only=True, eq=False)
class BitextData:
    """Sentences with their translations into one other language.

    Attributes:
        task: Name of the task.
        pairs: By language: one pair or more, `a` of the language.
        num_empty: Pairs dropped since a side is empty, by language.
        other_language: The language of all `b` sides.
        policy: There are no captions.
        set_aside: Files and lines that could not be used, and why.
    """

    task: str
    pairs: Mapping[str, Sequence[Pair]]
    num_empty: Mapping[str, int]
    other_language: str = ENGLISH
    policy: CaptionPolicy = "none"
    set_aside: tuple[Quarantined, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Ids of the languages, without the other one."""
        return tuple(self.pairs)

    def data_id(self, language: str) -> str:
        """Fingerprint of one language's pairs."""
        said = (f"{row.text_a}\0{row.text_b}\0" for row in self.pairs[language])
        return digests.of_parts([self.other_language, *said])


def load_sts17(folder: Path | None, languages: list[str] | None) -> SimilarityData:
    """STS 2017: Arabic, English and Spanish within themselves, and three languages with English.

    With its extension, German, French, Italian and Dutch with English as well.

    Args:
        folder: Holds the publisher's archives of pairs and scores, perhaps the extension's.
        languages: Which ones; None takes all.
    """
    where = required(folder, "sts17")
    pairs: dict[str, dict[str, Sequence[ScoredPair]]] = {}
    num_unscored: dict[tuple[str, str], int] = {}
    aside: list[Quarantined] = []
    tracks = {**sts.TRACKS, **sts.extended_tracks(where, set_aside=aside.append)}
    for track, columns in tracks.items():
        # What is asked for is the language that is not English.
        other, language = columns if columns[0] == ENGLISH else (columns[1], columns[0])
        if languages is not None and language not in languages:
            continue
        found, missing = sts.read_sts17(where, track, set_aside=aside.append)
        pairs.setdefault(language, {})[other] = found
        num_unscored[language, other] = missing
    asked = {language: pairs[language] for language in _asked("sts17", languages, pairs)}
    return SimilarityData(
        task="sts17", pairs=asked, num_unscored=num_unscored, set_aside=tuple(aside)
    )


def load_tatoeba(folder: Path | None, languages: list[str] | None) -> BitextData:
    """LASER's Tatoeba sets: up to 1,000 sentences in 112 languages with their English.

    Args:
        folder: Holds `tatoeba.CODE-eng.CODE` and `tatoeba.CODE-eng.eng`.
        languages: Which ones; None takes all that are there.
    """
    return _load("tatoeba", folder, languages, find=bitext.tatoeba_files)


def load_xtd200_text(folder: Path | None, languages: list[str] | None) -> BitextData:
    """The captions of XTD200 as parallel text, without their images.

    Args:
        folder: Holds `LANG.txt` with FLORES codes.
        languages: Which ones; None takes all that are there but English.
    """

    def find(where: Path) -> bitext.PairedFiles:
        return bitext.language_files(where, dataset="xtd")

    return _load("xtd200-text", folder, languages, find=find)


def load_bitext(folder: Path | None, languages: list[str] | None) -> BitextData:
    """Anyone's parallel text, a file a language, a sentence a line.

    Args:
        folder: Holds files such as `deu_Latn.txt`, `fr.txt` and `en.txt`.
        languages: Which ones; None takes all that are there but English.
    """
    return _load("bitext", folder, languages, find=bitext.language_files)


def _load(
    task: str,
    folder: Path | None,
    languages: list[str] | None,
    *,
    find: Callable[[Path], bitext.PairedFiles],
) -> BitextData:
    found = find(required(folder, task))
    aside = list(found.set_aside)

    def read(language: str) -> tuple[list[Pair], int]:
        path, english = found.paths[language]
        rows, num_empty = bitext.read_pairs(path, english, language=language)
        if not rows:
            raise errors.InputError(
                f"{path} and {english} have no line with text on both sides",
                hint="fetch both files again, or leave the language out",
            )
        return rows, num_empty

    def failed(language: str, error: errors.InputError) -> None:
        aside.append(Quarantined(found.paths[language][0].name, error.message))

    known = each_language(_asked(task, languages, found.paths), read, failed=failed)
    return BitextData(
        task=task,
        pairs={language: rows for language, (rows, _) in known.items()},
        num_empty={language: num_empty for language, (_, num_empty) in known.items()},
        set_aside=tuple(aside),
    )


def _asked(task: str, languages: list[str] | None, there: Mapping[str, object]) -> list[str]:
    """The languages to read, each of them there."""
    lacking = [language for language in languages or () if language not in there]
    if lacking:
        raise errors.LanguageError(
            f"{task} has nothing in {', '.join(lacking)}; it has {', '.join(sorted(there))}",
            hint="leave those out; English is what the others are compared with",
        )
    return list(there) if languages is None else list(languages)
