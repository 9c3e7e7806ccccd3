from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from fake_results import fake_results
from polyglance import errors
from polyglance.cli import app
from polyglance.report import load_results
from polyglance.results import schema

ROWS = fake_results(num_languages=3, models=("hf:a/b", "hf:a/b + packs/c d"))


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.jsonl"
    schema.append_results(path, ROWS)
    return path


def test_one_bad_file_and_line_among_several_are_named_and_the_rest_is_used(good, tmp_path):
    mixed = tmp_path / "mixed.jsonl"
    schema.append_results(mixed, [replace(row, task="other") for row in ROWS[:2]])
    with mixed.open("a") as file:
        file.write('{"schema_version": 1, "task":\n[1]\n')
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    found = load_results.gather([good, mixed, binary, tmp_path / "absent.jsonl", tmp_path])
    assert found.rows == [*ROWS, *(replace(row, task="other") for row in ROWS[:2])]
    assert [len(rows) for rows in found.by_file.values()] == [len(ROWS), 2]
    said = found.set_aside
    assert len(said) == len(load_results.notes(found)) == 5
    assert f"{mixed}, line 3 is no result" in said[0]
    assert f"{mixed}, line 4 is no result" in said[1]
    assert [str(p) in s for p, s in zip([binary, "absent.jsonl", tmp_path], said[2:], strict=True)]


def test_an_interrupted_last_line_costs_no_other(good):
    with good.open("a") as file:
        file.write('{"schema_version": 1, "ta')
    found = load_results.gather([good])
    assert found.rows == ROWS
    assert "in the middle of a line" in found.set_aside[0]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "53.2"])
def test_a_number_that_no_score_can_be_costs_its_line_alone(good, value):
    line = good.read_text(encoding="utf-8").splitlines()[0]
    facts = {**json.loads(line), "values": {"hit_rate_at_10": "?"}, "intervals": {}}
    facts.pop("checksum")
    odd = json.dumps(facts).replace('"?"', value)
    with good.open("a") as file:
        file.write(odd + "\n")
    found = load_results.gather([good])
    assert found.rows == ROWS
    (said,) = found.set_aside
    assert re.search("hit_rate_at_10 = .*a finite number|hit_rate_at_10 is 53.2; fractions", said)


def test_what_was_measured_anew_in_a_file_is_the_newer_one(tmp_path):
    path = tmp_path / "r.jsonl"
    schema.append_results(path, ROWS)
    newer = replace(
        ROWS[0], values={"hit_rate_at_10": 0.99}, intervals={}, score_id="other pictures"
    )
    schema.append_results(path, [newer])
    found = load_results.gather([path])
    assert [row.values for row in found.rows] == [newer.values, *(row.values for row in ROWS[1:])]
    (said,) = found.set_aside
    assert "1 results that were measured anew" in said


def test_a_file_of_another_tool_is_to_be_converted_first(good, tmp_path):
    foreign = tmp_path / "en.json"
    foreign.write_text(json.dumps({"dataset": "x", "metrics": {"acc1": 0.5}}, indent=1))
    table = tmp_path / "table.csv"
    table.write_text("dataset,model,pretrained,task,acc1\nx,y,z,zeroshot_classification,0.5\n")
    found = load_results.gather([good, foreign, table])
    assert found.rows == ROWS
    assert len(found.set_aside) == 2
    for path, said in zip((foreign, table), found.set_aside, strict=True):
        assert f"polyglance convert {path} --to polyglance" in said


def test_values_that_are_no_numbers_and_languages_that_are_none_are_set_aside(good):
    line = json.loads(good.read_text(encoding="utf-8").splitlines()[0])
    del line["checksum"]
    with good.open("a") as file:
        file.write(json.dumps({**line, "values": {"hit_rate_at_10": "much"}}) + "\n")
        file.write(json.dumps({**line, "values": [1]}) + "\n")
        file.write(json.dumps({**line, "language": "xx_Nope"}) + "\n")
        file.write(json.dumps({**line, "other_language": "yy_Nope"}) + "\n")
    found = load_results.gather([good])
    assert found.rows == ROWS
    assert len(found.set_aside) == 4
    assert "'xx_Nope'" in found.set_aside[2]
    assert "'yy_Nope'" in found.set_aside[3]


