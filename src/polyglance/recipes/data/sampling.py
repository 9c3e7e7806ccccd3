"""Sampling of captions, triples and translations, in batches with exact shares.

Legend: M contents, N captions, L languages, P pairs of languages, B rows of a batch.

Every draw is fixed by (seed, epoch). Shares are exact, not only expected: languages, and pairs of
languages, are dealt like a shuffled deck of cards, all of them before any comes again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from polyglance import errors
from polyglance.recipes.data.image_text import ImageText, Rows
from polyglance.records import Pair

LanguageSampling = Literal["equal", "proportional"]

MIN_PAIRS = 2


@dataclass(frozen=True, eq=False)
class Captioned:
    """A batch of contents, each with one caption.

    Attributes:
        contents: int64 (B,), rows of the contents; equal ones are no negatives of each other.
        captions: int64 (B,), rows of the captions.
    """

    contents: Tensor
    captions: Tensor


@dataclass(frozen=True, eq=False)
class Triples:
    """A batch of contents, each with captions in two languages.

    Attributes:
        contents: int64 (B,), rows of the contents; equal ones are no negatives of each other.
        first: int64 (B,), rows of the captions in language A.
        second: int64 (B,), in language B.
    """

    contents: Tensor
    first: Tensor
    second: Tensor


@dataclass(frozen=True, eq=False)
class TextPairs:
    """A batch of translations.

    Attributes:
        groups: int64 (B,), which rows say the same; those are no negatives of each other.
        first: int64 (B,), rows of the texts.
        second: int64 (B,), rows of the texts that translate them.
    """

    groups: Tensor
    first: Tensor
    second: Tensor


def caption_batches(
    data: ImageText, *, batch_size: int, sampling: LanguageSampling, seed: int
) -> Callable[[int], Iterator[Captioned]]:
    """One random caption an image an epoch.

    With `equal`, every language is drawn equally often, however few captions it has: M / L times
    an epoch, exactly in the long run. Where all contents have all languages each content comes
    once an epoch; where not, those in rare languages come again. With `proportional` each content
    comes once, with one of its captions at random, so languages come as often as they are written.

    Args:
        data: Contents and captions.
        batch_size: B at most; an epoch is cut into equal parts.
        sampling: How languages are drawn.
        seed: Fixes the draws.

    Raises:
        ConfigError: For a batch of one.

    Source: NLLB-CLIP, section 3.
    """
    _check_batch_size(batch_size)
    picker = _Picker(data)

    def epoch_batches(epoch: int) -> Iterator[Captioned]:
        rng = np.random.default_rng([seed, epoch])
        if sampling == "equal":
            contents, languages = _equal_shares(picker, epoch=epoch, seed=seed, rng=rng)
            captions = picker.captions(contents, languages, rng=rng)
        else:
            contents = rng.permutation(picker.num_contents)
            captions = picker.any_captions(contents, rng=rng)
        for part in _parts(rng.permutation(len(contents)), batch_size):
            yield Captioned(torch.from_numpy(contents[part]), torch.from_numpy(captions[part]))

    return epoch_batches


def triple_batches(
    data: Said, *, batch_size: int, seed: int, one_of_them: str | None = None
) -> Callable[[int], Iterator[Triples]]:
    """A content, a caption of it in A and one in B; {A, B} uniform among the pairs that occur.

    An epoch draws M triples; the order of A and B is random.

    Args:
        data: Contents and captions.
        batch_size: B at most; an epoch is cut into equal parts.
        seed: Fixes the draws.
        one_of_them: A language that one of the two must be; None where any two will do.

    Raises:
        ConfigError: For a batch of one.
        InputError: Where no content has captions in two such languages.

    Source: ETCL, section 3.2 and "Multilingual image-text pairs".
    """
    _check_batch_size(batch_size)
    picker = _Picker(data)
    pairs = picker.language_pairs()  # (P, 2)
    if one_of_them is not None:
        known = np.array(data.languages)
        pairs = pairs[(known[pairs] == one_of_them).any(axis=1)]
    if not len(pairs):
        raise errors.InputError(
            f"no content has captions in {one_of_them or 'one language'} and another (languages: "
            f"{', '.join(data.languages)}); pairs of languages need some that have",
            hint="give captions of the same contents in another language; or parallel text, and "
            "train with stage=mural",
        )

    def epoch_batches(epoch: int) -> Iterator[Triples]:
        rng, count = np.random.default_rng([seed, epoch]), picker.num_contents
        chosen = _dealt(len(pairs), start=epoch * count, count=count, seed=seed)
        contents = picker.contents_of_pairs(pairs, chosen, rng=rng)
        swapped = rng.random(count) < 0.5
        sides = np.where(swapped[:, None], pairs[chosen][:, ::-1], pairs[chosen])  # (M, 2)
        first = picker.captions(contents, sides[:, 0], rng=rng)
        second = picker.captions(contents, sides[:, 1], rng=rng)
        for part in _parts(rng.permutation(count), batch_size):
            yield Triples(*(torch.from_numpy(rows[part]) for rows in (contents, first, second)))

    return epoch_batches


@dataclass(frozen=True, eq=False)
class SaidTexts:
    """Groups of texts that say the same, drawn from as contents with captions are.

    Attributes:
        num_contents: G groups.
        languages: L language ids.
        content_of: int64 (T,), the group of each text.
        language_of: int64 (T,), the language of each text.
    """

    num_contents: int
    languages: tuple[str, ...]
    content_of: Rows
    language_of: Rows


Said = ImageText | SaidTexts


@dataclass(frozen=True, eq=False)
class ParallelTexts:
    """The texts of pairs, and which row translates which; made by `parallel_texts`.

    Attributes:
        texts: T texts, each once in each of its languages.
        languages: T language ids.
        first: int64 (N,), the row of each pair's one text.
        second: int64 (N,), of the other.
        groups: int64 (N,), equal where pairs share a text, directly or over others.
        language_pairs: int64 (N,), which unordered pair of languages.
    """

    texts: list[str]
    languages: list[str]
    first: Rows
    second: Rows
    groups: Rows
    language_pairs: Rows

    def said(self) -> SaidTexts:
        """All texts, by which of them say the same."""
        part = components(self.first, self.second, size=len(self.texts))
        names, language_of = np.unique(self.languages, return_inverse=True)
        found, content_of = np.unique(part, return_inverse=True)
        return SaidTexts(len(found), tuple(names.tolist()), content_of, language_of)


def parallel_texts(pairs: Sequence[Pair]) -> ParallelTexts:
    """Number the texts of pairs; repeats and empty texts are dropped.

    Raises:
        InputError: For fewer than two different pairs.
    """
    kept = [p for p in dict.fromkeys(pairs) if p.text_a.strip() and p.text_b.strip()]
    if len(kept) < MIN_PAIRS:
        raise errors.InputError(
            f"{len(kept)} different pairs of texts; {MIN_PAIRS} or more are needed",
            hint="give translations of more texts: --translations or --parallel",
        )
    row_of: dict[tuple[str, str], int] = {}
    first, second = (
        np.array([row_of.setdefault(side, len(row_of)) for side in sides], np.int64)
        for sides in (
            [(p.text_a, p.language_a) for p in kept],
            [(p.text_b, p.language_b) for p in kept],
        )
    )
    number: dict[frozenset[str], int] = {}
    language_pairs = [
        number.setdefault(frozenset((p.language_a, p.language_b)), len(number)) for p in kept
    ]
    texts = [text for text, _ in row_of]
    languages = [language for _, language in row_of]
    groups = components(first, second, size=len(texts))[first]
    return ParallelTexts(texts, languages, first, second, groups, np.array(language_pairs))


def text_pair_batches(
    data: ParallelTexts, *, batch_size: int, seed: int
) -> Callable[[int], Iterator[TextPairs]]:
    """Pairs of texts, the pair of languages uniform among those that occur.

    An epoch draws as many as there are pairs.

    Args:
        data: Texts and pairs.
        batch_size: B at most; an epoch is cut into equal parts.
        seed: Fixes the draws.

    Raises:
        ConfigError: For a batch of one.
    """
    _check_batch_size(batch_size)
    order = np.argsort(data.language_pairs, kind="stable")
    counts = np.bincount(data.language_pairs)
    starts = np.cumsum(counts) - counts

    def epoch_batches(epoch: int) -> Iterator[TextPairs]:
        rng, count = np.random.default_rng([seed, epoch]), len(data.first)
        chosen = _dealt(len(counts), start=epoch * count, count=count, seed=seed)
        rows = order[starts[chosen] + rng.integers(0, counts[chosen])]
        for part in _parts(rng.permutation(count), batch_size):
            picked = rows[part]
            yield TextPairs(
                *(torch.from_numpy(x[picked]) for x in (data.groups, data.first, data.second))
            )

    return epoch_batches


def group_pair_batches(
    data: ParallelTexts, *, batch_size: int, seed: int
) -> Callable[[int], Iterator[TextPairs]]:
    """Texts that say the same in any two languages, given as a pair or joined over a third.

    Args:
        data: Texts and pairs.
        batch_size: B at most.
        seed: Fixes the draws.

    Raises:
        ConfigError: For a batch of one.

    Source: MURAL, as ETCL trains it: 1,197 pairs of languages, most of them without English.
    """
    return caption_pair_batches(data.said(), one_of_them=None, batch_size=batch_size, seed=seed)


def caption_pair_batches(
    data: Said, *, one_of_them: str | None, batch_size: int, seed: int
) -> Callable[[int], Iterator[TextPairs]]:
    """Captions of one content as translations: triples without their image.

    Args:
        data: Contents and captions.
        one_of_them: A language that one of the two must be; None where any two will do.
        batch_size: B at most.
        seed: Fixes the draws.
    """
    triples = triple_batches(data, batch_size=batch_size, seed=seed, one_of_them=one_of_them)

    def epoch_batches(epoch: int) -> Iterator[TextPairs]:
        for batch in triples(epoch):
            yield TextPairs(batch.contents, batch.first, batch.second)

    return epoch_batches


def side_by_side(
    leading: Callable[[int], Iterator[Captioned]], following: Callable[[int], Iterator[TextPairs]]
) -> Callable[[int], Iterator[tuple[Captioned, TextPairs]]]:
    """Two streams of batches in step; an epoch is one of the first, the second goes on through it.

    Args:
        leading: Epoch number to batches, the same number in each epoch.
        following: The same for the other stream.
    """
    num_leading, num_following = (sum(1 for _ in draw(0)) for draw in (leading, following))

    def epoch_batches(epoch: int) -> Iterator[tuple[Captioned, TextPairs]]:
        first, used = divmod(epoch * num_leading, num_following)
        stream = itertools.chain.from_iterable(map(following, itertools.count(first)))
        yield from zip(leading(epoch), itertools.islice(stream, used, None), strict=False)

    return epoch_batches


class _Picker:
    """Finds captions by content and language: rows sorted by both, looked up by bisection."""

    def __init__(self, data: Said) -> None:
        self.num_contents, self.num_languages = data.num_contents, len(data.languages)
        keys = data.content_of * self.num_languages + data.language_of
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        self.has = np.zeros((self.num_languages, self.num_contents), bool)  # (L, M)
        self.has[data.language_of, data.content_of] = True

    def captions(self, contents: Rows, languages: Rows, *, rng: np.random.Generator) -> Rows:
        """One of the captions of each content in its language."""
        return self._between(contents * self.num_languages + languages, 1, rng)

    def any_captions(self, contents: Rows, *, rng: np.random.Generator) -> Rows:
        """One of the captions of each content."""
        return self._between(contents * self.num_languages, self.num_languages, rng)

    def _between(self, keys: Rows, width: int, rng: np.random.Generator) -> Rows:
        low, high = np.searchsorted(self.keys, keys), np.searchsorted(self.keys, keys + width)
        found: Rows = self.order[rng.integers(low, high)]
        return found

    def language_pairs(self) -> Rows:
        """(P, 2): the pairs of languages, the smaller first, that some content has both of."""
        both = self.has.astype(np.float32) @ self.has.T.astype(np.float32)  # (L, L)
        return np.argwhere(np.triu(both, k=1) > 0)

    def contents_of_pairs(self, pairs: Rows, chosen: Rows, *, rng: np.random.Generator) -> Rows:
        """For each chosen pair of languages a content that has captions in both."""
        contents = np.empty(len(chosen), np.int64)
        order = np.argsort(chosen, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(chosen[order])) + 1):
            a, b = pairs[chosen[part[0]]]
            contents[part] = rng.choice(np.flatnonzero(self.has[a] & self.has[b]), len(part))
        return contents


def _equal_shares(
    picker: _Picker, *, epoch: int, seed: int, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Contents and languages of an epoch: rare languages choose first, unused contents go first."""
    count = picker.num_contents
    dealt = _dealt(picker.num_languages, start=epoch * count, count=count, seed=seed)
    quota = np.bincount(dealt, minlength=picker.num_languages)
    unused = np.ones(count, bool)
    contents, languages = [], []
    for language in np.argsort(picker.has.sum(axis=1), kind="stable").tolist():
        able = picker.has[language]
        fresh = rng.permutation(np.flatnonzero(able & unused))
        again = rng.permutation(np.flatnonzero(able & ~unused))
        # Where the language has fewer contents than its share, all of them come round again.
        taken = np.resize(np.concatenate([fresh, again]), quota[language])
        unused[taken] = False
        contents.append(taken)
        languages.append(np.full(len(taken), language))
    return np.concatenate(contents), np.concatenate(languages)


