"""Every verb asks before it writes: all of them are walked, so that a new one cannot forget to."""

import json
import os
import shutil
from typing import get_type_hints

import pytest
import typer

from polyglance import cli

# What verbs read. Any other path that a verb takes is one that it writes, and has to be claimed.
READ = {
    *(
        "bank",
        "captions",
        "checkpoint",
        "data",
        "dev_parallel",
        "file",
        "files",
        "folder",
        "image",
        "images",
    ),
    *("parallel", "paths", "photos", "resources", "results", "source", "task_images"),
    *("text", "translations"),
}
# What a verb needs before it looks at its output; whatever else is required is given as "x".
NEEDED = {"eval": ["x", "--task", "xtd10"], "convert": ["x", "--to", "mteb"]}
FORMS = ("polyglance", "clip-benchmark", "clip-benchmark-csv", "mteb")


def verbs(command=None, path=()):
    """Every verb with its words, those of groups as well."""
    command = command or typer.main.get_command(cli.app)
    for name, each in getattr(command, "commands", {}).items():
        if hasattr(each, "commands"):
            yield from verbs(each, (*path, name))
        else:
            yield (*path, name), each


def outputs_of_verbs():
    """The words of each verb, and an option of it that names what is written."""
    found = []
    for words, verb in verbs():
        kinds = get_type_hints(verb.callback)
        for parameter in verb.params:
            is_path = "Path" in str(kinds.get(parameter.name))
            if parameter.name in ("out", "run") or (is_path and parameter.name not in READ):
                name = f"{' '.join(words)} {parameter.opts[0]}"
                found.append(pytest.param(words, verb, parameter, id=name))
    return found


def argv(words, verb, parameter, place):
    if words[-1] in NEEDED:
        given = NEEDED[words[-1]]
    else:
        given = []
        for other in verb.params:
            if other.required and other is not parameter:
                given += [*other.opts[:1], "x"] if other.opts[0].startswith("-") else ["x"]
    return (*words, *given, parameter.opts[0], place)


def tree(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } | dict.fromkeys(path for path in folder.rglob("*") if not path.is_file())


@pytest.fixture
def precious(tmp_path):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "wedding.jpg").write_bytes(b"photo")
    (folder / "captions.tsv").write_text("image\tcaption\nwedding.jpg\tus\n")
    return folder


def test_the_walk_finds_what_verbs_write():
    found = {param.id for param in outputs_of_verbs()}
    assert found >= {"train --out", "train --run", "embed text --out", "report --csv"}
    assert len({id.split(" --")[0] for id in found}) >= 11


@pytest.mark.parametrize(("words", "verb", "parameter"), outputs_of_verbs())
def test_a_verb_refuses_what_is_not_its_own_before_it_begins(
    run, words, verb, parameter, precious, tmp_path
):
    (tmp_path / "link").symlink_to(precious)
    before = tree(tmp_path)
    for place in ("precious", "precious/captions.tsv", "link", "precious/captions.tsv/deep"):
        code, out, err = run(*argv(words, verb, parameter, tmp_path / place))
        assert (code, out) == (2, ""), err
        assert place in err.splitlines()[0], err  # the place, not the model that is not there
        assert len(err.splitlines()) == 2
        assert tree(tmp_path) == before


@pytest.mark.parametrize("form", FORMS)
def test_convert_never_writes_over_what_it_reads(run, form, precious, tmp_path):
    for place in (precious / "captions.tsv", precious):
        code, _, err = run("convert", place, "--to", form, "-o", place, "--force")
        assert code == 2
        assert str(place) in err


def test_a_pack_is_replaced_when_asked_and_stays_until_then(
    run, model_folder, english, pack_folder, monkeypatch
):
    argv = ("train", "ridge", "--model", model_folder, "--tower", "fake:multilingual")
    argv += ("--text", english, "--out", pack_folder)
    before = (pack_folder / "pack.json").read_bytes()
    code, _, err = run(*argv)
    assert code == 2
    assert "--force replaces it" in err
    assert run(*argv, "--force", "--set", "seed=4")[0] == 0
    assert json.loads((pack_folder / "pack.json").read_text())["config"]["seed"] == 4
    before = (pack_folder / "pack.json").read_bytes()

    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("polyglance.recipes.run.train", stopped)
    assert run(*argv, "--force")[0] == 130
    assert (pack_folder / "pack.json").read_bytes() == before


