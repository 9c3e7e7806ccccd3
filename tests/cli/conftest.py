"""The real entry point, and what most commands need on disk."""

import sys

import pytest

import small_world
from polyglance import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the real entry point: argv in, (exit code, stdout, stderr) out."""

    def runner(*argv):
        monkeypatch.setattr(sys, "argv", ["polyglance", *map(str, argv)])
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
