"""Every end point answers in its form, and refuses what it must."""

import asyncio
import base64
import io
import json
import re
from importlib import resources
from urllib.parse import unquote

import pytest
from PIL import Image

import small_world
from polyglance import errors
from polyglance.search import indexing
from polyglance.search.request import MOST_ANSWERS
from polyglance.serve import clip_retrieval, schemas, search_requests
from polyglance.serve.limits import Limits

GERMAN = "deu_Latn"


def search(client, **params):
    response = client.get("/api/search", params=params)
    assert response.status_code == 200, response.text
    schemas.Found.model_validate(response.json())
    return response.json()


def problem(response, status):
    assert response.status_code == status, response.text
    return schemas.Problem.model_validate(response.json()).error


def png(phrase="big red circle", seed=99):
    written = io.BytesIO()
    small_world.draw(phrase, seed=seed).save(written, "PNG")
    return written.getvalue()


def names(found):
    return [hit["id"] for hit in found["hits"]]


def test_text_in_another_language(client):
    query = small_world.translate("big red circle", GERMAN)
    found = search(client, q=query, language="de", top=5)
    assert "big-red-circle.png" in names(found)
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5]
    assert found["language"] == GERMAN
    assert [(one["name"], one["speaker"]) for one in found["assumed"]] == [("Deutsch", "pack")]
    assert found["items"] == len(small_world.PHRASES) + 1


def test_english_is_answered_by_the_model_itself(client):
    found = search(client, q="big red circle", language="en")
    assert [one["speaker"] for one in found["assumed"]] == ["teacher"]


def test_a_combined_query(client):
    plain = search(client, q="red", language="en", top=10)
    apart = search(client, q='"red" - 0.8*"circle"', language="en", top=10)
    assert len(apart["assumed"]) == 2
    assert names(plain) != names(apart)
    assert "circle" not in names(apart)[0]


def test_a_picture_finds_itself(client):
    files = {"image": ("photo.png", png(), "image/png")}
    found = client.post("/api/search", files=files, data={"top": "2"}).json()
    schemas.Found.model_validate(found)
    assert (names(found)[0], found["hits"][0]["score"]) == ("big-red-circle.png", 1.0)
    assert found["assumed"] == []


def test_picture_and_text_together(client):
    files = {"image": ("photo.png", png(), "image/png")}
    data = {"q": "blue", "language": "en", "top": "50"}
    both = client.post("/api/search", files=files, data=data).json()
    alone = client.post("/api/search", files=files, data={"top": "50"}).json()
    assert names(both) != names(alone)


def test_filters(client):
    found = search(client, q="red", language="en", folder="below & beyond #1")
    assert names(found) == ["below & beyond #1/ünder?.png"]
    nothing = search(client, q="red", language="en", until="1999")
    assert nothing["hits"] == []
    assert "none until 1999-12-31" in nothing["notes"][0]
    for since in ("1600", "1600-01-01T00:00:00Z", "1960"):
        assert search(client, q="red", language="en", since=since)["hits"]
    assert search(client, q="red", language="en", min_bytes=10**9)["hits"] == []


def test_what_the_browser_reads_is_taken_as_likely(client):
    chosen = schemas.Typed(q="Hund", locales="de-AT,en;q=0.8,xx")
    asked = search_requests.search_request("Hund", chosen, limits=Limits())
    assert asked.preferred == ("deu_Latn", "eng_Latn")
    assert search(client, q="Hund", locales="de-AT,en;q=0.8")["hits"]


def test_similar_leaves_itself_out(client):
    found = client.get("/api/similar/big-red-circle.png", params={"top": 3}).json()
    schemas.Found.model_validate(found)
    assert len(found["hits"]) == 3
    assert "big-red-circle.png" not in names(found)
    assert names(found)[0] == "below & beyond #1/ünder?.png"


