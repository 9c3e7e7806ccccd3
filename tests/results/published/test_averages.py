"""Printed averages against their rows: rules by hand on small tables, then all the papers'."""

import re

import pytest

from polyglance import errors
from polyglance.results import published
from polyglance.results.published import averages

AVERAGE = "language=group:average <- mean language=*"


def without_errata(check):
    """The excess with all as it should be; None where it is not known how one should be."""
    right = [number.corrected for number in (check.number, *check.members)]
    return check.excess_of(right) if all(right) else None


def test_a_mean_follows_within_rounding(write_tables):
    write_tables(averages=AVERAGE)
    (check,) = averages.checks()
    assert check.recomputed == pytest.approx((40.1 + 50.2) / 2)
    assert len(check.members) == 2
    # 45.2 is 0.05 off; rounding allows 0.05 of its own and 0.05 of its members'.
    assert check.excess == pytest.approx(-0.05)


@pytest.mark.parametrize(("printed", "follows"), [("45.25", True), ("45.26", False), ("45", True)])
def test_rounding_is_counted_by_the_digits_that_are_printed(write_tables, printed, follows):
    rows = (
        "A\tdeu_Latn\tx\ttest\tm\tboth\tnone\t45.15\n"
        "A\tfra_Latn\tx\ttest\tm\tboth\tnone\t45.2\n"
        f"A\tgroup:average\tx\ttest\tm\tboth\tnone\t{printed}\n"
    )
    # Members allow (0.005 + 0.05) / 2 = 0.0275 around 45.175, the mean itself 0.005 or 0.5.
    write_tables(averages=AVERAGE, rows=rows.replace("45.15", "45.25"))
    (check,) = averages.checks()
    assert check.recomputed == pytest.approx(45.225)
    assert (check.excess <= 0) == follows


def test_conditions_take_leave_out_and_look_into_another_table(write_tables):
    write_tables(
        averages="language=group:average <- mean language=*!fra_Latn; "
        "language=deu_Latn <- sum direction=text_to_content|content_to_text @ toy-table2"
    )
    found = {check.number.language: check for check in averages.checks()}
    assert found["group:average"].recomputed == 40.1
    assert found["deu_Latn"].recomputed == pytest.approx(0.9)
    assert found["deu_Latn"].excess > 39


def test_errata_heal_a_mean_or_leave_it_open(write_tables):
    wrong = "A\tdeu_Latn\txtd10\ttest\thit_rate_at_1\ttext_to_content\tfirst\t10.4\n"
    rows = wrong + "".join(line + "\n" for line in ROWS[1:])
    for should_be, healed in (("40.1", True), ("", None), ("20.1", False)):
        erratum = f"toy-table1\tA\tdeu_Latn\thit_rate_at_1\t10.4\t{should_be}\tswapped\n"
        write_tables(averages=AVERAGE, rows=rows, errata=erratum)
        (check,) = averages.checks()
        assert check.excess > 0
        left = without_errata(check)
        assert (None if left is None else left <= 0) == healed


ROWS = (
    "",
    "A\tfra_Latn\txtd10\ttest\thit_rate_at_1\ttext_to_content\tfirst\t50.2",
    "A\tgroup:average\txtd10\ttest\thit_rate_at_1\ttext_to_content\tfirst\t45.2",
)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("language=group:average is the mean", "which is none"),
        ("language=group:average <- median language=*", "which is none"),
        ("tongue=all <- mean language=*", "unknown column of a rule 'tongue=all'"),
        ("language=group:nobody <- mean language=*", "is about no number"),
        ("language=group:average <- mean language=ita_Latn", "has no members"),
    ],
)
def test_a_rule_that_says_nothing_is_an_error(write_tables, rule, said):
    write_tables(averages=rule)
    with pytest.raises(errors.PolyglanceError, match=re.escape(said)):
        averages.checks()


@pytest.mark.parametrize(
    "table",
    [table for table in published.tables() if table.averages],
    ids=lambda table: table.table,
)
def test_every_average_of_the_papers_follows_or_is_an_erratum(table):
    found = averages.checks(table)
    assert found
    for check in found:
        said = f"{check.number.model}, {check.number.language}: {check.recomputed}"
        if check.excess > 0:
            assert any(n.erratum for n in (check.number, *check.members)), said
        left = without_errata(check)
        assert left is None or left <= 0, said


def test_known_errata_of_etcl_are_found_by_recomputing():
    wrong = {
        (check.number.table, check.number.model, check.number.language, check.number.printed)
        for check in averages.checks()
        if check.excess > 0
    }
    etcl = "MURAL(reprod.) + ETCL"
    assert wrong >= {
        ("etcl-table1", etcl, "jpn_Jpan", "62.1"),
        ("etcl-table1", f"{etcl}, fine-tuned", "kor_Hang", "77.0"),
        ("etcl-table2", etcl, "group:well-resourced", "45.1"),
        ("etcl-table2", etcl, "group:well-resourced", "19.6"),
    }
