"""What the demo says follows from the results, and nothing else."""

import json

import pytest

from polyglance.demo import evaluation, output, stages
from polyglance.results.schema import Result


def row(model, language, split, rate, *, task="pictograms", direction="text_to_content"):
    return Result(
        task=task,
        split=split,
        language=language,
        direction=direction,
        metric="hit_rate",
        caption_policy="unique",
        values={"hit_rate_at_1": rate / 2, "hit_rate_at_5": rate, "hit_rate_at_10": rate},
        num_queries=10,
        num_candidates=100,
        model=model,
        model_id=model,
        data_id="d",
    )


def rows_of(model, english, others, held_out):
    found = [row(model, "eng_Latn", "seen", english), row(model, "eng_Latn", "held_out", held_out)]
    for language, rate in zip(("deu_Latn", "hin_Deva"), others, strict=True):
        found.append(row(model, language, "seen", rate))
        found.append(row(model, language, "held_out", held_out))
        found.append(row(model, language, "seen", 0.99, direction="content_to_text"))
    return found


@pytest.fixture
def results():
    sample = [
        row(evaluation.ENGLISH_MODEL, language, split, rate, task=evaluation.SAMPLE_TASK)
        for language, rate in (("eng_Latn", 0.5), ("deu_Latn", 0.1), ("hin_Deva", 0.0))
        for split in ("seen", "held_out")
    ]
    whole = [
        row(evaluation.ENGLISH_MODEL, "eng_Latn", split, 0.7) for split in ("seen", "held_out")
    ]
    return [
        *whole,
        *sample,
        *rows_of("distill", 0.7, (0.6, 0.5), 0.1),
        *rows_of("ridge", 0.7, (0.3, 0.1), 0.1),
        *rows_of("m2m", 0.7, (0.4, 0.2), 0.1),
        *rows_of(evaluation.CONTROL, 0.01, (0.01, 0.0), 0.0),
    ]


def test_summary(results):
    summary = output.summarise(results, best="distill", english_only="m2m")
    rates = summary["hit_rate_at_10"]
    assert (summary["languages"], summary["best_pack"]) == (3, "distill")
    assert summary["best_english_text_only"] == "m2m"
    # Measured on all names in English, on the sample elsewhere.
    assert rates["english_model"]["eng_Latn"] == 0.7
    assert rates["english_model"]["mean_others"] == pytest.approx(0.05)
    assert rates["language_pack"]["mean_others"] == pytest.approx(0.55)
    assert rates["english_text_only"]["mean_others"] == pytest.approx(0.3)
    assert rates["shuffled_control"]["mean_others_held_out"] == 0


def test_table_fits_a_terminal(results, capsys):
    summary = output.summarise(results, best="distill", english_only="m2m")
    answers = [output.Answer(language="hin_Deva", query="कुत्ता", hits=(("1f415.png", 0.5),))]
    output.show(summary, answers, {"1f415.png": "dog"})
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "70.0" in said
    assert "कुत्ता: dog" in said


def test_summary_is_written_with_seconds(tmp_path):
    output.write_summary({"languages": 3}, seconds={"a": 1.234, "b": 2.0}, out=tmp_path)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["seconds"] == {"a": 1.23, "b": 2.0, "total": 3.23}


def test_stages_say_what_they_do_and_how_long_it_took(capsys):
    timed = stages.Stages()
    with timed("boil water"):
        pass
    assert "boil water" in capsys.readouterr().out
    assert timed.seconds["boil water"] >= 0
