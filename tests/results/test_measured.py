"""Scores of a pack's card: from results, with both ends of each interval."""

from dataclasses import replace

from polyglance.results import measured
from polyglance.results.schema import Result

ROW = Result(
    task="flickr8k",
    split="test",
    language="deu_Latn",
    direction="text_to_content",
    metric="hit_rate",
    caption_policy="first",
    values={"hit_rate_at_1": 0.25, "hit_rate_at_5": 0.5, "hit_rate_at_10": 0.61234},
    intervals={
        "hit_rate_at_1": (0.2, 0.3),
        "hit_rate_at_5": (0.4, 0.6),
        "hit_rate_at_10": (0.58, 0.65),
    },
    num_queries=912,
    num_candidates=1000,
    model="photos",
    model_id="m",
    data_id="d",
)


def test_hit_rates_of_texts_by_language():
    back = replace(ROW, direction="content_to_text")
    other = replace(ROW, language="fra_Latn", intervals={})
    found = measured.of_results([ROW, back, other, replace(ROW, metric="accuracy")])
    assert list(found) == ["flickr8k"]
    task = found["flickr8k"]
    assert (task["split"], task["caption_policy"], task["num_candidates"]) == (
        "test",
        "first",
        1000,
    )
    assert task["languages"]["deu_Latn"] == {
        "num_queries": 912,
        "hit_rate_at_1": [0.25, 0.2, 0.3],
        "hit_rate_at_5": [0.5, 0.4, 0.6],
        "hit_rate_at_10": [0.6123, 0.58, 0.65],
    }
    assert task["languages"]["fra_Latn"]["hit_rate_at_1"] == [0.25, 0.25, 0.25]


def test_cells_are_per_cent_with_intervals():
    scores = measured.of_results([ROW])["flickr8k"]["languages"]["deu_Latn"]
    assert measured.cells(scores)[-1] == "61.2 [58.0, 65.0]"


def test_nothing_measured_is_nothing():
    assert measured.of_results([]) == {}
