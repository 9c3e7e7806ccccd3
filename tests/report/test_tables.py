from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_results import BASELINE, MODELS, NUM_CANDIDATES, fake_results
from polyglance import errors
from polyglance.report import building, tables
from polyglance.report.tables import Figure
from polyglance.results.schema import Result

ROWS = fake_results(num_languages=12)


def sections(rows: list[Result], models=MODELS, baseline=BASELINE):
    return building.build_sections(rows, model_order=models, baseline=baseline)


def result(model="a", language="eng_Latn", value=0.5, **changes) -> Result:
    row = Result(
        task="t",
        split="test",
        language=language,
        direction="text_to_content",
        metric="hit_rate",
        caption_policy="first",
        values={"hit_rate_at_10": value},
        num_queries=10,
        num_candidates=20,
        model=model,
        model_id=f"id of {model}",
        data_id=f"data of {language}",
    )
    return replace(row, **changes)


def test_one_section_with_every_view_the_main_one_first():
    (section,) = sections(ROWS)
    assert section.models == MODELS
    assert section.languages[0] == "eng_Latn"
    assert list(section.languages[1:]) == sorted(section.languages[1:])
    assert section.splits == ("seen", "held_out")
    assert section.options("direction") == ("text_to_content", "content_to_text")
    assert section.options("value") == ("hit_rate_at_10", "hit_rate_at_5", "hit_rate_at_1")
    assert len(section.views) == 2 * 2 * 3


def test_every_number_stands_in_the_view_that_is_its_own():
    (section,) = sections(ROWS)
    for row in ROWS:
        for name, value in row.values.items():
            view = section.view(split=row.split, direction=row.direction, value=name)
            figure = view.figure(row.model, row.language)
            assert figure == Figure(value, *row.intervals[name])
            assert view.num_queries[row.language] == row.num_queries


def test_a_view_that_was_not_measured_is_none():
    (section,) = sections(ROWS)
    assert section.view(split="dev", direction="text_to_content", value="mrr") is None


@pytest.mark.parametrize(
    "changes", [{"metric": "recall"}, {"caption_policy": "all"}, {"task": "other"}]
)
def test_what_is_not_comparable_goes_into_sections_of_its_own(changes):
    rows = [result("a"), result("b", **changes)]
    assert rows[0].kind != rows[1].kind
    made = sections(rows, models=["a", "b"], baseline="a")
    assert [section.models for section in made] == [("a",), ("b",)]
    assert len(set(tables.section_names(made, modality="image"))) == 2


def test_sections_of_one_task_are_called_by_what_differs():
    rows = [result("a"), result("a", caption_policy="all"), result("a", task="other")]
    made = sections(rows, models=["a"], baseline="a")
    names = dict(
        zip(
            ((s.task, s.caption_policy) for s in made),
            tables.section_names(made, modality="image"),
            strict=True,
        )
    )
    assert names["other", rows[2].caption_policy] == "other"
    assert names[rows[1].task, "all"] == f"{rows[1].task} (all captions)"
    assert len(set(names.values())) == 3


@given(st.lists(st.sampled_from(ROWS), min_size=1, max_size=60))
def test_numbers_of_one_view_are_comparable_and_none_is_lost(rows):
    models = list(dict.fromkeys(row.model for row in rows))
    made = building.build_sections(rows, model_order=models, baseline=models[0])
    found = {
        (view.split, view.direction, view.value, model, language)
        for section in made
        for view in section.views
        for model, figures in view.figures.items()
        for language in figures
    }
    assert found == {
        (row.split, row.direction, name, row.model, row.language)
        for row in rows
        for name in row.values
    }


def test_the_mean_is_over_languages_that_all_models_have():
    rows = [
        result("a", "eng_Latn", 0.9),
        result("a", "deu_Latn", 0.2),
        result("a", "fra_Latn", 0.8),
        result("b", "deu_Latn", 0.4),
        result("b", "eng_Latn", 0.7),
    ]
    (section,) = sections(rows, models=["a", "b"], baseline="a")
    first, second = tables.headlines(section.views[0])
    assert (first.english, first.others, first.num_others) == (Figure(0.9), Figure(0.2), 1)
    assert (second.english, second.others, second.num_others) == (Figure(0.7), Figure(0.4), 1)


def test_headlines_as_a_plain_loop_has_them():
    (section,) = sections(ROWS)
    for view in section.views:
        for head in tables.headlines(view):
            mine = [
                row
                for row in ROWS
                if row.model == head.model
                and (row.split, row.direction) == (view.split, view.direction)
                and row.language != "eng_Latn"
            ]
            values = [row.values[view.value] for row in mine]
            lows = [row.intervals[view.value][0] for row in mine]
            assert head.others.value == pytest.approx(sum(values) / len(values))
            assert head.others.low == pytest.approx(sum(lows) / len(lows))
            assert head.num_others == len(mine) == 11


def test_without_english_or_without_others_the_headline_is_empty_there():
    (section,) = sections([result("a", "deu_Latn")], models=["a"], baseline="a")
    (head,) = tables.headlines(section.views[0])
    assert head.english is None
    (section,) = sections([result("a")], models=["a"], baseline="a")
    (head,) = tables.headlines(section.views[0])
    assert (head.others, head.num_others) == (None, 0)


