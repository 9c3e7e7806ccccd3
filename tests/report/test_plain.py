from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import replace

from fake_results import BASELINE, MODELS, fake_results
from polyglance.report.plain import CSV_COLUMNS, write_csv, write_markdown

ROWS = fake_results(num_languages=4)


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path):
    rows = [dataclasses.replace(ROWS[0], model="=HYPERLINK(1)", model_id="@a", variant="-1+1")]
    with write_csv(tmp_path / "r.csv", rows).open(newline="") as file:
        (row, *_) = csv.DictReader(file)
    assert (row["model"], row["model_id"], row["variant"]) == ("'=HYPERLINK(1)", "'@a", "'-1+1")
    assert float(row["value"]) in rows[0].values.values()


def test_csv_holds_every_number_unrounded(tmp_path):
    rows = [*ROWS[:-1], replace(ROWS[-1], model='a "model", of\nothers', intervals={})]
    path = write_csv(tmp_path / "deep" / "results.csv", rows)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == CSV_COLUMNS
    assert len(read) == 3 * len(rows)
    expected = [(row, name) for row in rows for name in row.values]
    for found, (row, name) in zip(read, expected, strict=True):
        assert found["model"] == row.model
        assert found["value_name"] == name
        assert float(found["value"]) == row.values[name]
        assert json.loads(found["num_dropped"]) == row.num_dropped
        ends = row.intervals.get(name)
        assert (found["low"], found["high"]) == (
            ("", "") if ends is None else tuple(map(str, ends))
        )
        assert (found["language"], found["data_id"]) == (row.language, row.data_id)


def test_markdown_has_models_and_languages_of_each_split(tmp_path):
    path = write_markdown(
        tmp_path / "deep" / "report.md",
        title="Languages | of *all*",
        results=ROWS,
        model_order=MODELS,
        baseline=BASELINE,
        notes=["The map saw English alone."],
    )
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Languages \\| of \\*all\\*"
    assert lines[2] == "- The map saw English alone."
    assert [line for line in lines if line.startswith("###")] == [
        "### text to image, R@10, seen",
        "### image to text, R@10, seen",
        "### text to image, R@10, held out",
        "### image to text, R@10, held out",
        "### What was dropped",
    ]
    assert "| Model | English | mean of 3 other languages |" in lines
    arabic = [line for line in lines if "`arb_Arab`" in line]
    assert len(arabic) == 4
    assert all(line.count("|") == 4 + len(MODELS) for line in arabic)
    assert "العربية" in arabic[0]


def test_markdown_shows_what_is_missing_and_bare_numbers(tmp_path):
    rows = [
        replace(row, intervals={})
        for row in ROWS
        if row.model in MODELS[:2] and (row.model, row.language) != ("distill", "heb_Hebr")
    ]
    rows = [row for row in rows if row.split == "seen" or row.direction == "content_to_text"]
    path = write_markdown(
        tmp_path / "report.md",
        title="t",
        results=rows,
        model_order=MODELS[:2],
        baseline=BASELINE,
    )
    text = path.read_text(encoding="utf-8")
    assert "### text to image, R@10, held out" not in text  # not measured
    hebrew = [line for line in text.splitlines() if "`heb_Hebr`" in line]
    assert len(hebrew) == 3
    assert all(line.endswith("| – |") and "(" not in line for line in hebrew)
