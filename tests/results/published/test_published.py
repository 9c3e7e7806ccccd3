"""The papers' tables: that they parse, are the papers', and are compared with their like alone."""

import dataclasses
import re
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

import shared_data
from polyglance import errors
from polyglance.languages.registry import all_languages, normalise_language
from polyglance.results import published
from polyglance.results.published import author_files
from polyglance.results.schema import Result
from shared_data import SHARED, needs_shared

PAPERS = Path("/work/shared/papers")
TABLES = [table.table for table in published.tables()]
# Its columns stand in the text in another order, half of them garbled.
OUT_OF_ORDER = {"babel-imagenet-table7"}
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def numbers_of(table):
    return published.published_numbers(table=table)


def test_all_papers_are_there_and_no_file_is_left_out():
    assert {table.paper for table in published.tables()} == {
        "babel-imagenet",
        "etcl",
        "immich",
        "m2m",
        "metaclip-2",
        "nllb-clip",
        "open_clip",
        "uclip",
    }
    files = {path.stem for path in published.FOLDER.glob("*-table*.tsv")}
    assert files == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_number_is_one_of_a_known_language_and_stands_once(table):
    found = numbers_of(table)
    assert found
    for number in found:
        assert number.value == float(number.printed)
        for language in filter(None, (number.language, number.other_language)):
            if not (language.startswith("group:") or language == "all"):
                assert normalise_language(language) == language
        if number.unit == "percent" and number.metric.startswith(("hit_rate", "accuracy")):
            assert -100 <= number.value <= 100
    keys = Counter(
        dataclasses.astuple(dataclasses.replace(number, printed="", note="", erratum=None))
        for number in found
        if not number.note
    )
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("table", TABLES)
def test_more_ranks_never_hit_less(table):
    """R@1 <= R@5 <= R@10, so a misread digit shows."""
    rows = {}
    for number in numbers_of(table):
        if number.metric.startswith("hit_rate_at_"):
            key = (number.model, number.language, number.task, number.direction, number.note)
            rows.setdefault(key, {})[int(number.metric.rpartition("_")[2])] = number.value
    for key, by_k in rows.items():
        values = [by_k[k] for k in sorted(by_k)]
        assert all(lower <= higher for lower, higher in pairwise(values)), key


def test_each_erratum_is_about_exactly_one_number():
    found = Counter(n.erratum for n in published.published_numbers() if n.erratum is not None)
    assert set(found) == set(published.errata())
    assert set(found.values()) == {1}
    assert all(row.why and row.printed != row.should_be for row in published.errata())


@pytest.mark.parametrize(
    "table",
    [table for table in published.tables() if table.table not in OUT_OF_ORDER],
    ids=lambda table: table.table,
)
def test_the_paper_reads_as_the_file_does(table):
    """All numbers of a file stand in the paper in its order, with hardly another between them.

    Whoever changes, leaves out or swaps a number breaks it.
    """
    there = digits_of_paper(table.paper)
    wanted = [digits for number in numbers_of(table.table) for digits in as_read(number)]
    starts = [i for i, digits in enumerate(there) if digits == wanted[0]]
    lengths = [span for start in starts if (span := span_of(wanted, there, start)) is not None]
    assert lengths, "not in this order"
    # Between them stand at most page numbers, counts of steps, columns that hold no results.
    assert min(lengths) <= 1.5 * len(wanted) + 20


def digits_of_paper(paper):
    path = PAPERS / f"{paper}.txt"
    if not path.is_file():
        pytest.skip(f"no {path}: the papers are not part of the project")
    text = re.sub(r"</?\w+>", "", path.read_text(encoding="utf-8"))
    return [digits(token) for token in NUMBER.findall(text)]


def as_read(number):
    """A number as our text of the paper has it: the note says where that is something else."""
    read = re.search(r"our text reads (\d.*?)(;|$)", number.note)
    return [digits(token) for token in NUMBER.findall(read[1] if read else number.printed)]


def digits(token):
    """Without point and end zeros: the scan of one paper drops them, or reads a comma."""
    return token.replace(".", "").replace(",", "").rstrip("0")


def span_of(wanted, there, start):
    """Over how many numbers of the paper a sequence is strewn, beginning at `start`."""
    place = start
    try:
        for item in wanted[1:]:
            place = there.index(item, place + 1)
    except ValueError:
        return None
    return place - start + 1


def test_gains_are_what_they_are_called():
    for name in ("etcl-table5", "etcl-table6", "etcl-table13"):
        by_model = {}
        for number in numbers_of(name):
            by_model.setdefault(number.model, {})[number.metric] = number.value
        baseline = by_model.pop("MURAL(reprod.) baseline")["average_recall"]
        assert len(by_model) == 5
        for found in by_model.values():
            gain = found["average_recall"] - baseline
            assert found["average_recall_gain"] == pytest.approx(gain, abs=0.1501)


