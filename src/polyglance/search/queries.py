r"""Queries: texts, images and sounds with signs and weights, and the syntax they are typed in.

    beach                                      a plain text, as is every text without an operator
    "beach" + photo.jpg - "night"              a text, an image, and what to keep away from
    de:Strand + 2*fr:plage - 0.5*"la nuit"     each text in its language, with a weight
    image:"my photo.jpg" + dog                 a file whose name does not say what it is

An operator is `+` or `-` with a space before it and a space or a quote behind it, so that
`T-shirt`, `C++` and `-5 degrees` are plain texts. Quotes make a text of anything. In a combined
query `\"`, `\+`, `\-` and `\\` are the bare characters, inside quotes and outside.

A language in front is the shortest tag of one that is there (`ca:`, not `cat:`) or its id
(`cat_Latn:`), with the text close behind; `cat:dog`, `12:30`, `C:\x`, `http://x` are plain texts.
What looks like a language or a weight and is read as text (`xx:dog`, `0.5*dog` alone) is noted.
Invisible marks (of direction, joiners, control characters) are removed before all else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.languages.registry import AMBIGUOUS, get_language, normalise_language
from polyglance.vectors import Vectors


@dataclass(frozen=True, eq=False)
class MediaVector:
    """An image or sound that is encoded already: float32 (D,), unit, in the model's space."""

    vector: Vectors


Media = Path | bytes | MediaVector
"""An image or sound to search by: a file, the bytes of one, or its vector."""

# What opens a text, and what may close it: the first kind that follows. The usage of a language
# comes first, then what a keyboard or a correcting program mixes with it.
QUOTES = {
    '"': ('"', "”“„"),
    "“": ("”", '"“'),
    "„": ("“”", '"„'),
    "”": ("”", '"'),
    "«": ("»", "«"),
    "»": ("«»", ""),
    "「": ("」", ""),
    "『": ("』", ""),
    "〝": ("〟〞", ""),
    "＂": ("＂", '"'),
}
CANCELLED = 1e-6  # a sum of weights that is no weight
_OPENING = "".join(QUOTES)
# What a word must end in to be read as the name of a file.
MEDIA_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".heic", ".bmp", ".tif", ".tiff"),
        *(".wav", ".flac", ".mp3", ".ogg", ".opus"),
    )
)
_SIGNS = {"+": 1.0, "＋": 1.0, "-": -1.0, "−": -1.0, "－": -1.0, "–": -1.0, "—": -1.0}
# A dash is what a correcting program makes of a minus; without a quote behind it, it is one.
_OPERATOR = re.compile(
    rf"(?:(?<=\s)|^)(?:([+\-−＋－])(?=\s|[{_OPENING}]|$)|([–—])(?=\s*[{_OPENING}]))"
)
_WEIGHT = re.compile(r"(\d+(?:[.,]\d+)?|\.\d+)\s*[*×]\s*")
# What looks like a weight and is none: a number of another form, or anything close before a quote.
_NO_WEIGHT = re.compile(
    r"([+\-−]?(?:[\d.,]+(?:e[+\-]?\d+)?|nan|inf(?:inity)?)(?=\s*[*×]\s*[^\W\d])"
    rf"|[^\s*×{_OPENING}]+(?=[*×]\s*[{_OPENING}]))\s*[*×]",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    r"([A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|\d{3}))?)[:：](?![\s/\\]|$)"
)
_PREFIX_ALONE = re.compile(
    rf"([A-Za-z]{{2,3}}(?:[-_][A-Za-z]{{4}})?)[:：](?=\s*$|\s+[+\-−＋－](?:\s|[{_OPENING}]|$))"
)
_ESCAPE = re.compile(rf"\\([\\+\-−{_OPENING}»」』〟〞])")


FORM = 'the form is "beach" + photo.jpg - "night"; quotes make a plain text of anything'


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a query: exactly one of text, media and item.

    Attributes:
        weight: Its share in the sum; below 0 keeps away from it. Not 0.
        text: What to look for.
        media: An image or sound that the answers are to be like.
        item: The id of an indexed item that they are to be like.
        language: Language id of the text; None leaves it to the search.
    """

    weight: float = 1.0
    text: str | None = None
    media: Media | None = None
    item: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        given = [part for part in (self.text, self.media, self.item) if part is not None]
        if len(given) != 1:
            raise errors.InputError(
                f"a term with {len(given)} of text, media and item; it has exactly one",
                hint="make one term of each",
            )
        if self.text is not None:
            require_utf8(self.text)
            if not text_forms.says_something(self.text):
                raise errors.InputError("an empty text", hint='ask for something, such as "cat"')
        if not (0 < abs(self.weight) < float("inf")):
            raise errors.InputError(
                f"the weight {self.weight}; it must be a number other than 0",
                hint="leave out what is not to count",
            )


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked: the answers lie near the weighted sum of its terms' unit vectors.

    Attributes:
        terms: One or more, at least one with a weight above 0.
        notes: What may have been meant otherwise, in sentences.
    """

    terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()

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

    @property
    def cancels(self) -> bool:
        """Whether its terms take each other away, so that there is nothing to look for.

        A query whose texts only mean the same (`"sofa" - "couch"`) is no such one.
        """
        sums: dict[object, float] = {}
        for term in self.terms:
            text = None if term.text is None else text_forms.folded(term.text)
            same = text, term.language, term.media, term.item
            sums[same] = sums.get(same, 0.0) + term.weight
        return all(abs(total) < CANCELLED for total in sums.values())

    @classmethod
    def like(cls, item: str) -> Query:
        """What is like an indexed item."""
        return cls(terms=(Term(item=item),))

    @classmethod
    def near(cls, vector: MediaVector) -> Query:
        """What lies near a vector of the space."""
        return cls(terms=(Term(media=vector),))