def test_files_and_thumbnails_are_served_by_the_addresses_of_a_hit(own_client, world):
    for hit in search(own_client, q="red circle", language="en", top=50)["hits"]:
        picture, small = own_client.get(hit["image"]), own_client.get(hit["thumbnail"])
        assert picture.content == (world.pictures / hit["id"]).read_bytes()
        assert picture.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(small.content)).format == "JPEG"
        known = own_client.get(hit["image"], headers={"if-none-match": picture.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")


def test_thumbnails_of_an_index_without_are_made(own_client, world):
    import shutil

    shutil.rmtree(world.index / "thumbnails")
    assert own_client.get("/api/thumbnails/big-red-circle.png").status_code == 200
    assert list((world.index / "thumbnails").rglob("*.jpg"))


def test_languages(client):
    body = client.get("/api/languages").json()
    schemas.Spoken.model_validate(body)
    assert {"id": "eng_Latn", "direction": "ltr"}.items() <= body["languages"][0].items()


def test_health_and_metrics(own_client):
    health = own_client.get("/health").json()
    schemas.Health.model_validate(health)
    assert health["items"] == len(small_world.PHRASES) + 1
    search(own_client, q="red", language="en")
    own_client.get("/api/images/nothing")
    text = own_client.get("/metrics").text
    assert 'requests_total{endpoint="/api/search",status="200"} 1.0' in text
    assert 'requests_total{endpoint="/api/images/{identity:id}",status="404"} 1.0' in text
    assert f"polyglance_index_items {len(small_world.PHRASES) + 1}.0" in text


def test_head_is_answered_like_get_without_a_body(client):
    for path in ("/", "/health", "/api/search?q=red&language=en", "/api/images/big-red-circle.png"):
        whole, bare = client.get(path), client.head(path)
        assert (bare.status_code, bare.content) == (200, b""), path
        if "search" not in path:  # it tells its seconds
            assert bare.headers["content-length"] == str(len(whole.content))
        assert bare.headers["content-type"] == whole.headers["content-type"]
    assert client.head("/nothing").status_code == 404


def test_any_name_is_served(serve, world, model_folder):
    odd = [
        "line\nbreak.png",
        "end\n.png\n.png",
        "q?a=b#c.png",
        " .png",
        "\u202egnp.png",
    ]
    for number, name in enumerate(odd):
        small_world.draw("small black ring", seed=number).save(world.pictures / name)
    indexing.build(world.pictures, model=str(model_folder), out=world.index)
    client = serve()
    hits = {hit["id"]: hit for hit in search(client, q="ring", language="en", top=200)["hits"]}
    for name in odd:
        assert client.get(hits[name]["thumbnail"]).status_code == 200, name
        assert client.get(hits[name]["image"]).content == (world.pictures / name).read_bytes()


def test_an_index_that_vanishes_or_is_replaced_is_noticed(
    own_client, world, model_folder, monkeypatch
):
    from polyglance.search import searcher as service

    monkeypatch.setattr(service, "REFRESH_SECONDS", 0.0)
    elsewhere = world.index.with_name("elsewhere")
    world.index.rename(elsewhere)
    for path in ("/api/search?q=red&language=en", "/api/thumbnails/big-red-circle.png"):
        assert "not there" in problem(own_client.get(path), 503)
    health = own_client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    assert "not there" in schemas.Health.model_validate(health.json()).problem
    assert not world.index.exists()  # and nothing was put in its place

    # Another index of as many versions, in the same place.
    (world.pictures / "big-red-circle.png").unlink()
    indexing.build(world.pictures, model=str(model_folder), out=world.index)
    assert own_client.get("/health").json()["items"] == len(small_world.PHRASES)
    assert "big-red-circle.png" not in names(
        search(own_client, q="red circle", language="en", top=99)
    )

    (world.index / "store.json").write_text("{")
    assert own_client.get("/health").status_code == 503
    problem(own_client.get("/api/search?q=red&language=en"), 503)


def test_addresses_that_would_run_something_are_no_links(own_client, world, monkeypatch):
    from polyglance.serve import answers

    assert answers.web_address("HTTPS://a.example/1.jpg?x=1#y")
    for address in (
        "javascript:alert(1)",
        "JaVaScRiPt:a",
        "\tjavascript:a",
        "data:text/html,a",
        "file:///etc/passwd",
        "//a.example",
        "http:",
        "http://[",
        "a",
        "",
        None,
        5,
    ):
        assert answers.web_address(address) is None, address


def test_queries_that_fail_cost_the_others_no_batch(world):
    from polyglance.search.filters import Filters
    from polyglance.search.queries import Query, parse
    from polyglance.search.searcher import Searcher, SearchRequest

    searcher = Searcher(world.index, packs=[world.pack])
    failing = [
        SearchRequest(query=parse('"a" - "a"'), language="eng_Latn"),
        SearchRequest(query=parse('99999*"red" - 99999*"red"'), language="eng_Latn"),
        SearchRequest(query=Query.like("nothing")),
        SearchRequest(
            query=Query.of_text("red"), filters=Filters(captioned=True), language="eng_Latn"
        )
        if hasattr(Filters, "captioned")
        else SearchRequest(query=parse('"b" - "b"'), language="eng_Latn"),
    ]
    good = [
        SearchRequest(query=Query.of_text(word), language="eng_Latn") for word in ("red", "blue")
    ]
    asks = [good[0], *failing, good[1]]
    calls = []
    encode = searcher._routing.teacher.encode
    searcher._routing.teacher.encode = lambda *given, **more: (
        calls.append(1) or encode(*given, **more)
    )
    found = searcher.search_each(asks)
    assert len(calls) == 1  # all texts in one batch
    assert [isinstance(one, errors.PolyglanceError) for one in found] == [False, *[True] * 4, False]
    assert found[0].hits == searcher.search_many(good)[0].hits
    with pytest.raises(errors.InputError, match="cancel"):
        searcher.search_many(asks)


def test_a_fault_of_ours_is_told_in_the_form_of_all_errors(serve, monkeypatch):
    client = serve()
    monkeypatch.setattr(client._transport, "raise_server_exceptions", False, raising=False)
    monkeypatch.setattr(client.app.app.app.state.asker, "look", lambda: 1 / 0)
    monkeypatch.setattr(type(client.app.app.app.state.asker), "looked_lately", False)
    assert "fault" in problem(client.get("/health"), 500)


# ---- clip-retrieval


def knn(client, **query):
    # As its client sends it: JSON that does not say so.
    body = {"modality": "image", "num_images": 2, "indice_name": "any", "use_mclip": False, **query}
    return client.post("/knn-service", content=json.dumps(body))


def test_knn_by_text(client):
    rows = knn(client, text="big red circle", num_result_ids=5, language="en").json()
    assert len(rows) == 5
    for row in rows:
        schemas.KnnHit.model_validate(row)
    assert [set(row) for row in rows[2:]] == [{"id", "similarity"}] * 3
    picture = client.get(rows[0]["url"])
    assert picture.headers["content-type"] == "image/png"
    assert client.get("/indices-list").json() == ["index"]


def test_knn_says_where_its_answer_was_cut(client, monkeypatch):
    monkeypatch.setattr(clip_retrieval, "MOST_ANSWERS", 5)
    cut = knn(client, text="ring", num_images=6, language="en")
    assert (len(cut.json()), cut.headers["x-cut-at"]) == (5, "5")
    assert "x-cut-at" not in knn(client, text="ring", num_images=5, language="en").headers


def test_knn_by_image_and_by_vector(own_client, world):
    from polyglance.search.index import Index

    index = Index(world.index)
    image = base64.b64encode(png()).decode()
    by_image = knn(own_client, image=image).json()
    assert index.ids[by_image[0]["id"]] == by_image[0]["image_path"] == "big-red-circle.png"
    vector = index.vectors[by_image[0]["id"]].tolist()
    assert knn(own_client, embedding_input=vector).json()[0]["id"] == by_image[0]["id"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"text": "a", "image": "aaaa"},
        {"image": "no base64!"},
        {"image": "aaaa"},
        {"image_url": "http://127.0.0.1/picture.png"},
        {"embedding_input": [1.0]},
        {"embedding_input": [0.0] * 192},
        {"embedding_input": [1e39] * 192},
        {"text": "a", "modality": "text"},
        {"text": "a", "num_images": 0},
        {"text": "a" * 4097},
    ],
    ids=lambda query: str(query)[:40],
)
def test_knn_refuses(client, query):
    problem(knn(client, **query), 422)