def test_numbers_are_found_by_paper_task_language_metric_and_part_of_the_model():
    found = published.published_numbers(
        paper="nllb-clip",
        task="xtd10",
        language="deu_Latn",
        metric="hit_rate_at_10",
        model="nllb-clip",
    )
    assert [(n.table, n.model, n.printed) for n in found] == [
        ("nllb-clip-table3", "NLLB-CLIP base", "84.8"),
        ("nllb-clip-table3", "NLLB-CLIP large", "90.6"),
    ]
    assert {n.paper for n in published.published_numbers(paper="uclip")} == {"uclip"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"paper": "uclipp"}, "did you mean uclip"),
        ({"task": "xtd1"}, "did you mean xtd10"),
        ({"metric": "recall"}, "unknown metric 'recall'"),
        ({"table": "etcl-table99"}, "unknown table 'etcl-table99'"),
        ({"model": "nobody's"}, "unknown model"),
    ],
)
def test_unknown_names_are_named_with_the_nearest(asked, said):
    with pytest.raises(errors.UnknownNameError, match=re.escape(said)):
        published.published_numbers(**asked)


def result(**changes):
    given = {
        "task": "xtd10",
        "split": "test",
        "language": "deu_Latn",
        "direction": "text_to_content",
        "metric": "hit_rate",
        "caption_policy": "first",
        "values": {"hit_rate_at_1": 0.5},
        "num_queries": 10,
        "num_candidates": 10,
        "model": "mine",
        "model_id": "1",
        "data_id": "2",
    }
    return Result(**{**given, **changes})


def test_a_result_meets_its_like_as_fractions(write_tables):
    write_tables()
    found = published.comparable(result())
    assert [(n.table, n.fraction) for n in found] == [
        ("toy-table1", pytest.approx(0.401)),
        ("toy-table2", 0.4),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "xtd200"},
        {"split": "val"},
        {"language": "ita_Latn"},
        {"caption_policy": "all"},
        {"values": {"hit_rate_at_5": 0.5}},
        {"variant": "translated"},
        {"other_language": "eng_Latn"},
        {"direction": "text_to_other"},
    ],
)
def test_a_result_never_meets_another_task_split_metric_direction_or_policy(write_tables, changes):
    write_tables()
    assert published.comparable(result(**changes)) == []


def test_a_mean_over_both_directions_meets_the_results_of_either(write_tables):
    write_tables()
    for direction in ("text_to_content", "content_to_text"):
        asked = result(direction=direction, values={"average_recall": 0.5})
        assert [n.printed for n in published.comparable(asked)] == ["0.45"]


def test_what_is_wrong_counts_as_it_should_be_and_what_nobody_knows_not_at_all(write_tables):
    write_tables(
        errata="toy-table1\tA\tdeu_Latn\thit_rate_at_1\t40.1\t41.0\tswapped\n"
        "toy-table2\tA\tdeu_Latn\thit_rate_at_1\t0.40\t\tblurred\n"
    )
    (found,) = published.comparable(result())
    assert (found.printed, found.fraction, found.erratum.why) == ("40.1", 0.41, "swapped")


def test_swapped_rows_of_etcl_are_compared_as_they_should_be():
    asked = result(
        task="stair",
        language="jpn_Jpan",
        caption_policy="all",
        values={"hit_rate_at_1": 0.2, "average_recall": 0.3},
    )
    found = {
        (n.metric, n.printed): n.fraction
        for n in published.comparable(asked)
        if n.model == "MURAL(reprod.) + ETCL"
    }
    assert found == {
        ("hit_rate_at_1", "25.0"): pytest.approx(0.368),
        ("average_recall", "62.1"): pytest.approx(0.621),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": "A\tdeu_Latn\txtd10\ttest\tx\tboth\tfirst\tmany\n"}, "'many' where a number"),
        ({"rows": "A\tdeu_Latn\txtd10\n"}, "line 2 has not the 9 columns"),
        ({"rows": "A\tdeu_Latn\txtd10\ttest\tx\tboth\tfirst\t1\tn\tm\n"}, "line 2 has not"),
        ({"head": "model\tlanguage\n"}, "it must have model, language, task"),
        ({"rows": "A\tdeu_Latn\txtd10\ttest\tx\tup\tfirst\t1\n"}, "unknown direction 'up'"),
        ({"rows": "A\tdeu_Latn\txtd10\ttest\tx\tboth\tsome\t1\n"}, "unknown caption policy"),
    ],
)
def test_a_damaged_table_is_named(write_tables, changes, said):
    write_tables(**changes)
    with pytest.raises(errors.PolyglanceError, match=re.escape(said)):
        published.published_numbers()


def test_a_cosine_of_two_languages_meets_its_like_whichever_is_named_first():
    asked = result(
        task="sts17",
        direction="text_with_other",
        metric="spearman",
        caption_policy="none",
        values={"spearman": 0.5},
        language="arb_Arab",
        other_language="eng_Latn",
    )
    found = {n.model: n.fraction for n in published.comparable(asked)}
    assert found["LaBSE"] == pytest.approx(0.745)
    # Arabic within itself is another number, and only that.
    within = published.comparable(dataclasses.replace(asked, other_language="arb_Arab"))
    assert {n.model: n.printed for n in within}["LaBSE"] == "69.1"
    assert {n.other_language for n in within} == {"arb_Arab"}


