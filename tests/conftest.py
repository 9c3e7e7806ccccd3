"""Fixtures that several test files share; see small_world."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from types import MappingProxyType

import pytest

import small_world
from polyglance import cli, towers
from polyglance.model import shipped
from polyglance.model.manifest import LanguageScore
from polyglance.model.side import Side
from polyglance.recipes import ridge


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POLYGLANCE_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Syncing guards against power cuts, which no test makes, and takes a minute of the suite."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True, scope="session")
def fake_towers():
    """The towers of the small world, under the library `fake`."""
    table = {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(towers, "TOWERS", MappingProxyType(table))
        yield


@pytest.fixture(scope="session")
def teacher():
    """The English-only model of the small world."""
    return small_world.fit_teacher()


@pytest.fixture(scope="session")
def drawn():
    """Files of one picture a phrase, drawn by the artist that training never saw, by name."""
    found = {}
    for phrase in small_world.PHRASES:
        file = io.BytesIO()
        small_world.draw(phrase, seed=99).save(file, "PNG")
        found[f"{phrase.replace(' ', '-')}.png"] = file.getvalue()
    return found


@pytest.fixture
def picture_folder(tmp_path, drawn):
    """A folder with one picture a phrase."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, data in drawn.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def model_folder(teacher, tmp_path):
    """The English-only model, saved."""
    teacher.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def shipped_world(teacher, tmp_path, monkeypatch):
    """The English-only model and a ridge pack, as if the package brought them: `small`."""
    weights = tmp_path / "weights"
    teacher.save(weights / "small")
    side = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    pack = ridge.train(small_world.PHRASES, teacher=teacher, tower=side, config=ridge.RidgeConfig())
    listed = dict.fromkeys(small_world.LANGUAGES, LanguageScore(speaks="pack"))
    pack = replace(pack, manifest=replace(pack.manifest, languages=listed))
    pack.save(weights / "packs" / "small-ridge")
    row = shipped.ShippedPack(model="small", what="invented languages", is_default=True)
    monkeypatch.setattr(shipped, "SHIPPED", {"small": "English, of the small world"})
    monkeypatch.setattr(shipped, "PACKS", {"small-ridge": row})
    monkeypatch.setattr(shipped, "DEFAULT", "small")
    monkeypatch.setattr(shipped, "_weights", lambda name: weights / name)
    return weights


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the real entry point: argv in, (exit code, stdout, stderr) out."""

    def runner(*argv):
        monkeypatch.setattr(sys, "argv", ["polyglance", *map(str, argv)])
        monkeypatch.setattr(cli, "leave_at_once", sys.exit)  # not the tests' own process
        try:
            cli.main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        found = capsys.readouterr()
        return code, found.out, found.err

    return runner


@pytest.fixture
def english(tmp_path):
    path = tmp_path / "english.txt"
    path.write_text("\n".join(small_world.PHRASES), encoding="utf-8")
    return path


@pytest.fixture
def pack_folder(run, model_folder, english, tmp_path):
    argv = ("train", "ridge", "--model", model_folder, "--tower", "fake:multilingual")
    code, out, err = run(*argv, "--text", english, "--out", tmp_path / "pack")
    assert (code, err) == (0, "")
    assert "ridge: 984 parameters" in out
    return tmp_path / "pack"


@pytest.fixture
def index_folder(run, model_folder, picture_folder, tmp_path):
    code, out, _ = run("index", picture_folder, "--model", model_folder, "--out", tmp_path / "i")
    assert code == 0
    assert "72 new, 0 known" in out
    return tmp_path / "i"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip(
            "no disk can be mounted here; tests/storage/test_store.py plays a full one instead"
        )
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