def test_the_best_model_is_never_the_baseline():
    (section,) = sections(ROWS)
    main = section.views[0]
    assert tables.best_model(main, baseline=BASELINE) == "distill"
    assert tables.best_model(main, baseline="distill") != "distill"
    (alone,) = sections([result("a")], models=["a"], baseline="a")
    assert tables.best_model(alone.views[0], baseline="a") is None


def test_the_best_model_where_no_language_is_shared():
    rows = [
        result("a"),
        result("b", "deu_Latn", 0.3),
        result("c", "fra_Latn", 0.6),
    ]
    (section,) = sections(rows, models=["a", "b", "c"], baseline="a")
    assert tables.best_model(section.views[0], baseline="a") == "c"


def test_chance_is_k_of_the_candidates():
    (section,) = sections(ROWS)
    view = section.view(split="seen", direction="text_to_content", value="hit_rate_at_10")
    assert tables.chance(view) == pytest.approx(10 / NUM_CANDIDATES)
    other = section.view(split="seen", direction="content_to_text", value="hit_rate_at_10")
    assert tables.chance(other) is None
    few = sections([result(num_candidates=4)], models=["a"], baseline="a")[0].views[0]
    assert tables.chance(few) == 1.0


def test_chance_is_not_said_of_other_values_or_of_varying_candidates():
    rows = [result(values={"mrr": 0.5})]
    assert tables.chance(sections(rows, models=["a"], baseline="a")[0].views[0]) is None
    rows = [result(), result(language="deu_Latn", num_candidates=7)]
    assert tables.chance(sections(rows, models=["a"], baseline="a")[0].views[0]) is None


def test_order_of_a_model_best_first_missing_last():
    rows = [
        result("a", "deu_Latn", 0.2),
        result("a", "fra_Latn", 0.8),
        result("a", "spa_Latn", 0.8),
        result("b", "eng_Latn", 0.4),
    ]
    (section,) = sections(rows, models=["a", "b"], baseline="a")
    order = tables.in_order_of(section.views[0], section.languages, model="a")
    assert order == ["fra_Latn", "spa_Latn", "deu_Latn", "eng_Latn"]


def test_equal_results_count_once():
    assert sections([*ROWS, *ROWS]) == sections(ROWS)


def test_numbers_that_are_not_finite_are_missing():
    rows = [result(value=math.nan), result(language="deu_Latn", value=0.5)]
    (section,) = sections(rows, models=["a"], baseline="a")
    assert section.views[0].figure("a", "eng_Latn") is None
    with pytest.raises(errors.ResultError, match="no number"):
        sections([result(value=math.nan)], models=["a"], baseline="a")


def test_drops_count_once_a_language():
    (section,) = sections(ROWS)
    by_reason = {dropped.reason: dropped for dropped in section.dropped}
    repeated = {row.language: row.num_dropped["captions_repeated"] for row in ROWS}
    assert by_reason["captions_repeated"].total == sum(repeated.values())
    assert by_reason["captions_repeated"].most == max(repeated.values())
    assert repeated[by_reason["captions_repeated"].most_language] == max(repeated.values())
    assert by_reason["items_missing"].total == 3 * 12
    assert "captions_without_content" not in by_reason


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (result("b", data_id="other"), "other texts or content items"),
        (result("a", value=0.6), "two results of 'a'"),
        (result("a", "deu_Latn", model_id="other"), "two models are called 'a'"),
    ],
)
def test_what_may_not_stand_side_by_side_is_refused(second, message):
    rows = [result("a"), result("b"), second] if second.model == "a" else [result("a"), second]
    with pytest.raises(errors.ResultError, match=message):
        sections(rows, models=["a", "b"], baseline="a")


def test_models_must_be_named_and_measured():
    with pytest.raises(errors.UnknownNameError, match="model among the results 'b'"):
        sections([result("a"), result("b")], models=["a"], baseline="a")
    with pytest.raises(errors.UnknownNameError, match="baseline 'c'"):
        sections([result("a")], models=["a"], baseline="c")
    with pytest.raises(errors.ResultError, match="no results of 'b'"):
        sections([result("a")], models=["a", "b"], baseline="a")
    with pytest.raises(errors.ResultError, match="no results were given"):
        sections([], models=[], baseline="a")


def test_clear_of_is_symmetric_and_strict():
    low, high = Figure(0.2, 0.1, 0.3), Figure(0.5, 0.3, 0.6)
    assert not low.clear_of(high)
    assert not high.clear_of(low)
    assert Figure(0.2, 0.1, 0.29).clear_of(high)
    assert high.clear_of(Figure(0.2, 0.1, 0.29))
    assert not low.clear_of(Figure(0.9))
    assert not Figure(0.9).clear_of(low)


def test_results_without_counts_have_no_chance_level():
    """As another tool's results come back: how many candidates there were is not known."""
    (section,) = sections([replace(row, num_queries=0, num_candidates=0) for row in ROWS])
    assert [tables.chance(view) for view in section.views] == [None] * len(section.views)
