"""The same words make the same request, from the command line, over HTTP and from Python."""

import json
from datetime import date, datetime

import pytest
from fastapi.testclient import TestClient

from polyglance.search.filters import Filters
from polyglance.search.queries import Query, Term, parse
from polyglance.search.request import MOST_ANSWERS, SearchRequest
from polyglance.search.searcher import Searcher
from polyglance.serve import app
from polyglance.serve.answers import Asker

ENGLISH = ("--language", "en")


@pytest.fixture
def asked(monkeypatch):
    """Every request that reaches a searcher."""
    requests, search_each = [], Searcher.search_each

    def noted(searcher, given):
        requests.extend(given)
        return search_each(searcher, given)

    monkeypatch.setattr(Searcher, "search_each", noted)
    return requests


@pytest.fixture
def doors(world, run, asked, monkeypatch):
    """One function a door; each gives the one request that came through."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE", "POLYGLANCE_LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    with TestClient(
        app.create(Asker(Searcher(world.index))), base_url="http://127.0.0.1:8765"
    ) as client:

        def command(*argv):
            asked.clear()
            code, _, err = run("search", "--index", world.index, *argv)
            assert code == 0, err
            return asked[-1]

        def http(**params):
            asked.clear()
            response = client.get("/api/search", params=params)
            assert response.status_code == 200, response.text
            return asked[-1]

        def knn(**query):
            asked.clear()
            response = client.post("/knn-service", content=json.dumps(query))
            assert response.status_code == 200, response.text
            return asked[-1]

        def python(*given, **more):
            asked.clear()
            Searcher(world.index).search(*given, **more)
            return asked[-1]

        yield {"command": command, "http": http, "knn": knn, "python": python, "client": client}


@pytest.mark.parametrize(
    ("argv", "params", "given", "expected"),
    [
        (
            ("red", *ENGLISH, "--top", 3),
            {"q": "red", "language": "en", "top": 3},
            {"top": 3, "language": "eng_Latn"},
            SearchRequest(query=Query.of_text("red"), top=3, language="eng_Latn"),
        ),
        (
            ('en:red - 0.5*"circle"', "--top", 24, "--keep-copies"),
            {"q": 'en:red - 0.5*"circle"', "fold": "false"},
            {"top": 24, "alike": None},
            SearchRequest(query=parse('en:red - 0.5*"circle"'), top=24, alike=None),
        ),
        (
            ("red", *ENGLISH, "--since", "2000-02", "--until", "2100", "--max-size", "2MB"),
            {"q": "red", "language": "en", "since": "2000-02", "until": "2100", "top": 10}
            | {"max_bytes": 2_000_000},
            {"language": "eng_Latn"}
            | {"filters": Filters.of_typed(since="2000-02", until="2100", max_size="2MB")},
            SearchRequest(
                query=Query.of_text("red"),
                language="eng_Latn",
                filters=Filters(
                    since=date(2000, 2, 1), until=date(2100, 12, 31), max_bytes=2_000_000
                ),
            ),
        ),
        (
            ("red", *ENGLISH, "--since", "2000-01-02 10:00", "--min-size", "1", "-k", 24),
            {"q": "red", "language": "eng_Latn", "since": "2000-01-02 10:00", "min_bytes": 1},
            {"language": "eng_Latn", "top": 24}
            | {"filters": Filters.of_typed(since="2000-01-02 10:00", min_size=1)},
            SearchRequest(
                query=Query.of_text("red"),
                language="eng_Latn",
                top=24,
                filters=Filters(since=datetime(2000, 1, 2, 10), min_bytes=1),
            ),
        ),
    ],
    ids=["plain", "combined", "days and sizes", "a moment"],
)
def test_the_same_words_make_the_same_request(doors, argv, params, given, expected):
    assert doors["command"](*argv) == expected
    assert doors["http"](**params) == expected
    assert doors["python"](argv[0], **given) == expected


def test_clip_retrieval_asks_by_the_same_request(doors):
    assert doors["knn"](text="red", num_images=3, language="en") == SearchRequest(
        query=Query.of_text("red"), top=3, language="eng_Latn", alike=None
    )


def test_a_folder_is_the_same_but_for_where_one_stands(doors):
    folder = "below & beyond #1"
    http = doors["http"](q="red", language="en", folder=folder, top=10)
    command = doors["command"]("red", *ENGLISH, "--folder", folder)
    assert http.filters == Filters(folders=(folder,))
    assert command.filters.folders == http.filters.folders
    assert command.filters.here is not None


def test_what_locales_say_is_the_same(doors, monkeypatch):
    monkeypatch.setenv("LANG", "de_AT.UTF-8")
    assert doors["command"]("red").preferred == ("deu_Latn",)
    assert doors["http"](q="red", locales="de-AT").preferred == ("deu_Latn",)


def test_a_sent_picture_keeps_the_notes_of_the_text_beside_it(doors, world):
    picture = (world.pictures / "big-red-circle.png").read_bytes()
    answer = doors["client"].post(
        "/api/search",
        files={"image": ("a.png", picture, "image/png")},
        data={"q": "xx:red", "language": "en"},
    )
    assert any("xx:" in note for note in answer.json()["notes"])
    assert parse("xx:red").terms == (Term(text="xx:red"),)


@pytest.mark.parametrize("top", [0, MOST_ANSWERS + 1])
def test_every_door_refuses_with_the_same_words(doors, run, world, top):
    said = f"top {top}; it must be at least 1 and at most 1,000"
    code, _, err = run("search", "red", "--index", world.index, "--top", top)
    assert code == 2
    assert said in err
    client = doors["client"]
    for answer in (
        client.get("/api/search", params={"q": "red", "top": top}),
        client.post("/api/search", data={"q": "red", "top": str(top)}),
        client.get("/api/similar/big-red-circle.png", params={"top": top}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (422, said)


def test_the_description_names_the_limit(doors):
    paths = doors["client"].get("/openapi.json").json()["paths"]
    for path in ("/api/search", "/api/similar/{identity}"):
        (top,) = [one["schema"] for one in paths[path]["get"]["parameters"] if one["name"] == "top"]
        assert (top["minimum"], top["maximum"], top["default"]) == (1, MOST_ANSWERS, 24)
