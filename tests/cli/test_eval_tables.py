"""`polyglance eval` over several tasks: what is chosen, printed on 80 columns, kept and refused."""

import json
import re

import pytest

from polyglance import tasks
from polyglance.cli import eval_tables
from polyglance.results.schema import Result

WORDS = {
    "eng_Latn": ["red dog", "blue cat", "green bird", "black horse"],
    "deu_Latn": ["roter Hund", "blaue Katze", "grüner Vogel", "schwarzes Pferd"],
    "fra_Latn": ["chien rouge", "chat bleu", "oiseau vert", "cheval noir"],
}


@pytest.fixture
def root(tmp_path):
    """A folder of publishers' folders: bitext in two languages, Tatoeba in one."""
    folder = tmp_path / "data"
    (folder / "bitext").mkdir(parents=True)
    for language, lines in WORDS.items():
        (folder / "bitext" / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "tatoeba").mkdir()
    for code, language in (("deu", "deu_Latn"), ("eng", "eng_Latn")):
        path = folder / "tatoeba" / f"tatoeba.deu-eng.{code}"
        path.write_text("\n".join(WORDS[language]), encoding="utf-8")
    return folder


def test_several_tasks_each_with_its_table(run, root, tmp_path):
    out = tmp_path / "r.jsonl"
    argv = ("eval", "fake:multilingual", "--task", "bitext", "--task", "tatoeba", "--data", root)
    code, printed, err = run(*argv, "--out", out)
    assert (code, err) == (0, "")
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert "bitext" in lines
    assert "tatoeba" in lines
    assert any(line.startswith("mean of 2 languages") for line in lines)
    assert len(out.read_text().splitlines()) == 6
    before = out.read_text()
    assert run(*argv, "--out", out) == (0, printed, "")
    assert out.read_text() == before


def test_the_folder_of_one_task_is_found_too(run, root):
    argv = ("eval", "fake:multilingual", "--task", "tatoeba", "--data", root / "tatoeba")
    code, printed, _ = run(*argv, "--json")
    assert code == 0
    assert {row["language"] for row in json.loads(printed)} == {"deu_Latn"}


def test_a_language_that_one_task_lacks_is_said_and_the_other_measured(run, root):
    argv = ("eval", "fake:multilingual", "--task", "bitext", "--task", "tatoeba", "--data", root)
    code, printed, err = run(*argv, "-l", "fr", "--json")
    assert code == 0
    assert "tatoeba: nothing in fra_Latn" in err
    assert {row["task"] for row in json.loads(printed)} == {"bitext"}


def test_a_language_that_all_tasks_lack(run, root):
    argv = ("eval", "fake:multilingual", "--task", "bitext", "--task", "tatoeba", "--data", root)
    code, _, err = run(*argv, "-l", "de", "-l", "hi")
    assert code == 2
    assert "bitext, tatoeba has nothing in hin_Deva" in err


def test_an_option_that_a_task_has_no_use_for_is_told(run, root, tmp_path):
    argv = ("eval", "fake:multilingual", "--task", "tatoeba", "--data", root, "--images", tmp_path)
    code, _, err = run(*argv, "--prompts", "labels", "--image-vectors", "precomputed:x?space=y")
    assert code == 0
    assert err.splitlines() == [
        f"tatoeba has texts alone: {option} changes nothing there"
        for option in ("--prompts", "--images", "--image-vectors")
    ]


def test_pictures_that_are_not_there(run, model_folder, root):
    (root / "xtd10").mkdir()
    (root / "xtd10" / "test_image_names.txt").write_text("a.jpg\nb.jpg\nc.jpg\nd.jpg")
    (root / "xtd10" / "test_1kcaptions_de.txt").write_text("\n".join(WORDS["deu_Latn"]))
    code, _, err = run("eval", model_folder, "--task", "xtd10", "--data", root)
    assert code == 2
    assert "xtd10 does not bring its 4 images" in err
    assert "--images" in err


def test_a_list_of_tasks_on_80_columns(run):
    code, written, _ = run("eval", "--list", "--json")
    assert code == 0
    assert [row["task"] for row in json.loads(written)] == list(tasks.TASKS)
    code, printed, _ = run("eval", "--list")
    assert code == 0
    assert max(map(len, printed.splitlines())) <= 80
    for name in tasks.TASKS:
        assert any(line.startswith(f"{name} ") for line in printed.splitlines())


def row(language, value, **changed):
    facts = {
        "task": "t",
        "split": "test",
        "direction": "text_to_other",
        "metric": "accuracy",
        "caption_policy": "none",
        "intervals": {"accuracy": (value - 0.1, value + 0.1)},
        "num_queries": 9,
        "num_candidates": 9,
        "model": "m",
        "model_id": "m",
        "data_id": "d",
    }
    values = {"accuracy": value}
    return Result(**{**facts, "language": language, "values": values, **changed})


def table(rows, **options):
    return eval_tables.result_table("t", rows, **options).splitlines()


def test_means_of_groups_name_who_is_missing():
    rows = [row("deu_Latn", 0.5), row("fra_Latn", 0.7), row("hin_Deva", 0.0)]
    groups = {"two": ["deu_Latn", "fra_Latn"], "more": ["hin_Deva", "ita_Latn"], "none": ["x"]}
    lines = table(rows, groups=groups)
    found = {line[:20].strip(): line.split()[-1] for line in lines if not line.startswith(" ")}
    assert found["two"] == "60.0"
    assert found["more"] == "0.0"
    assert found["mean of 3 languages"] == "40.0"
    assert "none" not in found
    assert any("without ita_Latn" in line for line in lines)


def test_variants_and_both_figures_of_a_classification():
    values = {"accuracy": 0.5, "macro_f1": 0.25}
    kept = {"direction": "content_to_class", "values": values, "intervals": {}}
    lines = table([row("deu_Latn", 0, variant=v, **kept) for v in ("labels", "english")])
    assert lines[2].split() == ["language", "accuracy", "macro-F1"]
    assert lines[3].split() == ["deu_Latn", "labels", "50.0", "25.0"]
    assert lines[4].split()[:2] == ["deu_Latn", "english"]


def test_the_task_s_own_metric_comes_first():
    values = {"hit_rate_at_10": 0.5, "mean_reciprocal_rank": 0.25}
    kept = {"direction": "text_to_content", "intervals": {}, "values": values}
    assert "MRR" in table([row("ita_Latn", 0, metric="mean_reciprocal_rank", **kept)])[2]
    assert table([row("ita_Latn", 0, metric="hit_rate", **kept)])[3].split()[1] == "50.0"


def test_what_was_dropped_is_said_once_or_where_it_is_most():
    rows = [
        row("deu_Latn", 0.5, num_dropped={"items_missing": 3, "repeats": 0}),
        row("mya_Mymr", 0.5, num_dropped={"items_missing": 3, "repeats": 27}),
    ]
    printed = "\n".join(table(rows))
    assert printed.count("items missing: 3") == 1
    assert "repeats: up to 27 (mya_Mymr), in 1 of 2 languages" in printed


def test_languages_that_are_asked_among_other_numbers_are_told():
    rows = [
        row("deu_Latn", 0.5, num_candidates=1000),
        row("mya_Mymr", 0.5, num_candidates=812),
        row("mya_Mymr", 0.5, direction="other_to_text", num_candidates=812),
    ]
    printed = " ".join(re.sub(r"\x1b\[[0-9]*m", "", " ".join(table(rows))).split())
    said = "812 (mya_Mymr) to 1,000 (deu_Latn) candidates: among fewer, more is found by chance"
    assert f"text to other: {said}" in printed
    assert printed.count("candidates") == 1
