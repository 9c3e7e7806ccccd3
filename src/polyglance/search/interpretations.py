"""Interpretations of a typed text: in the given language, or in the likely ones.

Legend: T texts, D width of the space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from polyglance.languages import detection
from polyglance.languages.registry import ENGLISH
from polyglance.model.manifest import Speaker
from polyglance.search.language_routing import LanguageRouting, TextEncoder
from polyglance.vectors import Vectors

# A reading that is less likely is not asked: it would dilute the others, and load its encoder.
LEAST_SHARE = 0.1
# Readings of one text, and of one query, that are asked and fused at most.
MAX_READINGS = 3
# Of combined queries with many unsure terms, so many combinations are weighed.
MAX_WEIGHED = 64


class Said(NamedTuple):
    """A text to read.

    Attributes:
        text: Of the query.
        language: Its id; None has it guessed.
        preferred: Ids of languages that the asker reads, by a locale.
    """

    text: str
    language: str | None = None
    preferred: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interpretation:
    """In which language a text was read, and who answered it.

    Attributes:
        text: Of the query.
        language: Its id; None where none was given and none could be guessed: its letters tell
            none, or nobody said in which languages the packs speak.
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
    assumption: Interpretation


def encode(texts: Sequence[Said], routing: LanguageRouting) -> list[list[Encoded]]:
    """All readings of each text, most likely first; each encoder takes its texts in one batch.

    Args:
        texts: T texts.
        routing: Who can speak.
    """
    readings = [assume(said, routing=routing) for said in texts]
    asked: dict[tuple[TextEncoder, bool], dict[tuple[str, str | None], None]] = {}
    for encoder, one in itertools.chain.from_iterable(readings):
        # With a language and without: an encoder is never given both in one call.
        asked.setdefault((encoder, one.language is None), {})[one.text, one.language] = None
    vector_of: dict[tuple[TextEncoder, str, str | None], Vectors] = {}
    for (encoder, _), pairs in asked.items():
        vectors = encoder.encode(
            [text for text, _ in pairs],
            languages=[name for _, name in pairs if name is not None] or None,
        )
        vector_of |= {(encoder, *pair): row for pair, row in zip(pairs, vectors, strict=True)}
    return [
        [
            Encoded(vector=vector_of[encoder, one.text, one.language], assumption=one)
            for encoder, one in each
        ]
        for each in readings
    ]


def assume(said: Said, *, routing: LanguageRouting) -> list[tuple[TextEncoder, Interpretation]]:
    """The encoders that a text is given to, each with a language; the likeliest first.

    Guesses that would give the very same vector are one reading: an encoder that does not use the
    language is asked once. Readings under a tenth of all are left out, but for the likeliest.
    """
    if said.language is not None or not routing.candidates:
        encoder = routing.of(said.language)
        return [(encoder, _assumption(said.text, said.language, encoder, 1.0))]
    unasked = detection.ENGLISH_UNASKED if routing.are_named else detection.PREFERRED
    guesses = detection.guess(
        said.text,
        languages=routing.candidates,
        preferred=said.preferred or (ENGLISH,),
        factor=detection.PREFERRED if said.preferred else unasked,
    )
    if not guesses:
        return [(routing.nameless, _assumption(said.text, None, routing.nameless, 1.0))]
    by_encoder: dict[TextEncoder, list[detection.Guess]] = {}
    for one in guesses:
        by_encoder.setdefault(routing.of(one.language), []).append(one)
    alike = [
        (encoder, each) for encoder, group in by_encoder.items() for each in _alike(encoder, group)
    ]
    named = {one.language for one in detection.worth_naming(guesses)}
    found = [
        (
            encoder,
            Interpretation(
                text=said.text,
                language=first.language,
                speaker=encoder.speaker,
                pack=encoder.name,
                share=min(1.0, math.fsum(one.share for one in (first, *others))),
                others=tuple(one.language for one in others if one.language in named),
            ),
        )
        for encoder, (first, *others) in alike
    ]
    found.sort(key=lambda pair: -pair[1].share)
    likely = [pair for pair in found if pair[1].share >= LEAST_SHARE]
    return (likely or found[:1])[:MAX_READINGS]


def _alike(encoder: TextEncoder, guesses: list[detection.Guess]) -> list[list[detection.Guess]]:
    """Guesses of one encoder, together where its vector is the same for all of them.

    Whether it is, is asked of an encoder that will answer and has a choice: the model's own text
    side would be loaded for it.
    """
    asked = len(guesses) > 1 and math.fsum(one.share for one in guesses) >= LEAST_SHARE
    return [[one] for one in guesses] if asked and encoder.uses_language else [guesses]


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


def _assumption(
    text: str, language: str | None, encoder: TextEncoder, share: float
) -> Interpretation:
    return Interpretation(
        text=text,
        language=language,
        speaker=encoder.speaker,
        pack=encoder.name,
        share=share,
    )
