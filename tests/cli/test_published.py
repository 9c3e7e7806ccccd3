"""`polyglance published`: lists, finds, marks errata, in 80 columns."""

import json

import pytest

from polyglance.results import published


def test_without_options_it_lists_the_tables(run):
    code, out, _ = run("published")
    assert code == 0
    for table in published.tables():
        assert table.table in out
    assert max(map(len, out.splitlines())) <= 80


def test_every_table_prints_in_80_columns_with_its_source(run):
    for table in published.tables():
        code, out, _ = run("published", "--table", table.table)
        assert code == 0
        assert out.startswith(f"{table.table}: ")
        assert max(map(len, out.splitlines())) <= 80, table.table
        for number in published.published_numbers(table=table.table):
            assert number.printed in out


def test_any_code_of_a_language_is_understood(run):
    _, out, _ = run(
        "published", "--task", "xtd10", "-l", "German", "-m", "NLLB", "--paper", "nllb-clip"
    )
    lines = [line.split() for line in out.splitlines() if "deu_Latn" in line]
    assert lines == [
        ["NLLB-CLIP", "base", "deu_Latn", "46.4", "74.4", "84.8"],
        ["NLLB-CLIP", "large", "deu_Latn", "56.2", "82.2", "90.6"],
    ]
    _, out, _ = run("published", "--table", "nllb-clip-table4", "-l", "group:average")
    assert "33.99" in out


def test_errata_are_marked_and_explained(run):
    _, out, _ = run("published", "--table", "etcl-table9", "-l", "ja")
    assert "35.3*" in out
    assert "35.3 should be 47.1" in out
    _, out, _ = run("published", "--table", "etcl-table6")
    assert "40.6 is in doubt" in out


def test_json_has_printed_value_fraction_and_erratum(run):
    _, out, _ = run("published", "--table", "etcl-table9", "-l", "jpn_Jpan", "--json")
    first = json.loads(out)[0]
    assert (first["printed"], first["fraction"]) == ("35.3", pytest.approx(0.471))
    assert first["erratum"]["why"]
    _, out, _ = run("published", "--json")
    assert len(json.loads(out)) == len(published.tables())


def test_check_recomputes_the_averages(run):
    _, out, _ = run("published", "--check")
    assert "62.1 is printed, 49.32 follows from 6 numbers" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    _, out, _ = run("published", "--check", "--json")
    rows = json.loads(out)
    assert {row["follows"] for row in rows} == {True, False}


def test_what_nobody_published_says_what_to_leave_out(run):
    code, _, err = run("published", "--task", "sts17", "-l", "zul_Latn")
    assert code == 2
    assert "no published number has all of: task sts17, language zul_Latn" in err
    code, _, err = run("published", "--task", "xtd1")
    assert code == 2
    assert "did you mean xtd10" in err


def test_check_takes_the_filters(run):
    _, out, _ = run("published", "--check", "--json")
    whole = json.loads(out)
    filters = {
        "paper": "uclip",
        "task": "xtd10",
        "metric": "hit_rate_at_10",
        "model": "NLLB-CLIP large",
        "table": whole[0]["number"]["table"],
        "language": "group:average",
    }
    for name, value in filters.items():
        code, out, _ = run("published", "--check", "--json", f"--{name}", value)
        given = [(row, row["number"][name]) for row in whole]
        here = [row for row, had in given if (value in had if name == "model" else value == had)]
        assert code == 0
        assert json.loads(out) == here
        assert len(here) < len(whole)
    code, out, _ = run("published", "--check", "--paper", "uclip")
    assert "nllb" not in out
    code, _, err = run("published", "--check", "--task", "nothing")
    assert code == 2
    assert "nothing" in err


@pytest.mark.parametrize("name", ["paper", "task", "metric", "model", "table", "language"])
@pytest.mark.parametrize("more", [(), ("--check",)])
def test_an_empty_name_is_refused(run, name, more):
    code, out, err = run("published", f"--{name}", "", *more)
    assert (code, out) == (2, "")
    assert f"--{name} '' names nothing" in err


def test_filters_say_nothing_of_a_file(run, tmp_path):
    for more in (("--task", "xtd10"), ("--check",)):
        code, _, err = run("published", "--file", tmp_path, *more)
        assert code == 2
        assert f"{more[0]} beside --file" in err


def test_coverage_says_what_can_be_compared_and_why_the_rest_cannot(run):
    code, out, _ = run("published", "--coverage")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    lines = {line.split("  ")[0].strip(): line.split() for line in out.splitlines()}
    assert lines["all"][-4:] == ["5,996", "6,999", "85.7", "%"]
    assert "358  texts not published: measured on texts that nobody can have" in out
    assert "etcl-table14: names and templates by a web translator" in out


def test_coverage_as_json_names_each_number_that_is_not_comparable(run):
    _, out, _ = run("published", "--coverage", "--json", "--table", "etcl-table5")
    found = json.loads(out)
    assert (found["comparable"], found["numbers"]) == (6, 11)
    assert found["reasons"] == {"not a score": 5}
    assert {row["reason"] for row in found["not_comparable"]} == {"not a score"}
    assert {row["metric"] for row in found["not_comparable"]} == {"average_recall_gain"}
    assert found["tables"] == {"etcl-table5": {"comparable": 6, "numbers": 11}}


def test_coverage_takes_the_filters_and_stands_alone(run, tmp_path):
    _, out, _ = run("published", "--coverage", "--paper", "nllb-clip")
    assert "m2m" not in out
    assert "nllb-clip-table4" in out
    code, _, err = run("published", "--coverage", "--check")
    assert code == 2
    assert "--check beside --coverage" in err
    code, _, err = run("published", "--coverage", "--file", tmp_path)
    assert code == 2
    assert "--coverage beside --file" in err
