"""Why a number is not compared: by the file, else by what its own columns do not say."""

import re

import pytest

from polyglance import errors
from polyglance.results import published
from polyglance.results.published import averages, reasons


def test_a_row_of_the_file_is_about_its_numbers_alone(write_tables):
    write_tables(reason="toy-table1\tlanguage=fra_Latn\tnot a score\tfor a test\n")
    said = {n.language: reasons.reason_of(n) for n in published.numbers_of("toy-table1")}
    assert said == {
        "deu_Latn": None,
        "fra_Latn": ("not a score", "for a test"),
        "group:average": None,
    }


def test_without_conditions_a_row_is_about_the_table(write_tables):
    write_tables(reason="toy-table2\t\ttask absent\tno\n")
    assert {reasons.reason_of(n) for n in published.numbers_of("toy-table2")} == {
        ("task absent", "no")
    }


@pytest.mark.parametrize(
    ("direction", "policy", "reason"),
    [
        ("unknown", "first", "direction unknown"),
        ("both", "unknown", "captions unknown"),
        ("both", "first", None),
    ],
)
def test_what_the_columns_do_not_say(write_tables, direction, policy, reason):
    write_tables(rows=f"A\tdeu_Latn\txtd10\ttest\thit_rate_at_1\t{direction}\t{policy}\t40.1\n")
    [number] = published.numbers_of("toy-table1")
    assert (reasons.reason_of(number) or (None,))[0] == reason


def test_what_is_wrong_without_being_known_right(write_tables):
    write_tables(errata="toy-table1\tA\tdeu_Latn\thit_rate_at_1\t40.1\t\tblurred\n")
    assert reasons.reason_of(published.numbers_of("toy-table1")[0]) == ("in doubt", "blurred")


def test_a_reason_that_is_none(write_tables):
    write_tables(reason="toy-table1\t\tno reason\tx\n")
    with pytest.raises(errors.UnknownNameError, match=re.escape("unknown reason 'no reason'")):
        reasons.reasons()


def test_every_row_is_about_a_number_and_says_why():
    for row in reasons.reasons():
        numbers = published.numbers_of(row.table)
        wanted = averages.conditions(row.where) if row.where else {}
        assert any(averages.meets(number, wanted) for number in numbers), row
        assert row.why
