"""What clients send, in our form, turned into one `SearchRequest`."""

from __future__ import annotations

from collections.abc import Collection

from polyglance import errors
from polyglance.languages.registry import normalise_language, of_locales
from polyglance.search.filters import Filters
from polyglance.search.request import SearchRequest, typed_query
from polyglance.serve import schemas
from polyglance.serve.limits import Limits


def search_request(
    text: str,
    chosen: schemas.Chosen,
    *,
    limits: Limits,
    image: bytes | None = None,
    spoken: Collection[str] = (),
) -> SearchRequest:
    """What a request of ours asks; names of files in it are refused.

    Args:
        text: Clean; may be empty where there is an image.
        chosen: The rest of it.
        limits: Of its number of terms.
        image: The bytes of one.
        spoken: Ids of the languages that may stand in front of a text.

    Raises:
        InputError: The text is a combined query whose form is broken, or has too many terms.
        ConfigError, LanguageError: What was chosen is out of range, or no language.
    """
    query = typed_query(text or None, media=() if image is None else (image,), languages=spoken)
    if len(query.terms) > limits.num_terms:
        raise errors.InputError(
            f"{len(query.terms)} terms; {limits.num_terms} are allowed", hint="ask for less at once"
        )
    return SearchRequest(
        query=query,
        top=chosen.top,
        filters=Filters.of_typed(
            folders=(chosen.folder,) if chosen.folder else (),
            since=chosen.since or None,
            until=chosen.until or None,
            min_size=chosen.min_bytes,
            max_size=chosen.max_bytes,
        ),
        language=language_id(chosen.language),
        alike=1.0 if chosen.fold else None,
        preferred=of_locales(chosen.locales or ""),
    )


def language_id(given: str | None) -> str | None:
    """The id of a language that somebody named; None where nobody did.

    Raises:
        LanguageError: There is no such language, or there are several.

    >>> language_id("de"), language_id("")
    ('deu_Latn', None)
    """
    return normalise_language(given) if given else None
