"""Readers of sentence pairs with a similarity score: SemEval's STS 2017, and its extension.

The extension (Reimers and Gurevych, 2020) translates one side of the English track into four
languages; its form, `STS.LANG-LANG.txt` with two sentences and the score a line, is built from
other people's readers and was not tried on the real archive.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from polyglance import errors
from polyglance.records import Quarantined, ScoredPair
from polyglance.sources.text_lines import SetAside, entry_of

INPUTS = ("Sts2017.eval.v1.1.zip", "STS2017.eval.v1.1")
GOLD = ("Sts2017.gs.zip", "STS2017.gs")

# Track to the languages of its two columns, as they stand in the file and not in its name: tracks
# 2 and 6 have English first. Track 4b (news, es-en) is left out, as in the papers.
TRACKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "track1.ar-ar": ("arb_Arab", "arb_Arab"),
        "track2.ar-en": ("eng_Latn", "arb_Arab"),
        "track3.es-es": ("spa_Latn", "spa_Latn"),
        "track4a.es-en": ("spa_Latn", "eng_Latn"),
        "track5.en-en": ("eng_Latn", "eng_Latn"),
        "track6.tr-en": ("eng_Latn", "tur_Latn"),
    }
)

EXTENSION = ("STS2017-extended.zip", "STS2017-extended")
EXTENDED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "en-de": ("eng_Latn", "deu_Latn"),
        "fr-en": ("fra_Latn", "eng_Latn"),
        "it-en": ("ita_Latn", "eng_Latn"),
        "nl-en": ("nld_Latn", "eng_Latn"),
    }
)


def read_sts17(
    folder: Path, track: str, *, set_aside: SetAside | None = None
) -> tuple[list[ScoredPair], int]:
    """The pairs of one track that have a score.

    Args:
        folder: Holds the archives, packed or not.
        track: A name of `TRACKS` or `EXTENDED`.
        set_aside: Told of each pair whose line or score cannot be read; None stops at the first.

    Returns:
        The pairs, and how many lines have no score: scores stand for the first lines of a track
        (track 6 has 500 pairs and 250 scores).

    Raises:
        UnavailableError: Where an archive or a file is absent.
        InputError: For an archive that cannot be read; without `set_aside` also for a line or
            score, naming it.
    """
    if track in EXTENDED:
        return _extended(Path(folder), track, set_aside=set_aside), 0
    languages = TRACKS[track]
    pairs_name, scores_name = f"STS.input.{track}.txt", f"STS.gs.{track}.txt"
    lines = _lines(Path(folder), INPUTS, name=pairs_name)
    scores = _lines(Path(folder), GOLD, name=scores_name)
    if len(scores) > len(lines):
        raise errors.InputError(
            f"{scores_name} has {len(scores)} scores for {len(lines)} pairs of {pairs_name}",
            hint="fetch both archives again from the same place",
        )
    rows = []
    for number, (line, score) in enumerate(zip(lines, scores, strict=False), 1):
        with entry_of(Path(pairs_name), f"line {number}", set_aside):
            texts = line.split("\t")
            if len(texts) != 2 or not all(text.strip() for text in texts):
                raise errors.InputError(
                    "expected two sentences with a tab between them", hint="fetch the archive again"
                )
            value = _score(score, scores_name)
            rows.append(ScoredPair(texts[0], languages[0], texts[1], languages[1], value))
    return rows, len(lines) - len(scores)


def extended_tracks(folder: Path, *, set_aside: SetAside) -> dict[str, tuple[str, str]]:
    """The tracks of the extension that a folder holds, packed or not; none where it has none.

    Raises:
        InputError: It cannot be read.
    """
    found: dict[str, tuple[str, str]] = {}
    if not _has_extension(Path(folder)):
        return {}
    held = _held(Path(folder), EXTENSION)
    for track, languages in EXTENDED.items():
        if (name := f"STS.{track}.txt") in held:
            found[track] = languages
        else:
            set_aside(Quarantined(track, f"there is no {name} in {folder / EXTENSION[0]}"))
    return found


def _has_extension(folder: Path) -> bool:
    return any((folder / name).exists() for name in EXTENSION)


def _extended(folder: Path, track: str, *, set_aside: SetAside | None) -> list[ScoredPair]:
    """The pairs of a track of the extension; each line has its score."""
    name, languages = f"STS.{track}.txt", EXTENDED[track]
    rows = []
    for number, line in enumerate(_lines(folder, EXTENSION, name=name), 1):
        with entry_of(Path(name), f"line {number}", set_aside):
            parts = line.split("\t")
            if len(parts) != 3 or not all(part.strip() for part in parts):
                raise errors.InputError(
                    "expected two sentences and a score with tabs between them",
                    hint="fetch the archive again",
                )
            value = _score(parts[2], name)
            rows.append(ScoredPair(parts[0], languages[0], parts[1], languages[1], value))
    return rows


def _score(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 5:
        raise errors.InputError(
            f"{text!r} in {name} is no score from 0 to 5", hint="fetch the archive again"
        )
    return value


def _held(folder: Path, archive: tuple[str, str]) -> frozenset[str]:
    """The names of the files inside an archive, and of the folder that it unpacks to."""
    packed, unpacked = archive
    plain = {path.name for path in (folder / unpacked).glob("*")}
    if not (folder / packed).is_file():
        return frozenset(plain)
    try:
        with zipfile.ZipFile(folder / packed) as opened:
            inside = {Path(name).name for name in opened.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise errors.InputError(
            f"{folder / packed} cannot be read: {errors.first_line(error)}",
            hint="fetch the archive again",
        ) from error
    return frozenset(plain | inside)


def _lines(folder: Path, archive: tuple[str, str], *, name: str) -> list[str]:
    """The lines of a file inside an archive, or of the folder that it unpacks to."""
    packed, unpacked = archive
    plain = folder / unpacked / name
    try:
        if plain.is_file():
            text = plain.read_bytes().decode("utf-8-sig")
        else:
            with zipfile.ZipFile(folder / packed) as opened:
                text = opened.read(f"{unpacked}/{name}").decode("utf-8-sig")
    except (FileNotFoundError, KeyError) as error:
        raise errors.UnavailableError(
            f"there is no {name} in {folder / packed}",
            hint=f"give the folder that holds {INPUTS[0]} and {GOLD[0]}, and {EXTENSION[0]} "
            "for its languages: --data FOLDER",
        ) from error
    except (zipfile.BadZipFile, UnicodeDecodeError, OSError) as error:
        raise errors.InputError(
            f"{folder / packed}, {name} cannot be read: {errors.first_line(error)}",
            hint="fetch the archive again",
        ) from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