def test_knn_says_that_an_embedding_is_empty(client):
    assert "embedding_input is empty" in problem(knn(client, embedding_input=[]), 422)


def test_knn_refuses_what_is_no_json(client):
    problem(client.post("/knn-service", content=b"\xff{"), 422)


# ---- what is sent


@pytest.mark.parametrize(
    "query",
    [
        "🐟👨‍👩‍👧‍👦",
        "a\x00b\x1b[31m",
        "עברית and العربية with \u202eoverride",
        "\ufeffa",
        "𓀀",
        "ⁿ" * 4096,
    ],
    ids=["emoji", "control", "directions", "mark", "astral", "long"],
)
def test_texts_that_are_odd_are_answered(client, query):
    assert len(search(client, q=query, language="en", top=3)["hits"]) == 3


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": ""},
        {"q": " \t\n\x00"},
        {"q": "a" * 4097},
        {"q": "a", "top": 0},
        {"q": "a", "top": MOST_ANSWERS + 1},
        {"q": "a", "top": "x"},
        {"q": "a", "language": "Klingonese"},
        {"q": "a", "since": "today"},
        {"q": "a", "since": "2024", "until": "2023"},
        {"q": "a", "min_bytes": -1},
        {"q": "a", "colour": "red"},
        {"q": "cat + photo.jpg"},
        {"q": '"a" + image:"/etc/passwd"'},
        {"q": " + ".join('"a"' for _ in range(17))},
        {"q": '- "a"'},
        {"q": '"a" - "a"', "language": "en"},
        {"q": "\ufeff"},
        {"q": "de:"},
        {"q": "zh:鱼"},
        {"q": "a", "since": "1"},
        {"q": "a", "since": "999999999999"},
        {"q": "a", "since": "2024-07-01T25:00"},
        {"q": "a", "folder": "nowhere"},
    ],
    ids=lambda params: str(params)[:40],
)
def test_searches_that_are_refused(client, params):
    problem(client.get("/api/search", params=params), 422)


