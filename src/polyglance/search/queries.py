r"""What is asked? Texts and pictures with signs and weights, and the form they are typed in.

    beach                                      a plain text, as is every text without an operator
    "beach" + photo.jpg - "night"              a text, a picture, and what to keep away from
    de:Strand + 2*fr:plage - 0.5*"la nuit"     each text in its language, with a weight
    image:"my photo.jpg" + dog                 a picture whose name does not say that it is one

An operator is `+` or `-` with a space before it and a space or a quote behind it, so that
`T-shirt`, `C++` and `-5 degrees` are plain texts. Quotes make a text of anything. In a combined
query `\"`, `\+`, `\-` and `\\` are the bare characters, inside quotes and outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.affine import Vectors
from polyglance.languages import normalise_language


@dataclass(frozen=True, eq=False)
class PictureVector:
    """A picture that is encoded already: float32 (D,), unit, in the model's space."""

    vector: Vectors


Picture = Path | bytes | PictureVector
"""A picture to search by: a file, the bytes of one, or its vector."""

QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」"}
PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".heic", ".bmp", ".tif", ".tiff")
)
_SIGNS = {"+": 1.0, "-": -1.0, "−": -1.0}
_OPERATOR = re.compile(r"""(?:(?<=\s)|^)([+\-−])(?=\s|["“„«「]|$)""")
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*\*\s*")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_][A-Za-z]{2})?):(?=\S)")
_ESCAPE = re.compile(r"""\\([\\+\-−"“”„«»「」])""")


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a query: exactly one of text, picture and item.

    Attributes:
        weight: Its share in the sum; below 0 keeps away from it. Not 0.
        text: What to look for.
        picture: A picture that the answers are to be like.
        item: The id of an indexed item that they are to be like.
        language: Language id of the text; None leaves it to the search.
    """

    weight: float = 1.0
    text: str | None = None
    picture: Picture | None = None
    item: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        given = [part for part in (self.text, self.picture, self.item) if part is not None]
        if len(given) != 1:
            raise errors.InputError(
                f"a term with {len(given)} of text, picture and item; it has exactly one",
                hint="make one term of each",
            )
        if self.text is not None and not self.text.strip():
            raise errors.InputError("an empty text", hint='ask for something, such as "cat"')
        if not (0 < abs(self.weight) < float("inf")):
            raise errors.InputError(
                f"the weight {self.weight}; it must be a number other than 0",
                hint="leave out what shall not count",
            )


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked: the answers lie near the weighted sum of its terms' unit vectors.

    Attributes:
        terms: One or more, at least one with a weight above 0.
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not any(term.weight > 0 for term in self.terms):
            raise errors.InputError(
                "nothing is asked for"
                + (", there is only what to keep away from" if self.terms else ""),
                hint='name what to look for as well: "beach" - "night"',
            )

    @classmethod
    def of_text(cls, text: str, *, language: str | None = None) -> Query:
        """A plain text, whatever characters it holds."""
        return cls(terms=(Term(text=text, language=language),))

    @classmethod
    def like(cls, item: str) -> Query:
        """What is like an indexed item."""
        return cls(terms=(Term(item=item),))


def parse(text: str, *, pictures: Callable[[str], Picture] | None = None) -> Query:
    """Read what was typed; see the module.

    Args:
        text: A plain text, or terms with operators.
        pictures: From a name in the query to the picture, such as `Path` where files of this
            computer may be read. None refuses names of pictures.

    Raises:
        InputError: The form is broken; says where.
        LanguageError: The code in front of a text is not known; says where.

    >>> [(term.weight, term.language, term.text) for term in parse('de:Strand - 0.5*"night"').terms]
    [(1.0, 'deu_Latn', 'Strand'), (-0.5, None, 'night')]
    >>> parse("T-shirt C++").terms[0].text
    'T-shirt C++'
    """
    if not text.strip():
        raise errors.InputError("an empty query", hint='ask for something, such as "cat"')
    return _Reader(text, pictures).query()


class _Reader:
    """Reads one query from left to right.

    Args:
        text: All of it.
        pictures: As for `parse`.
    """

    def __init__(self, text: str, pictures: Callable[[str], Picture] | None) -> None:
        self.text, self.at = text, 0
        self._pictures = pictures
        self._combined = False

    def query(self) -> Query:
        """The whole query."""
        self._skip_space()
        sign = self._sign()
        terms = [self._term(1.0 if sign is None else sign)]
        while self.at < len(self.text):
            sign = self._sign()
            if sign is None:
                if not self._combined and _OPERATOR.search(self.text, self.at) is None:
                    return Query.of_text(self.text.strip())  # "big" dog: quotes of a plain text
                raise self._broken("an operator is wanted here, + or -")
            terms.append(self._term(sign))
        return Query(terms=tuple(terms))

    def _sign(self) -> float | None:
        """The factor of an operator that stands here, and past it."""
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            return None
        self._combined = True
        self.at = found.end()
        self._skip_space()
        if self.at == len(self.text):
            raise self._broken(f"nothing follows the {found[1]}")
        return _SIGNS[found[1]]

    def _term(self, sign: float) -> Term:
        """One term, and past the space behind it."""
        weight = sign
        if found := _WEIGHT.match(self.text, self.at):
            if self._alone():
                return Term(weight=weight, text=self._rest())  # 2*4 is a plain text
            weight *= float(found[1])
            if not weight:
                raise self._broken("a weight of 0")
            self.at = found.end()
        if self.text.startswith("image:", self.at) and not self.text[self.at + 6 :][:1].isspace():
            start, self.at = self.at, self.at + len("image:")
            return Term(weight=weight, picture=self._picture(self._operand()[0], start))
        language = self._language()
        start = self.at
        operand, quoted = self._operand()
        if not operand.strip():
            self.at = start
            raise self._broken("an empty text")
        may_be_name = self._combined and not quoted and language is None
        if may_be_name and Path(operand).suffix.lower() in PICTURE_SUFFIXES:
            return Term(weight=weight, picture=self._picture(operand, start))
        return Term(weight=weight, text=operand, language=language)

    def _language(self) -> str | None:
        """The language in front of a text, and past it."""
        found = _LANGUAGE.match(self.text, self.at)
        if found is None:
            return None
        try:
            language = normalise_language(found[1])
        except errors.LanguageError as error:
            if self._alone():
                return None  # cat:dog is a plain text
            raise errors.LanguageError(
                f"{error.message} (at column {self.at + 1} of the query {self.text!r})",
                hint=f"{error.hint}; or put the text in quotes if {found[0]} is part of it",
            ) from error
        self.at = found.end()
        return language

    def _operand(self) -> tuple[str, bool]:
        """A quoted text, or all up to the next operator; whether it was quoted."""
        closing = QUOTES.get(self.text[self.at : self.at + 1])
        end = None if closing is None else self._closing_quote(closing)
        if end is None:
            found = _OPERATOR.search(self.text, self.at)
            if closing is not None and (found is not None or self._combined):
                raise self._broken(f"the quote {self.text[self.at]} is not closed")
            end = len(self.text) if found is None else found.start()
            self._combined = self._combined or found is not None
            operand, self.at = self.text[self.at : end], end
            plain = operand.strip()
            return (_ESCAPE.sub(r"\1", plain) if self._combined else plain), False
        operand, self.at = self.text[self.at + 1 : end], end + 1
        self._skip_space()
        return _ESCAPE.sub(r"\1", operand).strip(), True

    def _closing_quote(self, closing: str) -> int | None:
        """Where the quote that opens here is closed."""
        for found in re.finditer(r"\\.|" + re.escape(closing), self.text[self.at + 1 :]):
            if found[0] == closing:
                return self.at + 1 + found.start()
        return None

    def _picture(self, name: str, start: int) -> Picture:
        """What a name stands for."""
        if self._pictures is None:
            self.at = start
            raise self._broken(f"the picture {name!r} is named; names of pictures are not read")
        return self._pictures(name)

    def _alone(self) -> bool:
        """Whether the query is one term without an operator."""
        return not self._combined and _OPERATOR.search(self.text, self.at) is None

    def _rest(self) -> str:
        rest, self.at = self.text[self.at :], len(self.text)
        return rest.strip()

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _broken(self, what: str) -> errors.InputError:
        """The error for a form that cannot be read, with a mark under the place."""
        return errors.InputError(
            f"{what} (column {self.at + 1})\n  {self.text}\n  {' ' * self.at}^",
            hint='the form is "beach" + photo.jpg - "night"; quotes make a plain text of anything',
        )
