"""What the user types and reads: exit codes, JSON, two-line errors."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

import small_world
from polyglance import cli, errors
from polyglance.recipes import RECIPES


def test_search_prints_ranked_ids_with_scores(run, index_folder, pack_folder):
    query = small_world.translate("big red circle", "arb_Arab")
    argv = ("search", query, "--index", index_folder, "--pack", pack_folder)
    code, out, _ = run(*argv, "--language", "ar", "--json", "--top", 5)
    answer = json.loads(out)
    assert code == 0
    assert answer["answered_by"] == "pack"
    assert answer["language"] == "arb_Arab"
    assert "big-red-circle.png" in [hit["id"] for hit in answer["hits"]]
    assert len(answer["hits"]) == 5


def test_search_in_plain_text_says_who_answered(run, index_folder, pack_folder):
    code, out, err = run(
        "search", "big red circle", "--index", index_folder, "--pack", pack_folder, "-l", "English"
    )
    assert code == 0
    assert "big-red-circle.png" in out
    assert "answered by the teacher (eng_Latn)" in err


def test_language_from_the_environment(run, index_folder, pack_folder, monkeypatch):
    monkeypatch.setenv("POLYGLANCE_LANGUAGE", "de")
    query = small_world.translate("big red circle", "deu_Latn")
    _, out, _ = run("search", query, "--index", index_folder, "--pack", pack_folder, "--json")
    assert json.loads(out)["language"] == "deu_Latn"


def test_m2m_with_settings(run, model_folder, english, tmp_path):
    argv = ("train", "m2m", "--model", model_folder, "--tower", "fake:multilingual")
    code, _, _ = run(
        *argv,
        "--text",
        english,
        "--out",
        tmp_path / "p",
        "--set",
        "num_epochs=2",
        "--set",
        "seed=3",
    )
    assert code == 0
    config = json.loads((tmp_path / "p" / "pack.json").read_text())["config"]
    assert (config["num_epochs"], config["seed"]) == (2, 3)


def test_embed_text_and_images(run, english, picture_folder, tmp_path):
    code, out, _ = run("embed", "text", english, "--tower", "fake:teacher", "--out", tmp_path / "t")
    assert (code, out.split(",")[0]) == (0, "72 new")
    (picture_folder / "broken.png").write_bytes(b"x")
    code, out, err = run("embed", "images", picture_folder, "-t", "fake:p", "-o", tmp_path / "v")
    assert (code, out.split(",")[0]) == (0, "72 new")
    assert "1 could not be read" in err
    assert "broken.png" in err


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (("train", "rigde"), "unknown recipe 'rigde'", "ridge"),
        (("train", "ridge", "--set", "penalities=1"), "unknown field of RidgeConfig", "penalties"),
        (("train", "ridge", "--set", "seed=x"), "seed=x cannot be read as int", "value"),
        (("train", "m2m", "--set", "seed=-1"), "seed -1: a whole number from 0 to", "as 0"),
        (("train", "distill", "--set", f"seed={2**32}"), "seed 4294967296: a whole", "as 0"),
        (("train", "ridge", "--set", "seed"), "the form is name=value", "--set"),
        (("train", "m2m", "--set", "objective=l3"), "unknown value of objective", "l1"),
        (("train", "m2m", "--set", "residual=maybe"), "cannot be read as bool", "value"),
        (("train", "ridge"), "needs a multilingual text tower", "--tower"),
    ],
)
def test_what_the_user_got_wrong_is_said_in_two_lines(
    run, model_folder, english, tmp_path, argv, said, hint
):
    code, _, err = run(*argv, "--model", model_folder, "--text", english, "--out", tmp_path / "p")
    first, second = err.splitlines()
    assert code == 2
    assert said in first
    assert second.startswith("  -> ")
    assert hint in second


def test_a_language_that_does_not_exist(run, index_folder):
    code, _, err = run("search", "x", "--index", index_folder, "--language", "zz")
    assert code == 2
    assert "zz" in err


def test_empty_query(run, index_folder):
    code, _, err = run("search", "  ", "--index", index_folder)
    assert code == 2
    assert "empty query" in err


def test_absent_index(run, tmp_path):
    code, _, err = run("search", "x", "--index", tmp_path / "none")
    assert code == 2
    assert "Traceback" not in err


def test_eval_lists_tasks(run):
    code, out, _ = run("eval", "--list")
    assert code == 0
    for name in ("pictograms", "flickr8k", "xtd10", "xtd200", "xm3600"):
        assert name in out


def test_eval_without_a_task(run):
    code, _, err = run("eval", "x")
    assert code == 2
    assert "needs a model and a task" in err


def test_eval_measures_a_task_of_files(run, model_folder, picture_folder, pack_folder, tmp_path):
    data = tmp_path / "xtd10"
    data.mkdir()
    names = [f"{p.replace(' ', '-')}.png" for p in small_world.PHRASES]
    (data / "test_image_names.txt").write_text("\n".join(names))
    for code, language in (("en", "eng_Latn"), ("de", "deu_Latn")):
        lines = [small_world.translate(p, language) for p in small_world.PHRASES]
        (data / f"test_1kcaptions_{code}.txt").write_text("\r\n".join(lines), encoding="utf-8")
    argv = ("eval", model_folder, "--task", "xtd10", "--data", data, "--images", picture_folder)
    code, out, _ = run(*argv, "--pack", pack_folder, "--out", tmp_path / "r.jsonl")
    assert code == 0
    assert "deu_Latn" in out
    code, out, _ = run(*argv, "--json", "-l", "de")
    rows = json.loads(out)
    assert {row["language"] for row in rows} == {"deu_Latn"}
    assert rows[0]["caption_policy"] == "first"


def test_help_names_every_recipe():
    said = CliRunner().invoke(cli.app, ["train", "--help"]).output
    for name in RECIPES:
        assert name in said


@pytest.mark.parametrize("argv", [["-m", "polyglance", "--help"]])
def test_help_is_quick_and_imports_no_torch(argv):
    """Under 0.3 s on an idle machine; here against a bare interpreter, so that load cancels out."""
    code = (
        "import sys; sys.argv = ['polyglance', '--help']\n"
        "from polyglance.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'lance', 'transformers', 'pandas', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    started = time.perf_counter()
    subprocess.run([sys.executable, *argv], capture_output=True, check=True)
    assert time.perf_counter() - started < 3


def test_version(run):
    from polyglance import __version__

    assert run("--version") == (0, f"polyglance {__version__}\n", "")


def test_every_error_has_a_message_and_a_hint():
    for kind in errors.PolyglanceError.__subclasses__():
        error = kind("what was given", hint="what to do")
        assert str(error) == "what was given\n  -> what to do"


def test_import_m2m(run, model_folder, tmp_path):
    import torch

    tensors = {"mlps.0.weight": torch.randn(24, 40), "mlps.0.bias": torch.randn(24)}
    torch.save(tensors, tmp_path / "checkpoint.pth")
    argv = ("import-m2m", tmp_path / "checkpoint.pth", "--model", model_folder)
    code, out, _ = run(*argv, "--tower", "fake:multilingual", "--out", tmp_path / "pack")
    assert code == 0
    assert "984 parameters" in out


def test_a_folder_without_the_task_is_said(run, tmp_path):
    (tmp_path / "data").mkdir()
    code, out, err = run("eval", "fake:teacher", "--task", "xtd10", "--data", tmp_path / "data")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
