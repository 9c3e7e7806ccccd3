"""`polyglance languages` without an index, which messages about codes point to."""

import json

from polyglance.languages.registry import all_languages


def test_every_language_is_listed_in_80_columns(run):
    code, printed, _ = run("languages")
    assert code == 0
    assert max(map(len, printed.splitlines())) <= 80
    assert [line.split()[0] for line in printed.splitlines()] == [row.id for row in all_languages()]
    code, written, _ = run("languages", "--json")
    assert [row["id"] for row in json.loads(written)] == [row.id for row in all_languages()]


def test_a_pack_is_asked_about_an_index(run, pack_folder):
    code, _, said = run("languages", "--pack", pack_folder)
    assert code == 2
    assert "name the index as well" in said
