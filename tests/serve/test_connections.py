"""Connections that send or read without end, or do nothing, shut nobody out."""
# ruff: noqa: E402 (the extra is asked for first)

import contextlib
import json
import socket
import threading
import time

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="pip install 'polyglance[serve]'")

from polyglance.serve.connections import Connections, network_of
from polyglance.serve.limits import Limits
from polyglance.serve.security import Guard

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BIG = b"x" * 2**23


async def small_app(scope, receive, send):
    """Tells what arrived: path, number of headers, length of the body."""
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            await send({"type": (await receive())["type"] + ".complete"})
        return
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body")
    told = json.dumps([scope["path"], len(scope["headers"]), length]).encode()
    body = BIG if scope["path"] == "/big" else told
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def listen():
    """Start the small application with these limits; gives what opens a connection to it."""
    with contextlib.ExitStack() as stack:

        def start(**limits):
            limits = Limits(**{"head_seconds": 0.8, **limits})
            house = Connections(limits)
            config = uvicorn.Config(
                Guard(small_app, limits=limits),
                http=house.protocol,
                ws="none",
                lifespan="on",
                log_level="warning",
                proxy_headers=False,
                timeout_graceful_shutdown=5,
            )
            server = uvicorn.Server(config)
            at = socket.create_server(("127.0.0.1", 0))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
            thread.start()
            while not server.started:
                time.sleep(0.01)

            def stop():
                server.should_exit = True
                thread.join(20)
                assert not thread.is_alive()

            stack.callback(stop)

            def connect(sent=b""):
                found = stack.enter_context(socket.create_connection(at.getsockname(), 10))
                found.sendall(sent)
                return found

            connect.server = server
            return connect

        yield start


def answer(connection):
    """Status and body of one answer; status 0 where the connection was closed without one."""
    read = b""
    try:
        while b"\r\n\r\n" not in read:
            part = connection.recv(65536)
            if not part:
                return 0, b""
            read += part
        head, _, body = read.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            part = connection.recv(2**20)
            if not part:
                return 0, b""
            body += part
    except ConnectionError:
        return 0, b""
    return int(head.split()[1]), body


def test_a_connection_is_kept_and_requests_sent_ahead_are_answered_in_order(listen):
    connect = listen()
    paths = [b"/%d" % n for n in range(40)]
    connection = connect(b"".join(GET.replace(b"/ ", path + b" ") for path in paths))
    read = b""
    while read.count(b"HTTP/1.1 200") < 40 or not read.endswith(b"]"):
        read += connection.recv(65536)
    assert [read.index(b'"%s"' % path) for path in paths] == sorted(
        read.index(b'"%s"' % path) for path in paths
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 120_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 120_000,
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"x" * 400_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"Host: localhost\r\n" * 9_000,
    ],
    ids=["cookie", "cookie without end", "address", "address without end", "many", "many open"],
)
def test_a_head_that_is_too_large_is_refused(listen, head):
    connect = listen()
    connection = connect()
    with contextlib.suppress(ConnectionError):
        connection.sendall(head)
    assert answer(connection)[0] in (431, 0)
    assert answer(connect(GET))[0] == 200


def test_a_head_of_many_headers_within_the_bounds_is_read(listen):
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: " + b"b" * 30_000 + b"\r\n\r\n"
    assert answer(listen()(head)) == (200, b'["/", 2, 0]')


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: local", b"\r\n", GET[:-2]],
    ids=["nothing", "line", "header", "empty line", "no end"],
)
def test_a_head_has_so_much_time(listen, sent):
    connect = listen()
    connection = connect(sent)
    assert answer(connection)[0] in (0, 408)


def test_a_head_that_drips_has_no_more_time(listen):
    connection = listen()(b"GET / HTTP/1.1\r\n")
    started = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT012 (the last byte cannot be sent)
        while time.monotonic() - started < 8:
            connection.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() - started < 6


def test_a_body_that_drips_has_its_time(listen):
    connect = listen(body_seconds=0.3)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
    assert answer(connect(head))[0] == 408
    assert answer(connect(head.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")))[
        0
    ] in (400, 408)


def test_idle_and_half_sent_connections_shut_nobody_out(listen):
    connect = listen(connections=40, connections_per_address=40, head_seconds=60.0)
    half = [b"", b"GET /", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", GET]
    for _ in range(10):
        for sent in half:
            connect(sent)
    time.sleep(1.2)  # what has just begun is left alone
    for _ in range(60):
        assert answer(connect(GET))[0] == 200
        time.sleep(0.005)


def test_one_that_is_used_is_not_closed_for_others(listen):
    connect = listen(connections=20, connections_per_address=20, head_seconds=60.0)
    used = connect(GET)
    assert answer(used)[0] == 200
    for _ in range(4):
        for _ in range(10):
            connect(b"GET /")
        time.sleep(0.4)
        used.sendall(GET)
        assert answer(used)[0] == 200


def test_answers_that_nobody_reads_are_bounded(listen):
    connect = listen(unsent_bytes=2**25, unsent_seconds=0.5, unsent_rate=2**30)
    for _ in range(12):
        connect(GET.replace(b"/ ", b"/big "))
    assert answer(connect(GET))[0] == 200
    assert answer(connect(GET.replace(b"/ ", b"/big "))) == (200, BIG)
    house = next(iter(connect.server.server_state.connections)).house
    deadline = time.monotonic() + 10
    while sum(each.unsent for each in house._open) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sum(each.unsent for each in house._open) == 0


def test_a_body_that_is_too_large_is_told_so(listen):
    connect = listen(body_bytes=2**20)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % 2**24
    connection = connect(head)
    connection.sendall(bytes(2**24))
    assert answer(connection)[0] == 413


def test_trailers_and_the_form_of_chunks_are_bounded(listen):
    connect = listen()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answer(connect(head + b"3\r\nabc\r\n0\r\nCookie: a\r\n\r\n")) == (200, b'["/", 2, 3]')
    for endless in (b"1;" + b"x" * 2**21, b"1\r\na\r\n0\r\nx: " + b"y" * 2**21):
        connection = connect(head)
        with contextlib.suppress(ConnectionError):
            connection.sendall(endless)
        assert answer(connection)[0] in (0, 400)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=range(20),
)
def test_odd_requests_are_answered_or_refused_and_nobody_notices(listen, sent, caplog, capsys):
    connect = listen()
    assert answer(connect(sent))[0] in (0, 200, 400, 408, 413, 421, 501)
    assert answer(connect(GET))[0] == 200
    assert not [record for record in caplog.records if record.exc_info]
    assert capsys.readouterr().err == ""


def test_expecting_to_be_told_to_go_on(listen):
    connection = listen()(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    connection.sendall(b"abc")
    assert answer(connection) == (200, b'["/", 3, 3]')


def test_stopping_waits_for_nobody_who_sends_or_reads_slowly(listen):
    connect = listen(head_seconds=60.0)
    connect(b"GET /")
    connect(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
    connect(GET.replace(b"/ ", b"/big "))
    connect()
    assert answer(connect(GET))[0] == 200
    started = time.monotonic()
    connect.server.should_exit = True
    while connect.server.server_state.connections and time.monotonic() - started < 10:
        time.sleep(0.05)
    assert time.monotonic() - started < 5


def test_households_of_the_new_addresses_are_one_client():
    assert network_of("2001:db8:1:2::3") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
