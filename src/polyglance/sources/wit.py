"""Reader of WIT's captions: the tab-separated files of its release, a row an image on a page.

    wit_v1.test.all-00000-of-00005.tsv.gz    header and 17 columns; read are language, image_url
                                             and caption_reference_description

The caption is the one under the image (the reference description), as retrieval uses it; rows
without one are passed over. An image is known by the last part of its address, percent-decoded:
what Wikimedia calls the file, and what a download of it is called.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.records import Caption

COLUMNS = ("language", "image_url", "caption_reference_description")
# Longer than any page; Python's own limit is 131,072 letters a field.
FIELD_LIMIT = 1 << 24


@dataclass(frozen=True, kw_only=True)
class WitRows:
    """What was read.

    Attributes:
        captions: By language id.
        num_dropped: What could not take part, by reason.
    """

    captions: dict[str, list[Caption]] = field(default_factory=dict)
    num_dropped: dict[str, int] = field(default_factory=dict)


def read_wit(
    folder: Path, *, split: str = "test", languages: Collection[str] | None = None
) -> WitRows:
    """All captions of one split, by language.

    Args:
        folder: Holds `wit_v1.SPLIT.all-*.tsv.gz`, or the same unpacked.
        split: `test` or `val`.
        languages: Language ids; None takes all.

    Raises:
        UnavailableError: No such files.
        LanguageError: A language of `languages` that the files lack.
        InputError: A file without those columns, or damaged.
    """
    paths = sorted(Path(folder).glob(f"wit_v1.{split}.all-*.tsv*"))
    if not paths:
        raise errors.UnavailableError(
            f"there are no files wit_v1.{split}.all-*.tsv.gz in {folder}",
            hint="check the path, or fetch the data set",
        )
    rows = WitRows()
    dropped = dict.fromkeys(("rows_without_caption", "languages_unknown", "images_of_one_name"), 0)
    address_of: dict[str, str] = {}
    known: dict[str, str | None] = {}
    for path in paths:
        for code, url, text in _rows(path):
            if code not in known:
                known[code] = _language(code)
            language = known[code]
            if language is None:
                dropped["languages_unknown"] += 1
                continue
            if not text.strip():
                dropped["rows_without_caption"] += 1
                continue
            address = urlsplit(url).netloc + urlsplit(url).path
            name = image_name(url)
            if address_of.setdefault(name, address) != address:
                dropped["images_of_one_name"] += 1
                continue
            if languages is None or language in languages:
                rows.captions.setdefault(language, []).append(Caption(name, text.strip(), language))
    if lacking := sorted(set(languages or ()) - set(rows.captions)):
        raise errors.LanguageError(
            f"{folder} has no captions in {', '.join(lacking)}; it has: "
            f"{', '.join(sorted(filter(None, known.values())))}",
            hint="leave those out",
        )
    rows.num_dropped.update({reason: count for reason, count in dropped.items() if count})
    return rows


def image_name(url: str) -> str:
    """What an image is called.

    >>> image_name("https://example.org/wikipedia/commons/2/2f/Viimsi1%2C_2010.jpg")
    'Viimsi1,_2010.jpg'
    """
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _language(code: str) -> str | None:
    """The id of a Wikipedia's code; None for one that no row of the table has."""
    try:
        return normalise_language(code, dataset="wit")
    except errors.LanguageError:
        return None


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """The three columns of a file, row by row."""
    csv.field_size_limit(FIELD_LIMIT)
    read = gzip.open if path.suffix == ".gz" else open
    try:
        with read(path, "rt", encoding="utf-8-sig", newline="") as text:
            table = csv.DictReader(text, delimiter="\t")
            header = table.fieldnames or []
            if lacking := [name for name in COLUMNS if name not in header]:
                raise errors.InputError(
                    f"{path} has no column {' or '.join(lacking)}; the header has "
                    f"{', '.join(header)[:200]}",
                    hint="give the publisher's files as they are",
                )
            for row in table:
                language, url, caption = (row[name] or "" for name in COLUMNS)
                yield language, url, caption
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise errors.InputError(
            f"{path} cannot be read: {errors.first_line(error)}", hint="fetch the file again"
        ) from error