def test_a_text_of_a_megabyte_is_refused(client):
    assert client.post("/api/search", data={"q": "a" * 2**20}).status_code in (400, 422)
    problem(knn(client, text="a" * 2**20), 422)


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b"\x89PNG\r\n\x1a\n", png()[:80]],
    ids=["empty", "text", "head", "cut"],
)
def test_pictures_that_cannot_be_read(client, data):
    problem(client.post("/api/search", files={"image": ("a.png", data, "image/png")}), 422)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(serve):
    client = serve(limits=Limits(image_pixels=1000))
    files = {"image": ("a.png", png(), "image/png")}
    assert "32 x 32" in problem(client.post("/api/search", files=files), 422)


# ---- what is served


@pytest.mark.parametrize("kind", ["images", "thumbnails", "similar"])
@pytest.mark.parametrize(
    "identity",
    [
        "nothing.png",
        "../model/model.json",
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "%2Fetc%2Fpasswd",
        "big-red-circle.png%00",
        "./big-red-circle.png",
        "below%20%26%20beyond%20%231/../big-red-circle.png",
        "store.json",
        "%ff",
        "a" * 5000,
    ],
    ids=lambda identity: identity[:30],
)
def test_only_ids_of_the_index_are_served(client, kind, identity):
    # Straight to the application: a client would tidy the path up.
    assert asyncio.run(status_of(client.app, f"/api/{kind}/{unquote(identity)}")) in (404, 422)


