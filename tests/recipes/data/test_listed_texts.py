"""What a teacher of vectors has no vector of is counted by kind, or left out on request."""

import pytest

import vector_teacher
from polyglance import errors
from polyglance.model.dual_encoder import load_side
from polyglance.recipes.data import listed_texts
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Pair
from small_world import PHRASES

PAIRS = [Pair(text, "eng_Latn", text[::-1], "deu_Latn") for text in (PHRASES[0], "x", "x", "y")]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return load_side(vector_teacher.write(tmp_path_factory.mktemp("v")), "text")


def given(policy, *, text, asks=("english", "parallel"), dev=PAIRS[:2]):
    data = TrainingData(english=[*PHRASES, "", "z"], parallel=PAIRS, related=PAIRS)
    return listed_texts.of_teacher(data, text, asks=asks, dev_parallel=dev, policy=policy)


def test_all_kinds_are_counted_and_the_first_ones_named(text):
    with pytest.raises(errors.TrainingError) as caught:
        given("refuse", text=text)
    said = caught.value.message
    assert "1 of 73 English texts (english), 2 of 3 English texts (parallel)" in said
    assert "1 of 2 English texts (dev_parallel), first 'z'" in said
    assert "leave-out" in caught.value.hint


def test_they_are_left_out_where_the_teacher_is_asked_and_nowhere_else(text):
    found = given("leave-out", text=text)
    assert found.training_data.english == [*PHRASES, ""]
    assert found.training_data.parallel == PAIRS[:1] == found.dev_parallel
    assert found.training_data.related == PAIRS
    counts = {"english": 1, "parallel": 2, "dev_parallel": 1}
    assert found.facts == {"texts_without_vector_left_out": counts}
    only = given("leave-out", text=text, asks=(), dev=())
    assert only.training_data.parallel == PAIRS
    assert only.facts == {}


def test_nothing_is_left_out_of_a_teacher_that_encodes(teacher):
    found = given("refuse", text=teacher.text)
    assert (len(found.training_data.english), found.facts) == (74, {})


def test_where_no_text_is_left_or_the_policy_is_none(text):
    with pytest.raises(
        errors.TrainingError, match=r"1 of 1 English texts \(dev_parallel\)"
    ) as caught:
        given("leave-out", text=text, dev=PAIRS[1:2])
    assert "leave-out" not in caught.value.hint
    with pytest.raises(errors.UnknownNameError, match="drop"):
        given("drop", text=text)
