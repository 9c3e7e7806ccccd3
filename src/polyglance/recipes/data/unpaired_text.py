"""Unpaired text by language: the means of languages, and vectors to judge a map's transfer by.

Legend: N texts of a language, D_in width of the multilingual tower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import language_means
from polyglance.heads.language_means import LanguageMeans
from polyglance.languages.registry import ENGLISH
from polyglance.model.side import HeadInput, Side
from polyglance.vectors import Vectors

# R@10 with means of 20 captions is 0.8 below none behind USE, and 2.5 above it behind e5; of 50 it
# is 0.2 below and 2.7 above (`docs/log.md`).
LEAST_TEXTS = 50
# More move a mean by less than its own error.
MOST_TEXTS = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class UnpairedVectors:
    """What a tower gives of texts that nobody paired.

    Attributes:
        vectors: By language float32 (N, D_in), as the head takes them, moved to English.
        means: By which they were moved; None where no language has enough texts.
        facts: What a pack's manifest says of them.
    """

    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    means: LanguageMeans | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def encode_unpaired(
    unpaired: Sequence[tuple[str, str]],
    *,
    tower: Side,
    english: Vectors,
    head_input: HeadInput,
    cache: VectorCache | None = None,
) -> UnpairedVectors:
    """Encode texts by language, find the means, and move each language to English.

    Args:
        unpaired: Language ids and texts; repeats and empty texts are dropped. English ones fix
            where English lies, so that one kind of text is compared; else `english` does.
        tower: The multilingual tower; a head it has is ignored.
        english: Float32 (N, D_in), the English vectors that the map is fitted on.
        head_input: Whether the map takes raw vectors or unit ones.
        cache: Keeps what the tower gave.
    """
    texts: dict[str, dict[str, None]] = {}
    for language, text in unpaired:
        if text.strip():
            texts.setdefault(language, {})[text] = None
    counts = {language: len(listed) for language, listed in sorted(texts.items())}
    kept = [language for language, count in counts.items() if count >= LEAST_TEXTS]
    side = Side(tower.tower, tower.reference, head_input=head_input)
    found: dict[str, Vectors] = {}
    for language in kept:
        listed = list(texts[language])[:MOST_TEXTS]
        spoken = [language] * len(listed)
        raw = text_vectors(listed, tower.tower, languages=spoken, cache=cache)
        found[language] = side.head_inputs(raw)
    means = language_means.of_vectors(found, english=found.pop(ENGLISH, english))
    if means is None:
        return UnpairedVectors(facts=_facts(counts, means))
    moved = {
        language: means.moved(vectors, [language] * len(vectors))
        for language, vectors in found.items()
    }
    return UnpairedVectors(vectors=moved, means=means, facts=_facts(counts, means))


def _facts(counts: Mapping[str, int], means: LanguageMeans | None) -> dict[str, Any]:
    if not counts:
        return {}
    facts: dict[str, Any] = {
        "unpaired_texts_of_languages": dict(counts),
        "languages_of_too_few_texts_for_a_mean": [
            language for language, count in counts.items() if count < LEAST_TEXTS
        ],
    }
    if set(counts) == {ENGLISH}:
        facts["no_language_is_moved"] = "the texts that nobody paired are English alone"
    if means is not None:
        facts["a_language_without_texts"] = (
            "is moved by the mean of its script, or where no language has it by that of all"
        )
    return facts