def test_what_else_the_command_names_is_kept_apart(
    run, model_folder, english, pack_folder, tmp_path
):
    argv = ("train", "ridge", "--model", model_folder, "--tower", "fake:multilingual")
    argv += ("--text", english)
    kept = tree(model_folder)
    for more, said in (
        (("--out", model_folder, "--force"), "is given as"),
        (("--out", model_folder / "pack"), "is inside of"),
        (("--out", tmp_path / "new", "--run", tmp_path / "new"), "is given as"),
        (("--out", tmp_path / "new", "--run", tmp_path / "new" / "run"), "holds"),
    ):
        code, _, err = run(*argv, *more)
        assert (code, said in err) == (2, True), err
    code, _, err = run("export", pack_folder, "--to", "hub-folder", "-o", pack_folder / "hub")
    assert (code, "is inside of" in err) == (2, True)
    code, _, err = run("report", "r.jsonl", "-o", tmp_path / "r", "--csv", tmp_path / "r")
    assert (code, "is given as" in err) == (2, True)
    assert tree(model_folder) == kept
    assert not (tmp_path / "new").exists()


def test_verbs_that_fill_the_cache_try_it_first(run, tmp_path, monkeypatch, model_folder):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "file"))
    out = tmp_path / "out"
    for words in (
        ("train", "ridge", "--model", "x", "--out", out),
        ("compare", "--out", out),
        ("eval", "x", "--task", "xtd10"),
        ("analyse", "x", "--model", "x", "--task", "xtd10", "--out", out),
        ("difference", "x", "y", "--task", "xtd10"),
        ("demo", "--out", out),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert err.startswith(f"error: the cache {tmp_path / 'file'} is no folder")
        assert "POLYGLANCE_CACHE" in err
    assert not out.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(run, tmp_path):  # pragma: no cover
    (tmp_path / "full").mkdir(mode=0o500)
    code, _, err = run("report", "r.jsonl", "-o", tmp_path / "full" / "r.html")
    assert (code, "Permission denied" in err) == (2, True)


def test_a_pack_whose_weights_are_not_there(run, index_folder, pack_folder, tmp_path):
    argv = ("search", "x", "-l", "de", "--index", index_folder, "--pack", tmp_path / "copy")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for content, said in ((None, "No such file"), (pointer, "Git LFS"), ("", "not the file")):
        shutil.copytree(pack_folder, tmp_path / "copy")
        weights = tmp_path / "copy" / "head.safetensors"
        weights.unlink() if content is None else weights.write_text(content)
        code, _, err = run(*argv)
        assert (code, len(err.splitlines()), said in err) == (2, 2, True), err
        shutil.rmtree(tmp_path / "copy")


def test_all_that_is_written_can_be_read_by_those_whom_the_umask_lets(
    run, teacher, picture_folder, english, tmp_path
):
    before = os.umask(0o022)
    try:
        teacher.save(tmp_path / "made" / "model")
        model = ("--model", tmp_path / "made" / "model")
        assert run("index", picture_folder, *model, "--out", tmp_path / "made" / "i")[0] == 0
        argv = ("train", "m2m", *model, "--tower", "fake:multilingual", "--text", english)
        argv += ("--run", tmp_path / "made" / "run", "--set", "num_epochs=1")
        assert run(*argv, "--out", tmp_path / "made" / "pack")[0] == 0
        argv = ("export", tmp_path / "made" / "pack", "--to", "hub-folder")
        assert run(*argv, "--out", tmp_path / "made" / "hub")[0] == 0
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "made").rglob("*")}
    assert len(modes) > 20
    wrong = {
        str(path): oct(mode)
        for path, mode in modes.items()
        if mode != (0o755 if path.is_dir() else 0o644)
    }
    assert wrong == {}
