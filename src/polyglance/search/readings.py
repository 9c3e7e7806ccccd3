"""How is a text read? In the language that is given, or in the likely ones, by whoever speaks them.

Legend: T texts, D width of the space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from polyglance.affine import Vectors
from polyglance.packs import Speaker
from polyglance.search import language_guess
from polyglance.search.voices import Voice, Voices

# Readings of one text, and of one query, that are asked and fused at most.
MAX_READINGS = 3
# Of combined queries with many unsure terms, so many combinations are weighed.
MAX_WEIGHED = 64


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """In which language a text was read, and who answered it.

    Attributes:
        text: Of the query.
        language: Its id; None where none was given and none could be guessed.
        speaker: `pack`, or `teacher` for the model's own text side.
        pack: Which pack; None for the teacher.
        share: How sure: 1 where the language was given; where it was guessed, the shares of all
            guesses to which this speaker gives this very answer.
        others: Those further guesses, likely ones first.
    """

    text: str
    language: str | None
    speaker: Speaker
    pack: str | None
    share: float
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A text as a vector.

    Attributes:
        vector: Float32 (D,), unit; of a pack's own width where it has a content head.
        assumption: Who made it, in which language.
    """

    vector: Vectors
    assumption: Assumption


def encode(texts: Sequence[tuple[str, str | None]], voices: Voices) -> list[list[Encoded]]:
    """All readings of each text, most likely first; each voice encodes its texts in one batch.

    Args:
        texts: T texts, each with its language id, or None to have it guessed.
        voices: Who can speak.
    """
    readings = [assume(text, language, voices=voices) for text, language in texts]
    asked: dict[tuple[Voice, bool], dict[tuple[str, str | None], None]] = {}
    for voice, one in itertools.chain.from_iterable(readings):
        # With a language and without: an encoder is never given both in one call.
        asked.setdefault((voice, one.language is None), {})[one.text, one.language] = None
    vector_of: dict[tuple[Voice, str, str | None], Vectors] = {}
    for (voice, _), pairs in asked.items():
        vectors = voice.encode(
            [text for text, _ in pairs],
            languages=[name for _, name in pairs if name is not None] or None,
        )
        vector_of |= {(voice, *pair): row for pair, row in zip(pairs, vectors, strict=True)}
    return [
        [
            Encoded(vector=vector_of[voice, one.text, one.language], assumption=one)
            for voice, one in each
        ]
        for each in readings
    ]


def assume(text: str, language: str | None, *, voices: Voices) -> list[tuple[Voice, Assumption]]:
    """Who is asked for a text, and in which language; the likeliest first.

    Guesses that would give the very same vector are one reading: a voice that does not use the
    language is asked once.
    """
    if language is not None or not voices.candidates:
        voice = voices.of(language)
        return [(voice, _assumption(text, language, voice, 1.0))]
    found: dict[tuple[Voice, str | None], Assumption] = {}
    for one in language_guess.likely(text, languages=voices.candidates):
        voice = voices.of(one.language)
        key = voice, one.language if voice.uses_language else None
        if key in found:
            known = found[key]
            others = (*known.others, one.language)
            found[key] = replace(known, share=known.share + one.share, others=others)
        elif len(found) < MAX_READINGS:
            found[key] = _assumption(text, one.language, voice, one.share)
    return [(voice, assumption) for (voice, _), assumption in found.items()]


def combinations(
    readings: Sequence[Sequence[Encoded] | None],
) -> list[tuple[tuple[Encoded | None, ...], float]]:
    """The likeliest ways to read all terms of a query at once, each with its share.

    Args:
        readings: Of each term; None for a term that is no text.
    """
    choices: list[Sequence[Encoded | None]] = [each or [None] for each in readings]
    weighed = [
        (chosen, math.prod(one.assumption.share for one in chosen if one is not None))
        for chosen in itertools.islice(itertools.product(*choices), MAX_WEIGHED)
    ]
    return sorted(weighed, key=lambda pair: -pair[1])[:MAX_READINGS]


def _assumption(text: str, language: str | None, voice: Voice, share: float) -> Assumption:
    return Assumption(
        text=text, language=language, speaker=voice.speaker, pack=voice.name, share=share
    )
