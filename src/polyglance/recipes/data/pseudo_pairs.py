"""Pseudo-pairs: an image and a translation for each English text, from unpaired banks.

An English text is encoded twice, by the teacher and by the multilingual tower, and each asks a
bank of its own space: images, and texts of other languages. What they answer is constant, so it is
computed once and stored (uCLIP as published recomputes it in every step).

Legend: Q English texts, N images, K texts of the bank, D width of the space, E of the tower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from polyglance import errors, progress
from polyglance.encoding import runs
from polyglance.encoding.texts import VectorCache, text_key, text_vectors
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.data import soft_retrieval
from polyglance.storage import digests
from polyglance.storage.identity import StoreFacts
from polyglance.storage.store import Store
from polyglance.vectors import Vectors, unit


@dataclass(frozen=True, eq=False)
class Banks:
    """The banks: images in the teacher's space, and texts, neither paired with anything.

    Attributes:
        images: Float32 (N, D), unit, in the teacher's space.
        texts: K texts of other languages.
        languages: Of each.
        content_keys: What the images are, N content keys, whatever encoded them; or none.
    """

    images: Vectors
    texts: Sequence[str]
    languages: Sequence[str]
    content_keys: Sequence[str] = ()

    def with_texts(self, wanted: Callable[[str, str], bool]) -> Banks:
        """The texts that are wanted, asked by language and text; the images stay."""
        rows = [
            (text, language)
            for text, language in zip(self.texts, self.languages, strict=True)
            if wanted(language, text)
        ]
        return replace(self, texts=[text for text, _ in rows], languages=[name for _, name in rows])


@dataclass(frozen=True, eq=False)
class PseudoPairs:
    """Four unit vectors an English text.

    Attributes:
        english_clip: Float32 (Q, D), the teacher's.
        english_text: Float32 (Q, E), the multilingual tower's.
        image_clip: Float32 (Q, D), what the image bank answered.
        other_text: Float32 (Q, E), what the text bank answered.
    """

    english_clip: Vectors
    english_text: Vectors
    image_clip: Vectors
    other_text: Vectors

    def __len__(self) -> int:
        return len(self.english_clip)

    def rows(self, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> PseudoPairs:
        """Some of them."""
        return PseudoPairs(
            self.english_clip[chosen],
            self.english_text[chosen],
            self.image_clip[chosen],
            self.other_text[chosen],
        )


def gather(
    queries: Sequence[str],
    banks: Banks,
    *,
    teacher: DualEncoder,
    tower: Side,
    temperature: float,
    cache: VectorCache | None = None,
) -> PseudoPairs:
    """Encode English texts twice and let both banks answer, each text once, ever.

    Args:
        queries: English texts; repeats and blanks are dropped.
        banks: What is asked.
        teacher: Its own text side encodes the queries for the image bank.
        tower: The multilingual tower; a head it has is ignored.
        temperature: Of the softmax over a bank.
        cache: Keeps the vectors of texts, and what the banks answered.

    Raises:
        TrainingError: For an empty bank or no query.
        VectorError: For images of another width than the teacher's space.
    """
    distinct = list(dict.fromkeys(text for text in queries if text.strip()))
    if not distinct:
        raise errors.TrainingError("not one English text", hint="give texts like those searched")
    if not len(banks.texts):
        raise errors.TrainingError(
            "the text bank is empty; it needs texts in the languages to learn",
            hint="give a table with the columns language and text",
        )
    english = [ENGLISH] * len(distinct)
    clip = teacher.with_no_pack().encode_texts(distinct, languages=english, cache=cache)
    own = unit(text_vectors(distinct, tower.tower, languages=english, cache=cache))
    bank = text_vectors(banks.texts, tower.tower, languages=banks.languages, cache=cache)
    keys = [text_key(text, language=None) for text in distinct]
    clip_asks = Asker(teacher.text.space_id, keys, cache)
    tower_asks = Asker(tower.tower.fingerprint, keys, cache)
    return PseudoPairs(
        clip,
        own,
        answered(clip, banks.images, temperature=temperature, asker=clip_asks),
        answered(own, unit(bank), temperature=temperature, asker=tower_asks),
    )


@dataclass(frozen=True, eq=False)
class Asker:
    """Whose queries they are, so that an answer is found again.

    Attributes:
        tower: Fingerprint of who encoded them.
        keys: Content keys of their Q texts.
        cache: Where answers are kept; None keeps none.
    """

    tower: str
    keys: Sequence[str]
    cache: VectorCache | None = None


def answered(
    queries: Vectors,
    bank: Vectors,
    *,
    temperature: float,
    asker: Asker,
) -> Vectors:
    """What a bank answers, from the store where it has answered before; resumed after a kill.

    Args:
        queries: Float32 (Q, D), unit.
        bank: Float32 (N, D), unit.
        temperature: Of the softmax.
        asker: Whose queries they are.

    Returns:
        Float32 (Q, D), unit.
    """
    if asker.cache is None:
        return soft_retrieval.soft_retrieve(queries, bank, temperature=temperature)
    name = digests.of_parts([f"{bank.shape} {temperature!r} {asker.tower}", bank])
    facts = StoreFacts(modality="text", dim=bank.shape[1], fingerprint=name, space_id=name)
    store = Store.open_or_create(asker.cache.folder / f"pseudo-{name[:24]}", facts)
    row_of = {key: row for row, key in enumerate(asker.keys)}
    with store.writing(wait_seconds=runs.cache_wait_seconds()):
        missing = store.missing(asker.keys)
        rows = np.array([row_of[key] for key in missing], np.int64)
        with progress.bar("asking the bank", total=len(missing)) as advance:
            for block, found in soft_retrieval.soft_retrieve_blocks(
                queries[rows], bank, temperature=temperature
            ):
                store.append(missing[block], missing[block], vectors=found)
                advance(len(found))
    return store.vectors(asker.keys)