async def status_of(app, path):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }
    await app(scope, receive, send)
    return sent[0]["status"]


def test_a_file_that_was_put_beside_is_not_served(own_client, world):
    (world.pictures / "secret.png").write_bytes(png())
    assert own_client.get("/api/images/secret.png").status_code == 404


def test_a_link_out_of_the_folder_is_refused(own_client, world, tmp_path):
    place = world.pictures / "big-red-circle.png"
    outside = tmp_path / "outside.png"
    place.rename(outside)
    place.symlink_to(outside)  # the very same content, even so
    assert "outside the indexed folder" in problem(own_client.get(f"/api/images/{place.name}"), 410)


def test_a_folder_that_became_a_link_is_refused(own_client, world, tmp_path):
    below = world.pictures / "below & beyond #1"
    below.rename(tmp_path / "elsewhere")
    below.symlink_to(tmp_path / "elsewhere")
    assert (
        own_client.get("/api/images/below%20%26%20beyond%20%231/%C3%BCnder%3F.png").status_code
        == 410
    )


def test_another_content_under_the_name_is_not_served(own_client, world):
    place = world.pictures / "big-red-circle.png"
    size = place.stat().st_size
    place.write_bytes(b"x" * size)
    assert "changed" in problem(own_client.get("/api/images/big-red-circle.png"), 410)
    place.write_bytes(b"x")
    assert "changed" in problem(own_client.get("/api/images/big-red-circle.png"), 410)
    place.unlink()
    assert "no such file" in problem(own_client.get("/api/images/big-red-circle.png"), 410)


def test_new_rows_are_found_while_it_runs(own_client, world, model_folder, monkeypatch):
    from polyglance.search import searcher as service

    monkeypatch.setattr(service, "REFRESH_SECONDS", 0.0)
    small_world.draw("small black ring", seed=7).save(world.pictures / "new.png")
    indexing.build(world.pictures, model=str(model_folder), out=world.index)
    found = search(own_client, q="small black ring", language="en", top=60)
    assert "new.png" in names(found)
    assert own_client.get("/api/images/new.png").status_code == 200


# ---- pages


def test_pages(client):
    for path in ("/", "/docs", "/login", "/pages/page.css", "/pages/page.js", "/pages/icon.svg"):
        assert client.get(path).status_code == 200, path
    for path in ("/pages/index.html", "/pages/..%2Fapp.py", "/pages/nothing"):
        assert client.get(path).status_code == 404, path


def test_every_word_has_its_translation():
    text = (resources.files("polyglance.serve") / "pages" / "words.js").read_text("utf-8")
    order = re.findall(r'"(\w+)"', text.split("const rows")[0])
    rows = dict(re.findall(r'^  (\w\w): "(.*)",$', text, re.M))
    assert {"en", "de", "fr", "es", "ar", "he", "zh", "ja"} <= set(rows)
    english = rows["en"].split("|")
    for tag, row in rows.items():
        words = row.split("|")
        assert len(words) == len(order), tag
        for name, word, meant in zip(order, words, english, strict=True):
            assert word.strip(), (tag, name)
            assert re.findall(r"\{\w+\}", word) == re.findall(r"\{\w+\}", meant), (tag, name)


def test_pages_ask_nobody_else_and_hold_no_script_of_their_own():
    for file in (resources.files("polyglance.serve") / "pages").iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//\w+\.\w", text), file.name
        assert not re.search(r"<script(?![^>]*src)|\son\w+=\"|style=\"", text), file.name


def test_the_description_names_every_end_point(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/api/search",
        "/api/similar/{identity}",
        "/api/images/{identity}",
        "/api/thumbnails/{identity}",
        "/api/languages",
        "/knn-service",
        "/indices-list",
        "/health",
        "/metrics",
    }
