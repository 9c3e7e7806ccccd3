"""Tokens, hosts, sizes, numbers and times are checked before anything is read."""

import asyncio
import itertools

import pytest

from polyglance.serve.limits import Limits
from polyglance.serve.security import Guard
from polyglance.serve.sessions import COOKIE, Doors

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
    paths = ["/", "/api/search?q=a", "/api/languages", "/metrics", "/docs", "/openapi.json"]
    for path in paths if header is None else paths[1:4]:  # guesses are counted
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
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age=" in cookie
    assert client.get("/").status_code == 200


def doors(token=TOKEN, now=1000.0, **limits):
    return Doors(token, limits=Limits(**limits), now=lambda: now)


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        "",
        "=",
        doors("another token").session(),
        doors(now=0.0, session_seconds=1).session(),  # has ended
        "9" * 15 + "." + doors().session().partition(".")[2],  # made longer
        doors().session().partition(".")[2],
        "." + doors().session().partition(".")[2],
        "-1." + doors().session().partition(".")[2],
        "²." + doors().session().partition(".")[2],
        "9" * 500 + ".",
    ],
    ids=lambda value: value[:20],
)
def test_other_cookies_do_not(serve, value):
    client = serve(token=TOKEN)
    for name in (doors().cookie, COOKIE):
        cookie = f"{name}={value}".encode()
        assert client.get("/", headers={"cookie": cookie}).status_code == 401


def test_a_cookie_ends_and_another_token_ends_it():
    given = doors(now=1000.0, session_seconds=60).session()
    assert doors(now=1059.0).opens([given])
    assert not doors(now=1060.0).opens([given])
    assert not doors("another", now=1000.0).opens([given])
    assert doors("another").cookie != doors().cookie


@pytest.mark.parametrize(
    "others",
    [
        b'theme={"dark": true}; ',
        b'broken="; ',
        b"a b[c]=d; ;;=; ",
        b"\xff\xfe=1; ",
        b"x" * 20_000 + b"; ",
    ],
    ids=["json", "quote", "odd", "bytes", "long"],
)
def test_cookies_of_other_programs_on_this_host_break_nothing(serve, others):

    client = serve(token=TOKEN)
    own = Doors(TOKEN, limits=Limits())
    cookie = others + f"{own.cookie}={own.session()}".encode()
    assert client.get("/api/languages", headers={"cookie": cookie}).status_code == 200
    stale = f"{own.cookie}=1.x; ".encode()
    assert client.get("/api/languages", headers={"cookie": stale + cookie}).status_code == 200


def test_cookies_are_read_in_linear_time():
    import time

    from polyglance.serve.sessions import cookies_named

    started = time.perf_counter()
    for header in ('a="' + "\\" * 2**20, "a=" * 2**20, ";" * 2**20, 'a="' * 2**19):
        cookies_named("b", header)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("token", ["", " ", "\n", "x" * 513, "é", "a\x00b"])
def test_a_token_that_is_none_is_refused(serve, token):
    from polyglance import errors

    with pytest.raises(errors.ConfigError, match="token"):
        serve(token=token)


def test_wrong_tokens_wait_for_their_turn_and_known_connections_do_not(monkeypatch):
    from polyglance.serve import sessions

    monkeypatch.setattr(sessions, "GUESS_SECONDS", 0.05)

    async def guess():
        found = doors()
        started = asyncio.get_running_loop().time()
        ask = found.is_token
        assert await ask(TOKEN, network="home", client=("home", 1))
        guesses = [ask(f"guess {n}", network="home", client=("home", n)) for n in range(2, 40)]
        compared = await asyncio.gather(*guesses, return_exceptions=True)
        refused = [one for one in compared if isinstance(one, sessions.TooManyGuessesError)]
        assert len(refused) == 38 - sessions.FREE_GUESSES - sessions.WAITING_GUESSES
        assert not any(one is True for one in compared)
        assert asyncio.get_running_loop().time() - started >= 0.05 * sessions.WAITING_GUESSES - 0.01
        # Who has shown it goes on; others elsewhere too; and a turn comes for the right one.
        assert await ask(TOKEN, network="home", client=("home", 1))
        assert await ask(TOKEN, network="elsewhere", client=("elsewhere", 1))
        await asyncio.sleep(0.06)
        assert await ask(TOKEN, network="home", client=("home", 50))

    asyncio.run(guess())


def test_right_tokens_are_never_slowed():
    async def ask():
        found = doors()
        return [
            await asyncio.wait_for(found.is_token(TOKEN, network="a", client=("a", n)), 0.5)
            for n in range(300)
        ]

    assert all(asyncio.run(ask()))


# ---- other sites

