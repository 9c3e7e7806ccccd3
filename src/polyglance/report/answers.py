"""Queries with what they found, as thumbnails: a section of the report, or a page of its own.

A page of its own has no numbers of the photos that were searched, since nobody captioned them; it
shows what the pack's card says of others.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance.report import document
from polyglance.report.tables import Figure
from polyglance.storage import atomic


@dataclass(frozen=True, kw_only=True)
class FoundItem:
    """One answer to a query.

    Attributes:
        name: What stands for it where it cannot be seen: a caption or the name of its file.
        score: Its cosine.
        thumbnail: A small JPEG; None where there is none.
    """

    name: str
    score: float
    thumbnail: bytes | None = None

    @property
    def source(self) -> str:
        """The thumbnail as an address that holds all of it."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.thumbnail or b'').decode('ascii')}"


@dataclass(frozen=True, kw_only=True)
class AnsweredQuery:
    """A query in some language and what it found.

    Attributes:
        language: Id of its language.
        text: As it was typed.
        meaning: What it says, in English.
        answered_by: Who encoded it: `pack` or `teacher`.
        items: Best first.
    """

    language: str
    text: str
    meaning: str
    answered_by: str
    items: Sequence[FoundItem]


@dataclass(frozen=True, kw_only=True)
class CardRow:
    """What the card of a pack says of one language, as R@10.

    Attributes:
        language: Its id.
        num_queries: How many asked.
        pack: With the pack.
        model: By the model alone; None where the card does not say it.
    """

    language: str
    num_queries: int
    pack: Figure
    model: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """The measured languages of a pack.

    Attributes:
        says: On which data they were measured, in a sentence.
        rows: A row a language.
        num_unmeasured: How many more languages it lists, which nobody measured.
    """

    says: str
    rows: Sequence[CardRow]
    num_unmeasured: int = 0


def write_answers(
    path: Path,
    answers: Sequence[AnsweredQuery],
    *,
    title: str,
    lead: str,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    card: Card | None = None,
) -> Path:
    """Write answers as one HTML file that needs no network.

    Args:
        path: The file to write; its folder is made.
        answers: In the order in which they are shown.
        title: Heading of the page.
        lead: One line below it.
        facts: How to make it again: `commands`, `seconds`, ...
        notes: Plain sentences to be read with it.
        card: What the card of the pack says; None shows nothing of it.

    Returns:
        `path`.
    """
    page = document.document(
        "answers_page.html",
        data="{}",
        script="",
        charts="",
        title=title,
        lead=lead,
        answers=answers,
        facts=facts,
        notes=notes,
        card=card,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, page)
    return path
