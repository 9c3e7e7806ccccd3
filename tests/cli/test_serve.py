"""`polyglance serve` listens, warns, and stops gracefully."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from polyglance.cli import serve

pytest.importorskip("fastapi", reason="pip install 'polyglance[serve]'")


@pytest.mark.parametrize(
    ("host", "token", "said"),
    [
        ("127.0.0.1", None, []),
        ("127.0.0.1", "x" * 20, []),
        ("127.0.0.1", "short", ["can be guessed"]),
        ("0.0.0.0", None, ["everyone who reaches 0.0.0.0"]),
        ("0.0.0.0", "x" * 20, ["unencrypted"]),
    ],
)
def test_what_is_not_safe_is_said(capsys, host, token, said):
    serve.warn(host, token)
    warned = capsys.readouterr().err
    assert [part in warned for part in said] == [True] * len(said)
    assert bool(warned) == bool(said)


def test_an_index_that_is_not_there(run, tmp_path):
    code, _, err = run("serve", "--index", tmp_path / "nothing")
    assert code == 2
    assert "nothing" in err


def test_a_port_that_is_taken_is_told_with_a_next_step(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--index", tmp_path, "--port", port)
    assert code == 2
    assert f"{port} of 127.0.0.1 is taken" in err
    assert "--port 0" in err
    code, _, err = run("serve", "--index", tmp_path, "--host", "no such host")
    assert code == 2
    assert "--host" in err


@pytest.mark.parametrize("token", ["", " ", "\n"])
def test_an_empty_token_lets_nobody_serve(run, tmp_path, monkeypatch, token):
    assert "empty token" in run("serve", "--index", tmp_path, "--token", token)[2]
    monkeypatch.setenv("POLYGLANCE_TOKEN", token)
    code, _, err = run("serve", "--index", tmp_path)
    assert code == 2
    assert "POLYGLANCE_TOKEN" in err


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("http://x.example/", "--name x.example"),
        ("https://x.example:8765/a/b", "--name x.example"),
        ("x.example:8765", "--name x.example"),
        ("http://[fe80::1]:8765", "--name [fe80::1]"),
        ("x y", "--name photos.example"),
        ("", "--name photos.example"),
        ("*.example", "--name photos.example"),
        ("a..example", "--name photos.example"),
        ("-x.example", "--name photos.example"),
        ("x" * 64 + ".example", "--name photos.example"),
    ],
)
def test_a_name_that_is_no_host_name_is_refused_at_start(run, tmp_path, name, hint):
    code, _, err = run("serve", "--index", tmp_path, f"--name={name}")
    assert code == 2
    assert "is no host name; allowed is" in err
    assert err.splitlines()[-1].endswith(hint)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Photos.Example", "photos.example"),
        ("photos.example.", "photos.example"),
        ("localhost", "localhost"),
        ("my_host", "my_host"),
        ("192.168.1.5", "192.168.1.5"),
        ("fe80::1", "[fe80::1]"),
        ("[fe80::1]", "[fe80::1]"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_names_are_taken_as_a_host_header_has_them(given, name):
    from polyglance.serve.host_names import usable_name

    assert usable_name(given) == name


def test_as_many_connections_as_there_may_be_files(monkeypatch):
    resource = pytest.importorskip("resource")
    from polyglance.serve import sockets
    from polyglance.serve.limits import Limits

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 512))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: None)
    assert sockets.room_for(Limits()).connections == 256
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 2**20))
    assert sockets.room_for(Limits()) == Limits()


def test_a_server_answers_and_stops_when_told(run, picture_folder, tmp_path):
    index = tmp_path / "index"
    argv = ("index", picture_folder, "--model", "tiny:pictograms-image", "--out", index)
    assert run(*argv)[0] == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "polyglance", "serve", "--index", str(index), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "POLYGLANCE_TOKEN": "a long and secret token"},
    )
    try:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{address}/api/languages", timeout=60)
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert "Traceback" not in err
