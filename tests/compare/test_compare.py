"""A comparison says what to take: the cheapest of those that the best does not clearly beat."""

import dataclasses
import json

import numpy as np
import pytest

import compare_world
from polyglance import compare, errors
from polyglance.build.translators import CommandTranslator
from polyglance.compare import entries, scoring
from polyglance.compare.entries import data_cost
from polyglance.recipes import run
from polyglance.recipes.data.training_data import TrainingData


@pytest.fixture(scope="module")
def measured(teacher, tmp_path_factory):
    out = tmp_path_factory.mktemp("ladder")
    shared = compare_world.setup(teacher, out, translator=compare_world.translate)
    return shared, *compare.compare(shared, ["ridge", "distill", "uclip"])


def entry(comparison, name):
    return next(each for each in comparison.entries if each.name == name)


def test_every_way_is_measured_and_gains(measured):
    _, comparison, _ = measured
    assert [each.name for each in comparison.entries] == [
        "teacher",
        "translate",
        "ridge",
        "distill",
        "uclip",
    ]
    teacher = entry(comparison, "teacher")
    assert teacher.scores["test"]["others"].mean < 0.3
    for name in ("translate", "ridge", "distill", "uclip"):
        assert entry(comparison, name).gain["test"].low > 0.2
        # English goes to the teacher, whatever was trained.
        assert (
            entry(comparison, name).scores["test"]["English"] == teacher.scores["test"]["English"]
        )


def test_translating_perfectly_is_as_good_as_english(measured):
    _, comparison, _ = measured
    scores = entry(comparison, "translate").scores["test"]
    assert scores["others"].mean == pytest.approx(scores["English"].mean)


def test_costs_are_told(measured):
    _, comparison, _ = measured
    ridge = entry(comparison, "ridge")
    assert ridge.num_trainable_parameters == 40 * 24 + 24
    assert ridge.size_bytes > 984 * 4
    assert ridge.query_milliseconds == ridge.text_milliseconds > 0
    assert ridge.translation_milliseconds is None
    translated = entry(comparison, "translate")
    assert translated.translation_milliseconds < translated.query_milliseconds
    assert ridge.data == "English text"
    assert entry(comparison, "uclip").content == "head"
    low, high = entry(comparison, "distill").seed_spread["test"]
    assert low <= entry(comparison, "distill").scores["test"]["others"].mean <= high


def test_a_mean_is_that_of_the_languages(measured):
    _, comparison, results = measured
    ridge = entry(comparison, "ridge")
    others = [v for name, v in ridge.by_language["test"].items() if name != "eng_Latn"]
    assert ridge.scores["test"]["others"].mean == pytest.approx(np.mean(others))
    rows = {
        row.language: row.values["hit_rate_at_10"]
        for row in results
        if row.model == "teacher" and row.direction == "text_to_content"
    }
    assert entry(comparison, "teacher").by_language["test"] == pytest.approx(rows)


def test_the_advice_names_a_level_way_from_the_cheapest_data(measured):
    _, comparison, _ = measured
    named = comparison.advice.split()[1].rstrip(":")
    assert comparison.advice.startswith("Take ")
    best = max(comparison.entries, key=lambda each: each.dev_scores["others"].mean)
    taken = entry(comparison, named)
    assert data_cost(taken.data) <= data_cost(best.data)
    assert taken.on_front


def test_what_chooses_is_in_no_figure(measured):
    shared, comparison, results = measured
    assert (comparison.num_dev, comparison.num_contents) == (14, 72)
    assert {row.split for row in results} == {"test"}
    assert {row.num_queries for row in results if row.direction == "text_to_content"} == {58}
    # All items stay candidates.
    assert {row.num_candidates for row in results} == {72}
    cut = scoring.with_dev_split(shared.data)
    both = np.stack([cut.splits["test"], cut.splits[scoring.CHOSEN_ON]])
    assert (both.sum(axis=0) == 1).all()


def test_the_advice_is_chosen_on_dev_alone(measured):
    """The best on the reported items is not taken where the other items say otherwise."""
    _, comparison, _ = measured
    ridge, distill = entry(comparison, "ridge"), entry(comparison, "distill")
    better = dataclasses.replace(ridge.dev_scores["others"], mean=2.0)
    worse = dataclasses.replace(ridge.scores["test"]["others"], mean=0.0)
    one = dataclasses.replace(
        ridge, dev_scores={"others": better}, scores={"test": {"others": worse}}
    )
    told = dataclasses.replace(comparison, entries=(one, distill))
    hits = {name: climbed_of(low) for name, low in (("ridge", 0.9), ("distill", 0.1))}
    assert entries.advice_of(told, hits).startswith("Take ridge: R@10 0.0 %")


