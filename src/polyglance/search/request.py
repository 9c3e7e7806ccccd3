"""One search request: what the command line, HTTP and Python ask an index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from polyglance import errors
from polyglance.search.filters import Filters
from polyglance.search.queries import Media, Query, Term, parse

MOST_ANSWERS = 1_000
"""Answers that one request may ask for, wherever it comes from."""


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What is asked of an index, by whomever.

    Attributes:
        query: What the answers are to be like; a vector of the space is a term of it.
        top: How many answers, 1 to `MOST_ANSWERS`.
        filters: What answers must satisfy; decided before ranking. None lets all pass.
        language: Id of the language of the texts that name none; None has it guessed.
        alike: Cosine from which two items count as the same and are folded into one answer; 1
            folds copies of the same content only, None folds nothing.
        preferred: Ids of languages that the asker reads, by a locale: where the language is
            guessed, they count for more.

    Raises:
        ConfigError: Too many answers, or none.
    """

    query: Query
    top: int = 10
    filters: Filters | None = None
    language: str | None = None
    alike: float | None = 1.0
    preferred: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_top(self.top)

    @property
    def without(self) -> frozenset[str]:
        """The items that the query names, which are no answers to it."""
        return frozenset(term.item for term in self.query.terms if term.item is not None)


def require_top(top: int) -> None:
    """Refuse to be asked for no answers, or for too many.

    Raises:
        ConfigError: `top` is below 1 or above `MOST_ANSWERS`.
    """
    if not 1 <= top <= MOST_ANSWERS:
        raise errors.ConfigError(
            f"top {top}; it must be at least 1 and at most {MOST_ANSWERS:,}", hint="try top 10"
        )


def typed_query(
    text: str | None,
    *,
    media: Sequence[Media] = (),
    without: Sequence[str] = (),
    named: Callable[[str], Media] | None = None,
    languages: Collection[str] = (),
) -> Query:
    """The query that text, media and what to keep away from make together.

    Args:
        text: As typed; None where there is media alone.
        media: Images or sounds that answers are to be like.
        without: Texts to keep away from, as typed.
        named: From a name in a text to the file; see `queries.parse`.
        languages: Ids of those that may stand in front of a text; see `queries.parse`.

    Raises:
        InputError: Nothing is asked for, or the form of a text is broken.
        LanguageError: As `queries.parse`.
    """
    asked = [] if text is None else [parse(text, files=named, languages=languages)]
    avoided = [parse(each, files=named, languages=languages) for each in without]
    return Query(
        terms=(
            *(term for query in asked for term in query.terms),
            *(Term(media=one) for one in media),
            *(replace(term, weight=-term.weight) for query in avoided for term in query.terms),
        ),
        notes=tuple(note for query in (*asked, *avoided) for note in query.notes),
    )
