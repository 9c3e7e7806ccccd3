"""Language routing: which pack, or the model's own text side, answers in which language.

Legend: N texts, D width of the space.

A language goes to the pack whose dev score there is highest, of those that did better than the
model itself; where none did, and in English, the model answers. Behind every pack that was measured
in a language stand those that only list it, and behind these those that do not. Dev scores of packs
compare only as far as they were measured on the same dev split: a pack's page says on which.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from polyglance.languages.registry import ENGLISH, Direction, all_languages, get_language
from polyglance.model.dual_encoder import TextRouter
from polyglance.model.manifest import LanguageScore, Speaker
from polyglance.model.pack import LanguagePack
from polyglance.search.index import Index
from polyglance.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class LanguageRow:
    """A language that an installation can be asked in.

    Attributes:
        language: Its id.
        own_name: Its name in itself, or in English where that is not known.
        english_name: Its name in English.
        direction: `ltr` or `rtl`.
        speaker: Who answers: `pack`, or `teacher` for the model's own text side.
        pack: Which pack; None for the teacher.
        dev_score: How well on the dev split, a fraction; None where nobody measured.
        teacher_score: How well the teacher does there.
    """

    language: str
    own_name: str
    english_name: str
    direction: Direction
    speaker: Speaker
    pack: str | None
    dev_score: float | None
    teacher_score: float | None


class TextEncoder:
    """One encoder of texts: a pack's, or the teacher's.

    Args:
        name: The pack's; None for the teacher.
        speakers: The pack with the teacher behind it, or the teacher alone.
    """

    def __init__(self, name: str | None, router: TextRouter) -> None:
        self.name = name
        self.pack = router.pack
        self.speaker: Speaker = "teacher" if self.pack is None else "pack"
        self._router = router
        self._lock = threading.Lock()  # tokenizers refuse two threads at once

    @cached_property
    def uses_language(self) -> bool:
        """Whether the language changes the vector; to know it of the teacher loads its tower."""
        side = self._router.load_teacher() if self.pack is None else self.pack.side
        return side.uses_language

    @property
    def a_language(self) -> str | None:
        """One to warm it up with: that it speaks, or else that it lists; of the teacher English."""
        if self.pack is None:
            return ENGLISH
        listed = self.pack.manifest.languages
        spoken = (name for name, row in listed.items() if row.speaks == "pack")
        return next(spoken, next(iter(listed), None))

    def encode(self, texts: Sequence[str], *, languages: Sequence[str | None] | None) -> Vectors:
        """Texts to float32 (N, D), unit.

        Args:
            texts: N texts.
            languages: N ids that it speaks; None, or None in it, where they are not known.
        """
        known = None if languages is None else [name for name in languages if name is not None]
        with self._lock:
            return self._router.encode_texts(texts, languages=known or None)


class LanguageRouting:
    """All text encoders of an index; see the module.

    Args:
        index: The index.
        packs: Language packs: folders, names, ids on the hub, or packs that are loaded.
        named: Packs that are loaded, by their names here.

    Raises:
        SpaceMismatchError: A pack of another space.
    """

    def __init__(
        self,
        index: Index,
        packs: Sequence[str | Path | LanguagePack] = (),
        *,
        named: Mapping[str, LanguagePack] = MappingProxyType({}),
    ) -> None:
        self.teacher = TextEncoder(None, index.router(None))
        named = dict(named)
        for given in packs:
            loaded = given if isinstance(given, LanguagePack) else LanguagePack.load(given)
            label = loaded.manifest.recipe if given is loaded else Path(str(given)).name
            named[_free(label, named)] = loaded
        self.packs = tuple(TextEncoder(name, index.router(pack)) for name, pack in named.items())

    def pack(self, name: str | None) -> LanguagePack | None:
        """A pack by its name here; None for the teacher."""
        return next((encoder.pack for encoder in self.packs if encoder.name == name), None)

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The languages that a text may be in where nobody says which; empty without packs.

        A pack that does not say which languages it knows may know any: with such a one the text
        is guessed among all, so that English still goes to the model.
        """
        if not self.packs:
            return ()
        if not self.are_named:
            # Simple English would take half of the share of English.
            listed = (row.id for row in all_languages() if row.iso639_3 != "eng")
            return tuple(sorted((*listed, ENGLISH)))
        known = {name for encoder in self.packs for name in _scores(encoder)}
        return tuple(sorted(known | {ENGLISH}))

    @cached_property
    def are_named(self) -> bool:
        """Whether every pack says which languages it knows."""
        return all(_names_others(encoder) for encoder in self.packs)

    def of(self, language: str | None) -> TextEncoder:
        """Who answers in a language; where it is not known the first pack, or the teacher.

        Args:
            language: An id, or None.
        """
        best, best_score = self.teacher, float("-inf")
        for encoder in self.packs:
            assert encoder.pack is not None
            listed = _scores(encoder).get(language or "")
            score = -2.0
            if listed is not None:
                score = -1.0 if listed.pack is None else listed.pack
            if encoder.pack.speaker(language) == "pack" and score > best_score:
                best, best_score = encoder, score
        return best

    def not_listed(self, language: str | None) -> bool:
        """Whether nobody here says that it knows a language, and some pack answers in it."""
        encoder = self.of(language)
        if language is None or encoder.pack is None or not _names_others(encoder):
            return False
        return language not in _scores(encoder)

    @cached_property
    def nameless(self) -> TextEncoder:
        """Who answers a text that names no language: as `of(None)`, but nobody who needs one."""
        return next(
            (encoder for encoder in (self.of(None), *self.packs) if not encoder.uses_language),
            self.teacher,
        )

    def rows(self) -> tuple[LanguageRow, ...]:
        """The languages that a pack lists, measured or not, and English, in the order of ids."""
        found = []
        for language in sorted({name for each in self.packs for name in _scores(each)} | {ENGLISH}):
            row, encoder = get_language(language), self.of(language)
            listed = [_scores(each)[language] for each in self.packs if language in _scores(each)]
            teacher = max((one.teacher for one in listed if one.teacher is not None), default=None)
            own = None if encoder.pack is None else _scores(encoder).get(language)
            found.append(
                LanguageRow(
                    language=language,
                    own_name=row.own_name or row.english_name,
                    english_name=row.english_name,
                    direction=row.direction,
                    speaker=encoder.speaker,
                    pack=encoder.name,
                    dev_score=teacher if own is None else own.pack,
                    teacher_score=teacher,
                )
            )
        return tuple(found)


def _scores(encoder: TextEncoder) -> Mapping[str, LanguageScore]:
    assert encoder.pack is not None
    return encoder.pack.manifest.languages


def _names_others(encoder: TextEncoder) -> bool:
    """Whether a pack says of any language but English that it knows it."""
    return any(name != ENGLISH for name in _scores(encoder))


def _free(label: str, taken: dict[str, LanguagePack]) -> str:
    """A label that is not taken yet."""
    number, found = 1, label
    while found in taken:
        number += 1
        found = f"{label}-{number}"
    return found
