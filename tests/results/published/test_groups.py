"""Printed means beside means of results: only over all languages of the group, asked alike."""

import dataclasses

import pytest

from polyglance.results import published
from polyglance.results.published import groups
from polyglance.results.schema import Result

OWN = "toy-table1\tgroup:average\t*\town\n"


def result(language, value, **changes):
    given = {
        "task": "xtd10",
        "split": "test",
        "language": language,
        "direction": "text_to_content",
        "metric": "hit_rate",
        "caption_policy": "first",
        "values": {"hit_rate_at_1": value},
        "num_queries": 10,
        "num_candidates": 10,
        "model": "mine",
        "model_id": "1",
        "data_id": "2",
    }
    return Result(**{**given, **changes})


BOTH = [result("deu_Latn", 0.5), result("fra_Latn", 0.7), result("ita_Latn", 0.0)]


@pytest.mark.parametrize(
    "group",
    [
        OWN,
        "toy-table1\tgroup:average\txtd10\tdeu_Latn fra_Latn\n",
        "toy-table2|toy-table1\tgroup:average\txtd10\t@toy-table1\n",
    ],
)
def test_a_printed_mean_meets_the_mean_over_its_languages(write_tables, group):
    write_tables(group=group)
    [found] = groups.comparable_means(BOTH)
    assert (found.number.printed, found.like.called, found.num_members) == ("45.2", "mine", 2)
    assert found.mean == pytest.approx(0.6)


def test_what_is_left_out_of_another_table(write_tables):
    write_tables(group="toy-table1\tgroup:average\txtd10\t@toy-table1!fra_Latn\n")
    [found] = groups.comparable_means(BOTH)
    assert (found.mean, found.num_members) == (0.5, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "xtd200"},
        {"split": "val"},
        {"caption_policy": "all"},
        {"direction": "content_to_text"},
        {"variant": "best"},
        {"values": {"hit_rate_at_5": 0.5}},
    ],
)
def test_a_mean_never_meets_what_was_asked_otherwise(write_tables, changes):
    write_tables(group=OWN)
    assert groups.comparable_means([dataclasses.replace(row, **changes) for row in BOTH]) == []


def test_a_language_that_lacks_a_result_leaves_no_mean(write_tables):
    write_tables(group=OWN)
    assert groups.comparable_means(BOTH[:1]) == []
    other = dataclasses.replace(BOTH[1], model="another", model_id="2")
    assert groups.comparable_means([BOTH[0], other]) == []
    assert len(groups.comparable_means([*BOTH, other])) == 1


def test_a_group_that_nobody_describes_has_no_members(write_tables):
    write_tables()
    [average] = [n for n in published.published_numbers() if groups.is_group(n)]
    assert groups.members(average) == frozenset()
    assert groups.comparable_means(BOTH) == []


def test_members_of_the_papers_groups():
    def size(table, group, **more):
        [found] = {
            len(groups.members(n))
            for n in published.published_numbers(table=table, language=group, **more)
        }
        return found

    assert size("nllb-clip-table5", "group:average") == 200
    sizes = {"v-low": 17, "low": 32, "mid": 35, "high": 16}
    assert {g: size("babel-imagenet-table2", f"group:{g}") for g in sizes} == sizes
    assert size("babel-imagenet-table11", "group:average") == 35
    assert size("m2m-table2", "group:average", task="xm3600") == 36
    sizes = {"group:14": 14, "group:36": 36, "group:82": 82, "all": 112}
    assert {group: size("etcl-table12", group) for group in sizes} == sizes
    assert size("etcl-table4", "group:average") == 7
    assert size("m2m-table9", "group:supported", task="xm3600") == 30
    assert size("uclip-table7", "group:average") == 5


def test_every_row_is_of_tables_and_groups_that_are_there():
    for (table, group, task), said in groups._rows().items():
        found = [n for n in published.numbers_of(table) if n.language == group]
        assert found, (table, group)
        assert task == "*" or task in {n.task for n in found}
        assert said


def test_members_agree_with_the_rules_by_which_averages_are_checked():
    """Where a rule recomputes a mean from printed rows, the group has the languages of those."""
    from polyglance.results.published import averages

    compared = 0
    for check in averages.checks():
        number = check.number
        if check.operation != "mean" or not groups.members(number):
            continue
        if check.number.erratum is not None or any(groups.is_group(m) for m in check.members):
            continue
        pairs = {published.pair_of(member) for member in check.members}
        if len(pairs) == len(check.members):
            assert pairs == groups.members(number), (number.table, number.model)
            compared += 1
    assert compared > 100