OWN = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": ""},
        {"origin": f"{OWN}.evil.example"},
        {"origin": "ftp://127.0.0.1:8765"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "anything"},
        {"origin": OWN, "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
def test_requests_of_other_sites_are_refused(client, headers):
    for method, path in [
        ("POST", "/api/search"),
        ("POST", "/knn-service"),
        ("POST", "/login"),
        ("GET", "/api/search?q=red&language=en"),
        ("GET", "/api/thumbnails/big-red-circle.png"),
        ("HEAD", "/api/images/big-red-circle.png"),
        ("GET", "/"),
    ]:
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in answer.headers
    preflight = {"access-control-request-method": "POST"}
    assert client.options("/api/search", headers={**headers, **preflight}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": OWN},
        {"origin": OWN, "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
def test_own_pages_and_programs_are_answered(client, headers):
    assert client.get("/api/search?q=red&language=en", headers=headers).status_code == 200
    assert client.post("/api/search", data={"q": "red"}, headers=headers).status_code == 200


def test_a_link_from_another_site_leads_to_the_pages_and_to_nothing_else(client):
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    assert client.get("/?q=red", headers=headers).status_code == 200
    assert client.get("/api/search?q=red", headers=headers).status_code == 403
    assert client.post("/login", headers=headers).status_code == 403
    assert client.get("/", headers={**headers, "sec-fetch-dest": "iframe"}).status_code == 403


def test_what_is_sent_twice_is_refused():
    headers = [(b"host", b"localhost"), (b"content-length", b"0"), (b"content-length", b"5")]
    assert drive(Guard(reads_all, limits=Limits()), headers=headers)[0]["status"] == 400


@pytest.mark.parametrize(
    ("host", "loopback_only", "with_token", "names", "status"),
    [
        ("evil.example", False, False, (), 421),
        ("192.168.1.5:8765", False, False, (), 200),
        ("[fe80::1]:8765", False, False, (), 200),
        ("photos.example", False, False, ("Photos.example",), 200),
        ("evil.example", False, False, ("photos.example",), 421),
        ("photos.example", True, False, ("photos.example",), 200),
        ("xn--bcher-kva.example:8765", True, False, ("Bücher.example",), 200),
        ("[fe80::1]:8765", True, False, ("fe80::1",), 200),
        ("192.168.1.5", True, False, (), 421),
        ("anything.example", False, True, (), 200),
        ("", False, True, (), 421),
        ("a b", False, True, (), 421),
        ("a/b", False, True, (), 421),
        ("a@b", False, True, (), 421),
    ],
)
def test_names_that_are_answered(host, loopback_only, with_token, names, status):
    guard = Guard(
        reads_all,
        limits=Limits(),
        doors=doors() if with_token else None,
        loopback_only=loopback_only,
        names=names,
    )
    assert drive(guard, headers=(), host=host.encode(), path="/health")[0]["status"] == status


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""]
)
def test_a_name_from_elsewhere_is_refused_on_loopback(client, host):
    refused = client.get("/health", headers={"host": host})
    assert refused.status_code == 421
    assert repr(host) in refused.json()["error"]
    assert refused.json()["hint"] == "use http://127.0.0.1:8765; serve --name NAME adds a name"


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


def test_hints_fit_the_end_point(serve):
    client = serve(token=TOKEN)
    large = client.post("/login", data={"token": "x" * 100_000})
    assert large.status_code == 413
    assert "send the token alone" in large.json()["hint"]
    for sent in (client.post("/login"), client.post("/login", json={"token": TOKEN})):
        assert sent.status_code == 422
        assert sent.json()["hint"].endswith("curl -F token=TOKEN does")
    for form in ({"password": TOKEN}, {"token": TOKEN, "next": "/docs"}):
        sent = client.post("/login", data=form)
        assert sent.status_code == 422
        assert "the field token is wanted" in sent.json()["error"]
        assert TOKEN not in sent.text
    headers = {"authorization": f"Bearer {TOKEN}"}
    for path, part in (("/api/search", "smaller image"), ("/knn-service", "smaller image")):
        assert (
            part in client.post(path, content=bytes(2**24 + 2**20), headers=headers).json()["hint"]
        )
    assert "image=@photo.jpg" in client.post("/api/search", headers=headers).json()["hint"]
    assert client.request("GET", "/health", content=bytes(2**20)).json()["hint"] == (
        "send no body there"
    )


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


def drive(app, *, body=(), headers=(), path="/x", host=b"localhost"):
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
        "headers": [(b"host", host), *(pair for pair in headers if pair[0] != b"host")],
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
    assert sent[0]["status"] == 413
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert not sent[-1].get("more_body")
    assert (b"connection", b"close") in sent[0]["headers"]
    # What is sent on is thrown away for a while, so that the client hears why.
    assert sum(seen) <= 70 * 2**20
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
    from polyglance.serve.sessions import same

    for one, other in itertools.product(("", "a", "é", "\udc80"), repeat=2):
        assert same(one, other) == (one == other) or "\udc80" in (one, other)
