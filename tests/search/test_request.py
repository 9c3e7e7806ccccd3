"""A search request: its limit, its query of several parts, and who refuses it."""

from pathlib import Path

import pytest

from polyglance import errors
from polyglance.search.index import Index
from polyglance.search.queries import Query, Term
from polyglance.search.request import MOST_ANSWERS, SearchRequest, typed_query
from polyglance.search.searcher import Searcher

QUERY = Query.of_text("dog")


@pytest.mark.parametrize("top", [1, MOST_ANSWERS])
def test_the_limit_itself_may_be_asked_for(top):
    assert SearchRequest(query=QUERY, top=top).top == top


@pytest.mark.parametrize("top", [-1, 0, MOST_ANSWERS + 1, 10**30])
def test_a_request_out_of_the_limit_cannot_be_made(top):
    with pytest.raises(errors.ConfigError, match=rf"top {top}; .* at most 1,000"):
        SearchRequest(query=QUERY, top=top)


def test_items_of_the_query_are_no_answers():
    query = Query(terms=(Term(item="a.png"), Term(text="dog"), Term(item="b.png", weight=-1.0)))
    assert SearchRequest(query=query).without == {"a.png", "b.png"}


def test_text_pictures_and_what_to_keep_away_from_make_one_query():
    made = typed_query("de:Strand - cat.jpg", media=[b"photo"], without=["2*xx:night"], named=Path)
    assert made.terms == (
        Term(text="Strand", language="deu_Latn"),
        Term(media=Path("cat.jpg"), weight=-1.0),
        Term(media=b"photo"),
        Term(text="2*xx:night", weight=-1.0),
    )
    assert len(made.notes) == 1  # of the text to keep away from, too
    assert typed_query(None, media=[b"photo"]).terms == (Term(media=b"photo"),)


@pytest.mark.parametrize(
    ("text", "without", "said"),
    [("", (), "an empty query"), (None, (), "nothing is asked"), (None, ("night",), "keep away")],
)
def test_what_is_no_query_is_refused(text, without, said):
    with pytest.raises(errors.InputError, match=said):
        typed_query(text, without=without)


def test_names_of_pictures_are_refused_where_none_may_be_read():
    with pytest.raises(errors.InputError, match="names of files are not read"):
        typed_query("dog + photo.jpg")


@pytest.fixture
def index_path(picture_folder, model_folder, tmp_path):
    from polyglance.search import indexing

    indexing.build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    return tmp_path / "index"


def test_python_has_the_same_limit_at_every_door(index_path):
    searcher, index = Searcher(index_path), Index(index_path)
    said = set()
    for ask in (
        lambda: searcher.search("dog", top=MOST_ANSWERS + 1),
        lambda: searcher.rank(index.vectors[:1], top=MOST_ANSWERS + 1),
        lambda: index.search(index.vectors[:1], top=MOST_ANSWERS + 1),
    ):
        with pytest.raises(errors.ConfigError) as refused:
            ask()
        said.add(refused.value.message)
    assert said == {"top 1001; it must be at least 1 and at most 1,000"}