def require_utf8(text: str) -> None:
    """Refuse what is no text: halves of characters, and bytes of another encoding.

    Raises:
        InputError: It is not valid Unicode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = text.encode("utf-8", "backslashreplace").decode()
        raise errors.InputError(
            f"the text {shown[:80]!r} is no valid UTF-8",
            hint="set the terminal and the input to UTF-8, and type it again",
        ) from error


def require_text(text: str) -> None:
    """Refuse a text in which there is nothing to look for, or that is no text.

    Raises:
        InputError: It is empty, of invisible marks alone, or not valid Unicode.
    """
    require_utf8(text)
    if not text_forms.says_something(text):
        raise errors.InputError("an empty query", hint='ask for something, such as "cat"')


def parse(
    text: str,
    *,
    files: Callable[[str], Media] | None = None,
    languages: Collection[str] = (),
) -> Query:
    """Read what was typed; see the module.

    Args:
        text: A plain text, or terms with operators.
        files: From a name in the query to the media, such as `Path` where files of this
            computer may be read. None refuses names of files.
        languages: Ids of those that are there: no other one is a prefix. Empty where that is not
            known; then every language of the table is.

    Raises:
        InputError: The form is broken; says where.
        LanguageError: The code in front of a text is not known, or means several languages; says
            where.

    >>> [(term.weight, term.language, term.text) for term in parse('de:Strand - 0.5*"night"').terms]
    [(1.0, 'deu_Latn', 'Strand'), (-0.5, None, 'night')]
    >>> parse("T-shirt C++").terms[0].text
    'T-shirt C++'
    """
    require_text(text)
    return _Reader(text_forms.plain(text), files, frozenset(languages)).query()


class _Reader:
    """Reads one query from left to right.

    Args:
        text: All of it.
        files: As for `parse`.
        languages: As for `parse`.
    """

    def __init__(
        self,
        text: str,
        files: Callable[[str], Media] | None,
        languages: frozenset[str] = frozenset(),
    ) -> None:
        self.text, self.at = text, 0
        self._files, self._languages = files, languages
        self._combined = False
        self._notes: list[str] = []

    def query(self) -> Query:
        """The whole query."""
        self._skip_space()
        sign = self._sign()
        terms = [self._term(1.0 if sign is None else sign)]
        while self.at < len(self.text):
            sign = self._sign()
            if sign is None:
                if not self._combined and _OPERATOR.search(self.text, self.at) is None:
                    # "big" dog: quotes of a plain text
                    if self.text[self.at] in QUOTES:  # "big" "dog"
                        self._notes.append(f"{self.text} is read as one text: {FORM}")
                    return Query(terms=(Term(text=self.text),), notes=tuple(self._notes))
                raise self._broken("an operator is wanted here, + or -")
            terms.append(self._term(sign))
        return Query(terms=tuple(terms), notes=tuple(self._notes))

    def _sign(self) -> float | None:
        """The factor of an operator that stands here, and past it."""
        found = _OPERATOR.match(self.text, self.at)
        if found is None:
            return None
        self._combined = True
        self.at, sign = found.end(), found[1] or found[2]
        self._skip_space()
        if self.at == len(self.text):
            raise self._broken(f"nothing follows the {sign}")
        return _SIGNS[sign]

    def _term(self, sign: float) -> Term:
        """One term, and past the space behind it."""
        weight = sign
        if found := _WEIGHT.match(self.text, self.at):
            if self._alone():
                if not self.text[found.end() :][:1].isdigit():  # 2*4 is a plain text
                    self._notes.append(_weight_read_as_text(found[0], "counts beside other terms"))
                return Term(weight=weight, text=self._rest())
            weight *= float(found[1].replace(",", "."))
            if not weight:
                raise self._broken("a weight of 0")
            self.at = found.end()
        elif found := _NO_WEIGHT.match(self.text, self.at):
            self._notes.append(_weight_read_as_text(found[0], "is a number such as 0.5 or 2"))
        if self.text.startswith("image:", self.at) and not self.text[self.at + 6 :][:1].isspace():
            start, self.at = self.at, self.at + len("image:")
            return Term(weight=weight, media=self._media(self._operand()[0], start))
        language = self._language()
        start = self.at
        operand, quoted = self._operand()
        if not operand.strip():
            self.at = start
            raise self._broken("an empty text")
        may_be_name = not quoted and language is None
        if may_be_name and Path(operand).suffix.lower() in MEDIA_SUFFIXES:
            if self._combined:
                return Term(weight=weight, media=self._media(operand, start))
            if self._files is not None:
                self._notes.append(f"{operand} is read as a text; image:{operand} as a file")
        return Term(weight=weight, text=operand, language=language)

    def _language(self) -> str | None:
        """The language in front of a text, and past it."""
        alone = _PREFIX_ALONE.match(self.text, self.at)
        if alone is not None and self._meant(alone[1]) is not None:
            self.at = alone.end()
            raise self._broken(
                "nothing follows the language",
                hint=f'the text stands close behind it: {alone[1]}:..., or in quotes: "{alone[0]}"',
            )
        found = _LANGUAGE.match(self.text, self.at)
        if found is None:
            return None
        try:
            language = self._meant(found[1])
        except errors.LanguageError as error:
            raise errors.LanguageError(
                f"{error.message} (at column {self.at + 1} of the query {self.text!r})",
                hint=f"{error.hint}; or put the text in quotes if {found[0]} is part of it",
            ) from error
        if language is not None:
            self.at = found.end()
        else:
            self._notes.append(_read_as_text(found[1], is_there=self._is_there))
        return language

    def _is_there(self, language: str) -> bool:
        return not self._languages or language in self._languages

    def _meant(self, code: str) -> str | None:
        """The language of a code in front of a text; None where it is part of the text.

        Raises:
            LanguageError: It means several that are there; or none, in a combined query, where it
                is two letters that cannot be anything else.
        """
        folded = code.casefold().replace("_", "-")
        several = AMBIGUOUS.get(folded)
        if several is not None:
            there = [name for name in several if self._is_there(name)]
            if len(there) < 2:
                return there[0] if there else None
        try:
            language = normalise_language(code)
        except errors.LanguageError:
            if several is None and (len(folded) > 2 or self._alone()):
                return None  # a word with a colon behind it
            raise
        row, first = get_language(language), folded.split("-")[0]
        # Words of three letters are often codes as well: only what has no shorter code goes by one.
        is_short = len(first) == 2 or first == row.bcp47.casefold().split("-")[0]
        is_id = folded.startswith(f"{row.iso639_3}-{row.script}".casefold())
        return language if self._is_there(language) and (is_short or is_id) else None

    def _operand(self) -> tuple[str, bool]:
        """A quoted text, or all up to the next operator; whether it was quoted."""
        opening = self.text[self.at : self.at + 1]
        end = self._closing_quote(*QUOTES[opening]) if opening in QUOTES else None
        if end is None:
            found = _OPERATOR.search(self.text, self.at)
            if opening in QUOTES and (found is not None or self._combined):
                raise self._broken(f"the quote {self.text[self.at]} is not closed")
            end = len(self.text) if found is None else found.start()
            self._combined = self._combined or found is not None
            operand, self.at = self.text[self.at : end], end
            plain = operand.strip()
            return (_ESCAPE.sub(r"\1", plain) if self._combined else plain), False
        operand, self.at = self.text[self.at + 1 : end], end + 1
        self._skip_space()
        return _ESCAPE.sub(r"\1", operand).strip(), True

    def _closing_quote(self, usual: str, others: str) -> int | None:
        """Where the quote that opens here is closed: by one of its kind, else by another."""
        for closing in filter(None, (usual, others)):
            for found in re.finditer(rf"\\.|[{re.escape(closing)}]", self.text[self.at + 1 :]):
                if found[0] in closing:
                    return self.at + 1 + found.start()
        return None

    def _media(self, name: str, start: int) -> Media:
        """What a name stands for."""
        if self._files is None:
            self.at = start
            raise self._broken(f"the file {name!r} is named; names of files are not read")
        return self._files(name)

    def _alone(self) -> bool:
        """Whether the query is one term without an operator."""
        return not self._combined and _OPERATOR.search(self.text, self.at) is None

    def _rest(self) -> str:
        rest, self.at = self.text[self.at :], len(self.text)
        return rest.strip()

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _broken(self, what: str, *, hint: str = FORM) -> errors.InputError:
        """The error for a form that cannot be read, with a mark under the place."""
        return errors.InputError(
            f"{what} (column {self.at + 1})\n  {self.text}\n  {' ' * self.at}^",
            hint=hint,
        )


def _weight_read_as_text(typed: str, rule: str) -> str:
    """What to say of what stands as a weight does and is read as part of a text."""
    return (
        f'{typed.strip()} is read as part of the text: a weight {rule}, as in "beach" + 0.5*"night"'
    )


def _read_as_text(code: str, *, is_there: Callable[[str], bool]) -> str:
    """What to say of what stands as a code of a language does and is read as part of a text."""
    if code.casefold().replace("_", "-") in AMBIGUOUS:
        return f"{code}: is read as part of the text: none of its languages is here"
    try:
        row = get_language(normalise_language(code))
    except errors.LanguageError:
        return f"{code}: is read as part of the text: it is no code of a language"
    if not is_there(row.id):
        return f"{code}: is read as part of the text: {row.english_name} is not among the languages"
    return f"{code}: is read as part of the text; {row.bcp47}: asks in {row.english_name}"
