"""Printed means beside means of results: only over all languages of the group, asked alike."""

import dataclasses

import pytest

from polyglance.results import published
from polyglance.results.published import averages, groups, half_unit
from polyglance.results.published.author_files import read_author_file
from polyglance.results.schema import Result
from shared_data import SHARED, needs_shared

OWN = "toy-table1\tlanguage=group:average\town\n"


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


ITALIAN = "toy-table1\tlanguage=group:average\tita_Latn\n"
BOTH = [result("deu_Latn", 0.5), result("fra_Latn", 0.7), result("ita_Latn", 0.0)]


@pytest.mark.parametrize(
    "group",
    [
        OWN,
        "toy-table1\tlanguage=group:average & task=xtd10\tdeu_Latn fra_Latn\n",
        "toy-table2|toy-table1\tlanguage=group:average & task=xtd10\t@toy-table1\n",
        "toy-table1\tlanguage=group:average & model=A\t@toy-table1 in LaBSE\n" + ITALIAN,
    ],
)
def test_a_printed_mean_meets_the_mean_over_its_languages(write_tables, group):
    write_tables(group=group)
    [found] = groups.comparable_means(BOTH)
    assert (found.number.printed, found.like.called, found.num_members) == ("45.2", "mine", 2)
    assert found.mean == pytest.approx(0.6)


def test_what_is_left_out_of_another_table(write_tables):
    write_tables(group="toy-table1\tlanguage=group:average\t@toy-table1!fra_Latn\n")
    [found] = groups.comparable_means(BOTH)
    assert (found.mean, found.num_members) == (0.5, 1)


def test_what_an_encoder_lacks_of_another_table(write_tables):
    write_tables(group="toy-table1\tlanguage=group:average\t@toy-table1 in de,it\n")
    [found] = groups.comparable_means(BOTH)
    assert (found.mean, found.num_members) == (0.5, 1)


def test_a_row_of_another_model_is_not_of_this_one(write_tables):
    write_tables(group="toy-table1\tlanguage=group:average & model=B\town\n" + ITALIAN)
    [found] = groups.comparable_means(BOTH)
    assert (found.mean, found.num_members) == (0.0, 1)


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


# The author's files of models that were only evaluated: no other run can differ.
EVALUATED = (
    *("crossmodal3600-baseline-*.json", "Other_sentCLIP-XM3600.json", "Other_jina-XM3600.json"),
    *("LABSE-Vit-L-14-XM3600.json", "XLM-Roberta-Large-Vit-*-XM3600.json", "M30K-baseline-*.json"),
    *("Other_M-*-multi30k.json", "LABSE-*-multi30k.json", "XLM-*-multi30k.json"),
)


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
    assert size("uclip-table7", "group:average") == 5


@pytest.mark.parametrize(
    ("model", "in_xm3600", "in_multi30k"),
    [
        ("CLIP (ViT-L 336px)", 1, 1),
        ("K-ALIGN", 1, 1),
        ("MCLIP-ST", 30, 4),
        ("LABSE ViT-L/14", 33, 4),
        ("XLM-R ViT-L/14", 33, 4),
        ("Jina-CLIP-v2", 26, 3),
        ("Jina-CLIP-v1 x LaBSE", 34, 4),
        ("Jina-CLIP-v1 x M-MiniLM", 30, 4),
        ("Jina-CLIP-v1 x JinaTextV3", 26, 0),  # 0 where nobody knows
        ("K-ALIGN x M-MPNET", 30, 4),
    ],
)
def test_how_many_languages_the_encoders_of_m2m_table_9_support(model, in_xm3600, in_multi30k):
    found = {
        (n.task, len(groups.members(n)))
        for n in published.numbers_of("m2m-table9")
        if n.model == model
    }
    assert found == {("xm3600", in_xm3600), ("multi30k", in_multi30k)}


def test_every_row_is_the_first_that_some_mean_meets():
    for table, rows in groups._rows().items():
        means = [n for n in published.numbers_of(table) if groups.is_group(n)]
        first = {
            next((i for i, (where, _) in enumerate(rows) if averages.meets(n, where)), None)
            for n in means
        }
        assert first - {None} == set(range(len(rows))), table


def test_members_agree_with_the_rules_by_which_averages_are_checked():
    """Where a rule recomputes a mean from printed rows, the group has the languages of those."""
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


@needs_shared
def test_means_over_supported_languages_follow_from_the_authors_files():
    """With Filipino, which M2M's lists have as Tagalog, seven of eight would not."""
    compared, other_with_filipino = 0, 0
    for path in (p for name in EVALUATED for p in (SHARED / "m2m_metrics").glob(name)):
        by_way = {}
        for row in read_author_file(path):
            if row.metric == "hit_rate_at_10":
                by_way.setdefault(row.direction, {})[published.pair_of(row)] = row
        for direction, rows in by_way.items():
            model = next(iter(rows.values()))
            [number] = [
                n
                for n in published.numbers_of("m2m-table9")
                if (n.model, n.task, n.direction) == (model.model, model.task, direction)
            ]
            group = groups.members(number)
            mean = sum(rows[pair].value for pair in group) / len(group)
            assert abs(mean - number.value) <= half_unit(number.printed) + 1e-6, (path.name, mean)
            compared += 1
            if ("tgl_Latn", "") in rows and len(group) == 33:
                wider = group | {("tgl_Latn", "")}
                mean = sum(rows[pair].value for pair in wider) / len(wider)
                other_with_filipino += abs(mean - number.value) > half_unit(number.printed)
    assert (compared, other_with_filipino) == (36, 7)


def test_what_table_2_leaves_for_languages_that_an_encoder_lacks():
    """The mean over all of table 2 bounds them: none is below 0 or above the supported ones."""
    over_all = {
        (n.model, n.task, n.direction): n
        for n in published.numbers_of("m2m-table2")
        if groups.is_group(n)
    }
    tables = {"xm3600": "m2m-table7", "multi30k": "m2m-table8"}

    def rest(number, num_supported):
        everywhere = {n.language for n in published.numbers_of(tables[number.task])}
        num_all = sum(not one.startswith("group:") for one in everywhere)
        whole = over_all[number.model, number.task, number.direction]
        slack = (num_all + num_supported) * half_unit("0.1")
        total = num_all * whole.value - num_supported * number.value
        return num_all - num_supported, total, slack

    compared = 0
    for number in published.numbers_of("m2m-table9"):
        num_supported = len(groups.members(number))
        if num_supported:
            num_lacking, total, slack = rest(number, num_supported)
            assert -slack <= total <= num_lacking * number.value + slack, number
            compared += 1
    assert compared == 58
    # With Filipino, the only other language would have less than nothing.
    [labse] = [
        n
        for n in published.numbers_of("m2m-table9")
        if (n.model, n.task, n.direction) == ("Jina-CLIP-v1 x LaBSE", "xm3600", "text_to_content")
    ]
    _, total, slack = rest(labse, 35)
    assert total < -slack
