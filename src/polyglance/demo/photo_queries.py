"""Ten queries in ten scripts, such as any folder of photos may answer, asked of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from polyglance import errors
from polyglance.report.answers import AnsweredQuery, FoundItem
from polyglance.search import thumbnails
from polyglance.search.queries import Query
from polyglance.search.searcher import Answer, Hit, Searcher, SearchRequest

NUM_FOUND = 5


class Asked(NamedTuple):
    """A query, its language, and what it says in English."""

    language: str
    text: str
    meaning: str


# Written before any of them was asked, and kept whatever they find.
QUERIES = (
    Asked("deu_Latn", "ein Hund rennt über eine Wiese", "a dog runs across a meadow"),
    Asked("rus_Cyrl", "дети играют в воде", "children playing in the water"),
    Asked("ell_Grek", "ένας άντρας με ποδήλατο", "a man with a bicycle"),
    Asked("arb_Arab", "رجل يتسلق صخرة", "a man climbing a rock"),
    Asked("heb_Hebr", "אנשים על חוף הים", "people on the beach"),
    Asked("hin_Deva", "लाल कपड़ों में एक लड़की", "a girl in red clothes"),
    Asked("tha_Thai", "สุนัขสองตัวในหิมะ", "two dogs in the snow"),
    Asked("zho_Hans", "一群人坐在桌子旁边", "a group of people sitting at a table"),
    Asked("kor_Hang", "축구를 하는 사람들", "people playing football"),
    Asked("jpn_Jpan", "みずうみに浮かぶボート", "a boat on a lake"),
)


def ask(
    searcher: Searcher,
    *,
    queries: Sequence[Asked] = QUERIES,
    called: Mapping[str, str] = MappingProxyType({}),
) -> list[AnsweredQuery]:
    """Ask all together, as the server does, and take the thumbnails of what they find.

    Args:
        searcher: An index of photos with the packs that answer.
        queries: What is asked.
        called: By id what stands for a photo where it cannot be seen; else its id does.
    """
    requests = [
        SearchRequest(query=Query.of_text(one.text), top=NUM_FOUND, language=one.language)
        for one in queries
    ]
    return [
        AnsweredQuery(
            language=one.language,
            text=one.text,
            meaning=one.meaning,
            answered_by=answer.assumed[0].speaker,
            items=_found(searcher, answer, called),
        )
        for one, answer in zip(queries, searcher.search_many(requests), strict=True)
    ]


def _found(searcher: Searcher, answer: Answer, called: Mapping[str, str]) -> Sequence[FoundItem]:
    return [
        FoundItem(
            name=called.get(hit.id, hit.id), score=hit.score, thumbnail=_thumbnail(searcher, hit)
        )
        for hit in answer.hits
    ]


def _thumbnail(searcher: Searcher, hit: Hit) -> bytes | None:
    """The thumbnail of an answer; None where its photo went away or changed meanwhile."""
    try:
        return thumbnails.thumbnail(searcher.index, hit.id)
    except errors.UnavailableError:
        return None
