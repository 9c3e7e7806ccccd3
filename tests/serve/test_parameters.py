"""No parameter and no field is dropped in silence: each is known, given once, and UTF-8."""

import io

import pytest

import small_world


def refusal(response):
    assert response.status_code == 422, response.text
    return response.json()["error"]


@pytest.fixture(scope="module")
def picture():
    written = io.BytesIO()
    small_world.draw("big red circle", seed=99).save(written, "PNG")
    return ("a.png", written.getvalue(), "image/png")


ADDRESSES = (
    "/api/search?q=dog&bogus=1",
    "/api/similar/big-red-circle.png?bogus=1",
    "/api/images/big-red-circle.png?bogus=1",
    "/api/thumbnails/big-red-circle.png?bogus=1",
    "/api/languages?bogus=1",
    "/indices-list?bogus=1",
    "/health?bogus=1",
    "/metrics?bogus=1",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_end_point_refuses_what_it_does_not_know(client, address):
    assert "'bogus'" in refusal(client.get(address))
    assert client.head(address).status_code == 422


def test_the_list_above_is_whole(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert sum("get" in methods for methods in paths.values()) == len(ADDRESSES)


def test_filters_where_there_are_none(client):
    said = refusal(client.get("/api/similar/big-red-circle.png?folder=x"))
    assert "'folder'" in said
    assert "allowed here: top" in said
    assert client.get("/api/similar/big-red-circle.png?top=2").status_code == 200


@pytest.mark.parametrize("path", ["/api/search", "/knn-service"])
def test_parameters_in_the_address_of_a_form_are_refused(client, path, picture):
    files = {"image": picture}
    assert "allowed here: none" in refusal(client.post(f"{path}?folder=nope", files=files))


def test_pages_may_be_linked_with_parameters_of_others(client):
    assert client.get("/?q=dog&from=elsewhere").status_code == 200
    assert client.get("/pages/page.css?v=1").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/api/search?q=dog&q=cat",
        "/api/search?q=dog&q=dog",
        "/api/search?q=dog&top=1&top=2",
        "/api/similar/big-red-circle.png?top=1&top=2",
    ],
)
def test_a_parameter_given_twice_is_refused(client, address):
    assert "more than once" in refusal(client.get(address))


def test_a_field_given_twice_is_refused(client, picture):
    said = refusal(client.post("/api/search", data={"q": ["dog", "cat"]}))
    assert "'q' is given more than once" in said
    sent = {"data": {"q": ["dog", "cat"]}, "files": {"image": picture}}
    assert "'q' is given more than once" in refusal(client.post("/api/search", **sent))


def test_two_pictures_are_refused(client, picture):
    said = refusal(client.post("/api/search", files=[("image", picture), ("image", picture)]))
    assert "one image is read" in said
    both = {"data": {"image": "a"}, "files": {"image": picture}}
    assert "more than once" in refusal(client.post("/api/search", **both))


@pytest.mark.parametrize("bytes_", ["caf%E9", "%ff%fe", "%ED%A0%80", "a%C3"])
def test_a_text_that_is_no_utf8_is_refused_and_named(client, bytes_):
    assert refusal(client.get(f"/api/search?q={bytes_}")) == "q is no UTF-8"
    assert "folder is no UTF-8" in refusal(client.get(f"/api/search?q=a&folder={bytes_}"))
    assert "no UTF-8" in refusal(client.get(f"/api/search?{bytes_}=a"))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    sent = client.post("/api/search", content=f"q={bytes_}", headers=kind)
    assert refusal(sent) == "q is no UTF-8"


def test_utf8_is_read_however_it_is_written(client):
    for text in ("caf%C3%A9", "%ef%bf%bd+a"):
        assert client.get(f"/api/search?q={text}&language=en").status_code == 200


def test_so_many_parameters(client):
    assert "more than 32" in refusal(client.get("/api/search?" + "&".join(["q=a"] * 40)))