def test_the_same_results_count_once_and_other_numbers_of_the_same_are_said(good, tmp_path):
    again = tmp_path / "again.jsonl"
    other = replace(ROWS[0], values={"hit_rate_at_10": 0.99}, intervals={})
    schema.append_results(again, [other, *ROWS[1:]])
    found = load_results.gather([good, again, good])
    assert found.rows == ROWS
    (said,) = found.set_aside
    assert "1 results with other numbers" in said


def test_no_result_at_all_is_an_error_that_says_why(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(errors.ResultError, match="they are empty"):
        load_results.gather([empty])
    with pytest.raises(errors.ResultError, match="cannot be read"):
        load_results.gather([tmp_path / "absent.jsonl"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<!doctype html>\n" + "<p>line\n" * 5000, "line 1: it is no JSON object"),
        ("\n\ntask,split,language\n" + "a,b,c\n" * 5000, "line 3: it is no JSON object"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "line 1: it is no UTF-8 text"),
        ('{"a": 1}\n' * 5000, "line 1: it does not say its schema_version"),
        ("[1]\n" * 5000, "line 1: it is [1]; allowed is a table"),
    ],
)
def test_a_file_that_is_none_of_results_is_told_in_one_short_line(run, content, said, tmp_path):
    path = tmp_path / "other.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = run("report", path, "--out", tmp_path / "q.html")
    assert (code, out) == (2, "")
    first, hint = err.splitlines()
    assert first == f"error: {path} is no file of results ({said})"
    assert "polyglance eval" in hint
    assert not (tmp_path / "q.html").exists()


def test_an_error_over_many_lines_and_files_names_a_few(run, tmp_path, good):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"schema_version": 1, "task": 7}\n' * 1000)
    code, _, err = run("report", bad, "--out", tmp_path / "q.html")
    assert code == 2
    first, _ = err.splitlines()
    assert "line 1 is no result" in first
    assert first.endswith(
        "line 3 is no result: it does not say its split, language, direction, "
        "metric, caption_policy, values, num_queries, num_candidates, model, model_id, data_id; "
        "and 997 more"
    )
    many = [tmp_path / f"{number}.txt" for number in range(100)]
    for path in many:
        path.write_text("x")
    _, _, err = run("report", *many, "--out", tmp_path / "q.html")
    assert err.count(".txt") == 6
    assert err.count("and 97 more") == 2
    code, _, err = run("report", good, *many, "--out", tmp_path / "q.html")
    assert code == 0
    assert err.count("set aside: ") == 11
    assert "and 90 more" in err
    code, _, err = run("convert", good, *many, "--to", "mteb", "--out", tmp_path / "m")
    assert code == 0
    assert (err.count("left out: "), "and 90 more" in err) == (11, True)


def test_commands_measure_every_model_and_task_again(good):
    three = "--language eng_Latn --language arb_Arab --language heb_Hebr"
    assert load_results.commands(load_results.gather([good])) == [
        f"polyglance eval hf:a/b --task pictograms {three} --out {good}",
        f"polyglance eval hf:a/b --pack 'packs/c d' --task pictograms {three} --out {good}",
    ]


def test_a_command_says_which_prompts_and_not_two_hundred_languages(tmp_path):
    path = tmp_path / "many.jsonl"
    rows = [row for row in fake_results(num_languages=13, models=("m",)) if row.split == "seen"]
    schema.append_results(path, [replace(row, variant="labels") for row in rows])
    assert load_results.commands(load_results.gather([path])) == [
        f"polyglance eval m --task pictograms --prompts labels --out {path}"
    ]


def test_a_command_says_which_captions_ask_and_takes_no_references_for_prompts(tmp_path):
    path = tmp_path / "asked.jsonl"
    (row,) = fake_results(num_languages=1, models=("m",), task="xm3600")[:1]
    policies = [replace(row, caption_policy=policy) for policy in ("first", "all")]
    topics = {"task": "mvl-sib", "metric": "accuracy", "caption_policy": "none"}
    topics |= {"values": {"accuracy": 0.5}, "intervals": {}}
    schema.append_results(
        path, [*policies, *(replace(row, **topics, variant=f"{n} references") for n in (3, 5))]
    )
    end = f"--language eng_Latn --out {path}"
    assert load_results.commands(load_results.gather([path])) == [
        f"polyglance eval m --task xm3600 --captions first --captions all {end}",
        f"polyglance eval m --task mvl-sib {end}",
    ]


