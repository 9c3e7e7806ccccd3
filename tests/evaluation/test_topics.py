"""Topic matching is scored as a loop does it: right where vectors are topics, else at chance."""

from dataclasses import replace

import numpy as np
import pytest

from polyglance import errors, evaluation
from polyglance.evaluation.topics import right
from polyglance.sources.mvl_sib import TOPICS, Sentence, image_names
from polyglance.tasks.topics import REFERENCES, TopicData
from polyglance.vectors import unit


def data(num_each=5):
    sentences = [
        Sentence(number, topic, f"{topic} {number}")
        for number, topic in enumerate(TOPICS * num_each)
    ]
    names = image_names()
    return TopicData(
        task="mvl-sib",
        item_ids=names,
        topics=tuple(name.rpartition("_")[0] for name in names),
        sentences={"deu_Latn": sentences},
    )


def measured(vector_of, contents):
    encoder = evaluation.FunctionEncoder(
        lambda texts: [vector_of(text) for text in texts], model_id="m"
    )
    return evaluation.evaluate(encoder, data(), contents=contents, name="m", model_id="m")


def test_a_language_with_too_little_to_ask_is_told():
    few = replace(data(), sentences={"deu_Latn": [Sentence(0, "travel", "eine Reise")]})
    aside = []
    rows = evaluation.evaluate(
        evaluation.FunctionEncoder(lambda texts: [[1.0, 0.0] for _ in texts], model_id="m"),
        few,
        contents=np.tile([1.0, 0.0], (70, 1)).astype(np.float32),
        name="m",
        model_id="m",
        set_aside=aside.append,
    )
    assert rows == []
    assert [(one.id, one.reason) for one in aside] == [("deu_Latn", evaluation.NOTHING_TO_ASK)]


def one_hot(name):
    """Its topic; what has none, as the text that a width is asked with, counts as the first."""
    topic = name.replace("_", " ").partition(" ")[0]
    return np.eye(len(TOPICS))[TOPICS.index(topic) if topic in TOPICS else 0]


def test_vectors_that_are_topics_are_always_right():
    rows = measured(one_hot, np.array([one_hot(n) for n in image_names()], np.float32))
    assert [(row.direction, row.variant) for row in rows] == [
        (direction, f"{n} reference{'s' if n > 1 else ''}")
        for n in REFERENCES
        for direction in ("content_to_text", "text_to_content")
    ]
    for row in rows:
        assert row.values == {"accuracy": 1.0}
        assert (row.num_queries, row.num_candidates) == (3 * 35, 4)
        assert row.intervals["accuracy"][1] == 1.0


def test_vectors_that_are_all_the_same_are_right_one_time_in_four():
    rows = measured(lambda text: [1.0, 0.0], np.tile([1.0, 0.0], (70, 1)).astype(np.float32))
    assert {row.values["accuracy"] for row in rows} == {0.25}


def test_scores_are_those_of_a_loop_over_questions():
    rng = np.random.default_rng(1)
    drawn = {s.text: rng.normal(size=6) for s in data().sentences["deu_Latn"]}
    contents = unit(rng.normal(size=(70, 6)).astype(np.float32))
    rows = measured(lambda text: drawn.get(text, np.ones(6)), contents)
    vectors = unit(np.array(list(drawn.values()), np.float32))
    for row in rows:
        asked = data().questions("deu_Latn", num_references=int(row.variant.split()[0]))
        if row.direction == "content_to_text":
            sides = (contents, asked.images, vectors, asked.sentences)
        else:
            sides = (vectors, asked.asking, contents, asked.choices)
        hits = 0
        for references, candidates in zip(sides[1].tolist(), sides[3].tolist(), strict=True):
            mean = sum(sides[0][r].astype(float) for r in references) / len(references)
            cosines = [float(mean @ sides[2][c]) / np.linalg.norm(mean) for c in candidates]
            hits += cosines.index(max(cosines)) == 0
        assert row.values["accuracy"] == pytest.approx(hits / len(asked.images))


def test_a_model_of_another_width():
    with pytest.raises(errors.VectorError, match="must share a space"):
        measured(one_hot, np.eye(70, 5, dtype=np.float32))


def test_the_mean_of_references_asks():
    ways = np.eye(3, dtype=np.float32)
    references = ways[[[0, 0, 1]]]
    assert right(references, ways[[[0, 1, 2, 2]]]).tolist() == [1.0]
    assert right(references, ways[[[1, 0, 2, 2]]]).tolist() == [0.0]
