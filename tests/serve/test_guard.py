"""Tokens, hosts, sizes, numbers and times are checked before anything is read."""

import asyncio
import itertools

import pytest

from polyglance.serve.guard import COOKIE, Guard, session_of
from polyglance.serve.limits import Limits

TOKEN = "a long and secret token"


def test_nobody_needs_a_token_where_there_is_none(client):
    assert client.get("/api/languages").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff",
        f"Bearer {TOKEN}x",
    ],
)
def test_without_the_token_nothing_is_told(serve, header):
    client = serve(token=TOKEN)
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    for path in ("/", "/api/search?q=a", "/api/languages", "/metrics", "/docs", "/openapi.json"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.post("/knn-service", headers=headers).status_code == 401
    assert client.get("/health").status_code == 200


def test_the_token_opens(serve):
    client = serve(token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/languages", headers=headers).status_code == 200


def test_the_form_gives_a_cookie_that_opens(serve):
    client = serve(token=TOKEN)
    assert client.post("/login", data={"token": "wrong"}).status_code == 401
    assert client.get("/").status_code == 401
    answer = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "cookie", [f"{COOKIE}={TOKEN}", f"{COOKIE}=", "=;=", f"{COOKIE}={session_of('x')}"]
)
def test_other_cookies_do_not(serve, cookie):
    client = serve(token=TOKEN)
    assert client.get("/", headers={"cookie": cookie}).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""]
)
def test_a_name_from_elsewhere_is_refused_on_loopback(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8765", "[::1]:8765", "127.0.0.1"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_every_answer_has_the_headers(client):
    for path in ("/", "/nothing", "/api/search?q=", "/api/images/big-red-circle.png"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert "frame-ancestors 'none'" in client.get("/").headers["content-security-policy"]


def gigabyte(seen):
    for _ in range(1024):
        seen.append(2**20)
        yield bytes(2**20)


def test_an_upload_of_a_gigabyte_is_refused_while_it_streams(client):
    # The test client hands over the whole body at once; one that streams stands below.
    answer = client.post("/api/search", content=bytes(17 * 2**20))
    assert answer.status_code == 413
    headers = {"content-length": str(2**30)}
    assert client.post("/api/search", content=b"", headers=headers).status_code == 413


def drive(app, *, body=(), headers=(), path="/x"):
    """Send one request whose body comes in parts; returns what was answered."""
    parts, sent = iter(body), []

    async def receive():
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers],
    }
    asyncio.run(app(scope, receive, send))
    return sent


async def reads_all(scope, receive, send):
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def reads_all_and_hides_errors(scope, receive, send):
    try:
        await reads_all(scope, receive, send)
    except Exception:  # noqa: BLE001
        await send({"type": "http.response.start", "status": 400, "headers": []})


@pytest.mark.parametrize("inner", [reads_all, reads_all_and_hides_errors])
def test_a_body_that_does_not_say_its_size_is_read_up_to_the_limit_only(inner):
    seen = []
    guard = Guard(inner, limits=Limits(body_bytes=5 * 2**20))
    sent = drive(guard, body=gigabyte(seen))
    assert [sent[0]["status"], len(sent)] == [413, 2]
    assert (b"connection", b"close") in sent[0]["headers"]
    assert sum(seen) == 6 * 2**20
    assert guard.running == 0


@pytest.mark.parametrize("length", [b"x", b"-1", b"1e3", b"", b"9" * 5000])
def test_lengths_that_are_none(length):
    sent = drive(Guard(reads_all, limits=Limits()), headers=[(b"content-length", length)])
    assert sent[0]["status"] in (400, 413)


def test_a_request_has_so_much_time():
    async def sleeps(scope, receive, send):
        await asyncio.sleep(60)

    assert drive(Guard(sleeps, limits=Limits(seconds=0.05)))[0]["status"] == 503


def test_so_many_requests_at_once():
    async def many():
        done = asyncio.Event()

        async def waits(scope, receive, send):
            await done.wait()
            await reads_all(scope, receive, send)

        guard = Guard(waits, limits=Limits(concurrent=3))
        statuses = []

        async def one(number):
            async def receive():
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message):
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            headers = [(b"host", b"localhost")]
            await guard({"type": "http", "path": "/", "headers": headers}, receive, send)

        tasks = [asyncio.create_task(one(n)) for n in range(5)]
        await asyncio.sleep(0.01)
        assert statuses == [503, 503]
        done.set()
        await asyncio.gather(*tasks)
        assert sorted(statuses) == [200, 200, 200, 503, 503]
        assert guard.refused == {503: 2}

    asyncio.run(many())


def test_secrets_are_compared_whatever_they_hold():
    from polyglance.serve.guard import same

    for one, other in itertools.product(("", "a", "é", "\udc80"), repeat=2):
        assert same(one, other) == (one == other) or "\udc80" in (one, other)
