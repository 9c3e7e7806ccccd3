"""Names, settings and options are looked at before anything is loaded, computed or written.

Each command names a model, pack, index or file that is not there: the error is of the wrong name.
"""

import pytest

from polyglance.sources import pictograms

TRAIN = ("train", "ridge", "--model", "nowhere", "--text", "nowhere.txt")
COMPARE = ("compare", "--model", "nowhere", "--task", "xtd10")
DIFFERENCE = ("difference", "nowhere", "other", "--task", "xtd10")
ANALYSE = ("analyse", "nowhere", "--model", "nowhere", "--task", "xtd10")
LANGUAGES = ("de", "fr", "hi", "ja", "ru", "es", "ta", "ko")
MANY = [part for language in LANGUAGES for part in ("-l", language)]
UNKNOWN = [
    ("train", "nope", "--model", "nowhere"),
    (*TRAIN, "--set", "nope=1"),
    (*TRAIN, "--set", "seed=nope"),
    (*TRAIN, "--leakage", "nope"),
    (*TRAIN, "--task", "nope"),
    (*TRAIN, "--languages", "de,nope"),
    ("compare", "--recipes", "nope"),
    ("compare", "--recipes", "ridge,nope"),
    ("compare", "--set", "nope.seed=1"),
    ("compare", "--set", "ridge.nope=1"),
    ("compare", "--set", "ridge.seed=nope"),
    ("compare", "--language", "nope"),
    ("compare", "--leakage", "nope"),
    ("compare", "--task", "nope"),
    (*COMPARE, "--recipes", "nope"),
    (*COMPARE, "--set", "ridge.nope=1"),
    (*COMPARE, "--leakage", "nope"),
    ("compare", "--model", "nowhere", "--task", "nope"),
    ("eval", "nowhere", "--task", "xtd10", "--task", "nope"),
    ("eval", "nowhere", "--task", "xtd10", "--language", "nope"),
    ("eval", "nowhere", "--task", "xtd10", "--prompts", "nope"),
    (*ANALYSE, "--method", "nope"),
    (*ANALYSE, "--language", "nope"),
    ("analyse", "nowhere", "--model", "nowhere", "--task", "nope"),
    (*DIFFERENCE, "--correction", "nope"),
    (*DIFFERENCE, "--prompts", "nope"),
    (*DIFFERENCE, "--language", "nope"),
    ("difference", "nowhere", "other", "--task", "nope"),
    ("export", "nowhere", "--to", "nope"),
    ("export", "nowhere", "--to", "hub-folder", "--language", "nope"),
    ("convert", "nowhere", "--to", "nope"),
    ("embed", "text", "nowhere", "--tower", "nowhere", "--language", "nope"),
    ("import-m2m", "nowhere", "--model", "x", "--tower", "nowhere", "--languages", "nope"),
    ("search", "cat", "--index", "nowhere", "--language", "nope"),
]
# What is wrong with them otherwise, and what the error says of it.
ODD = [
    ((*TRAIN, "--dev-share", "0.9"), "a dev share of 0.9"),
    (("compare", "--seeds", "0"), "no seed"),
    (("compare", "--recipes", "ridge", "--set", "m2m.seed=1"), "m2m is not compared"),
    ((*DIFFERENCE, "--k", "7"), "k is 7; it is one of 1, 5, 10"),
    ((*ANALYSE, *MANY), "8 languages; 7 at most"),
    (("export", "nowhere", "--to", "hub-folder", "--results", "r.jsonl"), "without --model"),
    (("search", "cat", "--index", "nowhere", "--top", "0"), "top 0"),
    (("index", "nowhere", "--model", "nowhere", "--drop"), "none was given"),
]
NO_OUTPUT = ("search", "difference")


def refused(run, command, tmp_path):
    """What a command says that is refused; nothing is written."""
    out = tmp_path / "out"
    argv = command if command[0] in NO_OUTPUT else (*command, "--out", out)
    code, said, err = run(*argv)
    assert (code, said) == (2, "")
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "cache"])
    assert len(err.splitlines()) == 2
    return err.splitlines()[0]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", UNKNOWN, ids=" ".join)
def test_an_unknown_name_is_told_first(run, command, tmp_path):
    said = refused(run, command, tmp_path)
    assert "nope" in said
    assert "nowhere" not in said


@pytest.mark.parametrize(("command", "said"), ODD)
def test_an_odd_option_is_told_first(run, command, said, tmp_path):
    assert said in refused(run, command, tmp_path)


def test_a_pack_that_is_not_there_costs_no_indexing(run, picture_folder, model_folder, tmp_path):
    argv = ("index", picture_folder, "--model", model_folder, "--pack", tmp_path / "nope")
    code, out, err = run(*argv, "--out", tmp_path / "i")
    assert (code, out, "nope" in err) == (2, "", True)
    assert not (tmp_path / "i").exists()


def test_a_language_that_the_pictograms_lack_is_told_first(run, tmp_path, monkeypatch):
    world = pictograms.World(
        root=tmp_path / "world",
        concepts=(pictograms.Concept(id="a.png", family="a", held_out=False),),
        names={"eng_Latn": {"a.png": "a"}, "deu_Latn": {"a.png": "ein a"}},
        keywords={},
    )
    monkeypatch.setattr(pictograms, "load_world", lambda: world)
    said = refused(run, ("compare", "--language", "ace"), tmp_path)
    assert "the pictograms have no names in ace_Latn; they have them in deu_Latn, eng_Latn" in said