def test_tatoeba_has_our_names_and_no_direction_so_that_nothing_stands_beside(write_tables):
    asked = result(
        task="tatoeba",
        direction="text_to_other",
        metric="accuracy",
        caption_policy="none",
        values={"accuracy": 0.9},
        other_language="eng_Latn",
    )
    # ETCL's tables 15 and 16 do not say who asks; a table that does is offered for that way alone.
    head = "model\tlanguage\tother_language\ttask\tsplit\tmetric\tdirection\tcaption_policy\t"
    rows = "".join(
        f"{direction}\t{language}\teng_Latn\ttatoeba\ttest\taccuracy\t{direction}\tnone\t92.0\n"
        for language in ("deu_Latn", "group:14")
        for direction in ("unknown", "text_to_other", "other_to_text")
    )
    write_tables(head=f"{head}value\tnote\n", rows=rows, by_direction="")
    assert [n.model for n in published.comparable(asked)] == ["text_to_other"]
    other_way = dataclasses.replace(asked, direction="other_to_text")
    assert [n.model for n in published.comparable(other_way)] == ["other_to_text"]


def tatoeba_result(**changes):
    return result(
        task="tatoeba",
        metric="accuracy",
        caption_policy="none",
        values={"accuracy": 0.9, "mean_accuracy": 0.8},
        other_language="eng_Latn",
        **changes,
    )


def test_etcls_tatoeba_numbers_bear_the_names_of_our_results():
    numbers = published.published_numbers(task="tatoeba")
    assert len(numbers) == 472
    both = {"LASER", "m-USE", "LaBSE"}
    for number in numbers:
        named = (number.metric, number.direction)
        wanted = ("mean_accuracy", "both") if number.model in both else ("accuracy", "unknown")
        assert named == wanted
    for direction in ("text_to_other", "other_to_text"):
        found = published.comparable(tatoeba_result(direction=direction))
        assert {number.model for number in found} == both


@needs_shared
def test_half_of_lasers_tatoeba_numbers_can_be_no_share_of_pairs_one_way():
    """With n pairs, one way gives k/n and the mean of both ways k/2n: the printed digits tell."""
    from polyglance.tasks import load_task

    pairs = load_task("tatoeba", SHARED).pairs
    fits: dict[str, list[tuple[bool, bool]]] = {}
    for number in published.published_numbers(task="tatoeba"):
        size = len(pairs.get(number.language, ()))
        if 0 < size < 990:  # a thousand pairs have every printed digit
            one_way, both_ways = (
                abs(100 * round(number.value * parts / 100) / parts - number.value) <= 0.05 + 1e-9
                for parts in (size, 2 * size)
            )
            fits.setdefault(number.model, []).append((one_way, both_ways))
    for model in ("LASER", "m-USE", "LaBSE"):
        assert len(fits[model]) == 40
        assert all(both_ways for _, both_ways in fits[model])
        assert sum(one_way for one_way, _ in fits[model]) < 30
    assert sum(one_way for one_way, _ in fits["MURAL(reprod.) + ETCL"]) == 38


def test_three_models_in_two_hundred_languages_take_no_time():
    languages = [row.id for row in all_languages()][:201]
    asked = [
        result(language=language, model=model, task="xtd200")
        for model in "abc"
        for language in languages
    ]
    published.comparable(asked[0])  # the tables are read
    start = time.perf_counter()
    for row in asked:
        published.comparable(row)
    assert time.perf_counter() - start < 0.25


OPEN_CLIP = shared_data.SHARED / "published" / "openclip_multilingual_retrieval_results.csv"


@shared_data.needs_shared
def test_nllb_siglip_mrl_stands_as_in_the_authors_file():
    of_file = {
        (one.model, one.language, one.task, one.metric, one.direction): one.printed
        for one in author_files.read_author_file(OPEN_CLIP)
        if one.model.endswith(" mrl") and one.task != "all"
    }
    of_table = {
        (one.model, one.language, one.task, one.metric, one.direction): one.printed
        for one in numbers_of("open-clip-table1")
    }
    assert of_table == of_file


@shared_data.needs_shared
def test_immichs_figures_are_the_means_of_open_clips():
    """Measured twice, by two: a misread digit shows, but for what only Immich has."""
    ranks = {}
    for one in author_files.read_author_file(OPEN_CLIP):
        if one.direction == "text_to_content" and one.task == "xm3600":
            name = one.model.replace(" ", "__").lower()
            ranks.setdefault((name, one.language), []).append(float(one.printed))
    compared = 0
    for number in numbers_of("immich-table1"):
        found = ranks.get((number.model.lower(), number.language))
        if found is not None and not number.model.endswith("__v1"):
            compared += 1
            assert 100 * sum(found) / 3 == pytest.approx(number.value, abs=0.05), number
    assert compared == 2 * 36 + 2 * 30