def test_the_command_writes_page_markdown_and_csv(good, tmp_path, monkeypatch):
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")
    outs = [tmp_path / name for name in ("r.html", "r.md", "r.csv")]
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    given = ["report", str(good), str(bad), "--title", "Two models", "-o", str(outs[0])]
    done = CliRunner().invoke(
        app, [*given, "--markdown", str(outs[1]), "--csv", str(outs[2]), "--baseline", "hf:a/b"]
    )
    assert done.exit_code == 0, done.output
    assert f"1 set aside, {len(ROWS)} results used" in done.output
    page, markdown, table = (path.read_text(encoding="utf-8") for path in outs)
    assert "<h1>Two models</h1>" in page
    assert "polyglance eval hf:a/b --task pictograms --language" in page
    for text in (page, markdown):
        assert "bad.jsonl is no file of results (line 1: it does not say its" in text
    assert len(table.splitlines()) == 1 + 3 * len(ROWS)


def test_an_unknown_baseline_is_refused_with_the_names(good, tmp_path):
    done = CliRunner().invoke(app, ["report", str(good), "--baseline", "nope"])
    assert isinstance(done.exception, errors.UnknownNameError)
    assert "hf:a/b" in done.exception.message


def test_two_models_of_one_name_are_told_apart_by_their_fingerprints(good, tmp_path):
    other = tmp_path / "other.jsonl"
    moved = [
        replace(
            row, model_id="f" * 32, values={name: value / 2 for name, value in row.values.items()}
        )
        for row in ROWS
        if row.called == "hf:a/b"
    ]
    schema.append_results(other, moved)
    run = ["report", str(good), str(other), "--out", str(tmp_path / "r.html")]
    refused = CliRunner().invoke(app, run)
    assert isinstance(refused.exception, errors.ResultError)
    assert "--rename ffffffffffff=NAME" in refused.exception.hint
    markdown = tmp_path / "r.md"
    done = CliRunner().invoke(app, [*run, "--rename", "ffff=half", "--markdown", str(markdown)])
    assert done.exit_code == 0, done.output
    text = markdown.read_text(encoding="utf-8")
    assert "- half is hf:a/b (ffffffffffff)." in text
    assert "| half |" in text
    # What makes the numbers again has the name that eval takes.
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "polyglance eval half" not in html
    assert html.count("polyglance eval hf:a/b --task") == 2


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ("nothing", "takes OLD=NEW, not 'nothing'"),
        ("=new", "takes OLD=NEW"),
        ("hf:a/b=", "takes OLD=NEW"),
        ("absent=x", "'absent' means no models; there are hf:a/b ("),
    ],
)
def test_a_rename_that_means_nothing_says_what_there_is(good, rename, message):
    with pytest.raises(errors.ConfigError, match=re.escape(message)):
        load_results.renamed(load_results.gather([good]), [rename])


def test_a_name_that_two_fingerprints_share_is_no_old_name(good, tmp_path):
    other = tmp_path / "other.jsonl"
    schema.append_results(other, [replace(row, model_id="f" * 32) for row in ROWS])
    gathered = load_results.gather([good, other])
    with pytest.raises(errors.ConfigError, match="'hf:a/b' means 2 models"):
        load_results.renamed(gathered, ["hf:a/b=x"])
    texts = [replace(row, model_id="f" * 32, task="of texts alone") for row in ROWS]
    other.unlink()
    schema.append_results(other, texts)
    found, said = load_results.renamed(load_results.gather([good, other]), ["hf:a/b=x"])
    assert {row.called for row in found.rows} == {"x", "hf:a/b + packs/c d"}
    assert len(said) == 2
    found, said = load_results.renamed(gathered, ["hf:a/b + packs/c d=x"][:0])
    assert (found, said) == (gathered, [])