def climbed_of(rate):
    """A way that finds so many on the items that choose."""
    values = (np.arange(40)[:, None] < 40 * rate) * np.ones((1, 2))
    hits = scoring.Hits(
        languages=("eng_Latn", "deu_Latn"),
        values=values,
        present=np.ones(values.shape, bool),
        clusters=np.arange(40),
        by_seed=values.mean(axis=0, keepdims=True),
    )
    return entries.Measured(data="", hits={scoring.CHOSEN_ON: hits}, results=(), packs=())


def test_a_task_too_small_to_choose_on(teacher, tmp_path):
    few = compare_world.retrieval_data().only(
        compare_world.retrieval_data().item_ids[:19], reason="few"
    )
    shared = compare_world.setup(teacher, tmp_path, data=few)
    with pytest.raises(errors.ConfigError, match="has 19 items"):
        compare.compare(shared, ["ridge"])


def test_the_front_holds_no_dominated_way(measured):
    _, comparison, _ = measured
    ridge = entry(comparison, "ridge")
    worse = dataclasses.replace(
        ridge, name="worse", training_seconds=ridge.training_seconds + 9, data="parallel text"
    )
    marked = {each.name: each.on_front for each in entries.with_front([ridge, worse])}
    assert marked == {"ridge": True, "worse": False}


def test_what_was_trained_is_not_trained_again(measured, monkeypatch):
    shared, first, _ = measured

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "train", refuse)
    again, _ = compare.compare(shared, ["ridge", "distill", "uclip"])
    assert [each.scores for each in again.entries] == [each.scores for each in first.entries]


def test_a_way_without_its_data_is_left_out_and_said(teacher, tmp_path):
    nothing = TrainingData(english=compare_world.training_data(teacher).english)
    shared = compare_world.setup(teacher, tmp_path, training_data=nothing, seeds=(0,))
    comparison, _ = compare.compare(shared, ["ridge", "distill"])
    assert [each.name for each in comparison.entries] == ["teacher", "ridge"]
    assert "parallel text" in comparison.skipped["distill"]


def test_an_unknown_recipe_and_no_seed(teacher, tmp_path):
    shared = compare_world.setup(teacher, tmp_path)
    with pytest.raises(errors.UnknownNameError, match="rigde"):
        compare.compare(shared, ["rigde"])
    with pytest.raises(errors.ConfigError, match="no seed"):
        compare.compare(dataclasses.replace(shared, seeds=()), ["ridge"])


def test_it_is_written_as_plain_json(measured, tmp_path):
    _, comparison, _ = measured
    entries.write(comparison, tmp_path / "compare.json")
    read = json.loads((tmp_path / "compare.json").read_text())
    assert read["advice"] == comparison.advice
    assert read["entries"][2]["scores"]["test"]["others"]["mean"] == pytest.approx(
        entry(comparison, "ridge").scores["test"]["others"].mean
    )


def test_the_report_shows_the_comparison(measured, tmp_path):
    from polyglance.report import page

    _, comparison, results = measured
    path = page.write_report(
        tmp_path / "report.html",
        title="Which recipe?",
        results=results,
        model_order=[each.name for each in comparison.entries],
        baseline="teacher",
        facts={},
        comparison=comparison.as_json(),
    )
    text = path.read_text(encoding="utf-8")
    assert comparison.advice in text
    assert text.count("★") == 1 + sum(each.on_front for each in comparison.entries)


class TestCommandTranslator:
    def test_lines_go_through_a_command(self):
        upper = CommandTranslator(command="tr a-z A-Z")
        assert upper(["ein hund", "zwei\nhunde"], "deu_Latn") == ["EIN HUND", "ZWEI HUNDE"]

    def test_the_language_is_put_in(self):
        echo = CommandTranslator(command="sed 's/.*/{language}/'")
        assert echo(["x"], "deu_Latn") == ["deu"]

    @pytest.mark.parametrize("command", ["no-such-translator-at-all", "false"])
    def test_a_command_that_fails(self, command):
        with pytest.raises(errors.UnavailableError, match="does not translate deu_Latn"):
            CommandTranslator(command=command)(["x"], "deu_Latn")

    def test_another_number_of_lines(self):
        with pytest.raises(errors.InputError, match="gave 1 lines for 2"):
            CommandTranslator(command="head -n 1")(["a", "b"], "deu_Latn")


def test_a_way_that_is_worse_than_the_teacher_is_never_on_the_front(measured):
    _, comparison, _ = measured
    ridge = entry(comparison, "ridge")
    lost = dataclasses.replace(
        ridge, name="lost", dev_gain=dataclasses.replace(ridge.dev_gain, mean=-0.1)
    )
    assert not entries.with_front([lost])[0].on_front
