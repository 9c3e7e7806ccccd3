"""Folders of the cache are made once, whole or not at all, and again where they are damaged."""

import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from polyglance.storage import made_once


def made(place):
    return made_once.Made(place=place, kind="toy", schema_version=1, what="a toy")


def fill_with(calls, text="content"):
    def fill(folder):
        calls.append(folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "file.txt").write_text(text)
        return {"size": len(text)}

    return fill


def test_it_is_made_once_and_read_afterwards(tmp_path):
    calls = []
    for _ in range(3):
        assert made_once.folder(made(tmp_path / "a"), fill_with(calls)) == {"size": 7}
    assert len(calls) == 1
    assert (tmp_path / "a" / "sub" / "file.txt").read_text() == "content"


@pytest.mark.parametrize("damage", ["cut", "gone", "no manifest", "another manifest"])
def test_a_damaged_one_is_made_again(tmp_path, damage):
    calls, place = [], tmp_path / "a"
    made_once.folder(made(place), fill_with(calls))
    if damage == "cut":
        (place / "sub" / "file.txt").write_text("cont")
    elif damage == "gone":
        (place / "sub" / "file.txt").unlink()
    elif damage == "no manifest":
        (place / made_once.MANIFEST).unlink()
    else:
        (place / made_once.MANIFEST).write_text('{"kind": "toy", "schema_version": 9}')
    assert made_once.folder(made(place), fill_with(calls)) == {"size": 7}
    assert len(calls) == 2
    assert (place / "sub" / "file.txt").read_text() == "content"


def test_a_copy_with_other_times_is_whole(tmp_path):
    calls, place = [], tmp_path / "a"
    made_once.folder(made(place), fill_with(calls))
    os.utime(place / "sub" / "file.txt", (1, 1))
    made_once.folder(made(place), fill_with(calls))
    assert len(calls) == 1


def test_what_fails_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        made_once.folder(made(tmp_path / "a"), fill)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


TWO = """
import pathlib, sys, time
from polyglance.storage import made_once
place = pathlib.Path(sys.argv[1])
def fill(folder):
    with (place.parent / "calls").open("a") as file:
        file.write("called ")
    time.sleep(0.5)
    (folder / "file").write_text("x")
    return {}
made_once.folder(made_once.Made(place=place, kind="toy", schema_version=1, what="a toy"), fill)
"""


def test_two_processes_at_once_make_it_once(tmp_path):
    runs = [subprocess.Popen([sys.executable, "-c", TWO, str(tmp_path / "a")]) for _ in range(2)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    assert (tmp_path / "calls").read_text() == "called "


KILLED = """
import os, pathlib, signal, sys
from polyglance.storage import made_once
def fill(folder):
    (folder / "half").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
place = pathlib.Path(sys.argv[1])
made_once.folder(made_once.Made(place=place, kind="toy", schema_version=1, what="a toy"), fill)
"""


def test_what_a_killed_process_left_goes_at_once(tmp_path):
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], check=False)
        assert run.returncode < 0
    assert len([path for path in tmp_path.iterdir() if ".making-" in path.name]) == 1
    made_once.folder(made(tmp_path / "a"), fill_with([]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.lock"]


def test_leftovers_go_before_the_room_is_measured(tmp_path, monkeypatch):
    left = tmp_path / ".a.making-00000001"
    left.mkdir()
    (left / "big").write_bytes(b"1")
    monkeypatch.setattr(
        made_once.shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if left.exists() else 99)
    )
    wanted = replace(made(tmp_path / "a"), num_bytes=50)
    assert made_once.folder(wanted, fill_with([])) == {"size": 7}


@pytest.mark.parametrize(
    "write",
    [
        "tensor_files.write(folder / 'w', {'a': np.zeros(10**6)})",
        "unigram_tokenizers.write(folder / 'tokenizer.json', pieces=pieces, specials=ids,"
        " charsmap=unigram_tokenizers.charsmap_of({65: 'a'}))",
    ],
)
def test_a_file_that_may_not_grow_is_said_with_its_place(tmp_path, write):
    code = f"""
import pathlib, resource, sys
import numpy as np
from polyglance import errors
from polyglance.storage import made_once, tensor_files
from polyglance.towers.libraries.packaged import unigram_tokenizers
pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"piece{{i}}", -1) for i in range(9999))]
ids = {{"unk": 0, "bos": 1, "eos": 2}}
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
def fill(folder):
    {write}
    return {{}}
made = made_once.Made(
    place=pathlib.Path(sys.argv[1]), kind="toy", schema_version=1, what="a toy is made"
)
try:
    made_once.folder(made, fill)
except errors.DiskFullError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [f"a toy is made, in {tmp_path / 'a'}: File too large"]
    assert run.stdout.splitlines()[:1] == said, run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.lock"]