def _dealt(num_cards: int, *, start: int, count: int, seed: int) -> Rows:
    """Cards `start` to `start + count` of decks shuffled one after the other.

    >>> sorted(_dealt(3, start=1, count=5, seed=0).tolist() + _dealt(3, start=0, count=1, seed=0)
    ...     .tolist())
    [0, 0, 1, 1, 2, 2]
    """
    decks = range(start // num_cards, (start + count - 1) // num_cards + 1)
    cards = [np.random.default_rng([seed, 1, deck]).permutation(num_cards) for deck in decks]
    skipped = start - decks[0] * num_cards
    return np.concatenate(cards)[skipped : skipped + count]


def _parts(order: Rows, batch_size: int) -> list[Rows]:
    """Equal parts of at most `batch_size`: a last small batch would have few negatives.

    Of three rows in twos there is one part: alone, a row has nothing to choose among.
    """
    return np.array_split(order, min(-(-len(order) // batch_size), len(order) // 2))


def components(first: Rows, second: Rows, *, size: int) -> Rows:
    """(size,) the smallest row that each row is joined to, directly or over others.

    >>> components(np.array([3, 1]), np.array([1, 4]), size=5)
    array([0, 1, 2, 1, 1])
    """
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(size, size))
    _, part = connected_components(links, directed=False)
    _, smallest = np.unique(part, return_index=True)
    return np.asarray(smallest[part], np.int64)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 2:
        raise errors.ConfigError(
            f"a batch of {batch_size}; contrastive training compares 2 or more",
            hint="512 is the default; more negatives help",
        )
