"""The relevance map and the caption policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance.errors import InputError, UnknownNameError
from polyglance.metrics.relevance import Relevance, Repeats, apply_caption_policy, count_repeats
from polyglance.records import Caption


def caption(item_id, text, language="deu_Latn"):
    return Caption(item_id, text, language)


CAPTIONS = [
    caption("a", "Hund"),
    caption("a", "ein Hund"),
    caption("gone", "Katze"),
    caption("b", "Hund"),
    caption("c", "Haus"),
    caption("c", "Haus"),
]
IDS = ["c", "b", "a"]


@given(st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=8))
def test_transposing_keeps_the_pairs(positives):
    relevance = Relevance.of([sorted(each) for each in positives])
    back = relevance.transpose(7)
    pairs = {(row, column) for row, each in enumerate(positives) for column in each}
    assert {(row, column) for column, rows in enumerate(back.to_lists()) for row in rows} == pairs
    assert back.num_queries == 7
    assert back.transpose(len(positives)).to_lists() == relevance.to_lists()


def test_one_positive_a_query_from_an_array():
    relevance = Relevance.of(np.array([3, 1, 1]))
    assert relevance.to_lists() == [[3], [1], [1]]
    assert relevance.counts.tolist() == [1, 1, 1]


def test_no_queries_at_all():
    assert Relevance.of([]).to_lists() == []


@pytest.mark.parametrize("array", [np.array([0.5, 1.0]), np.zeros((2, 2), dtype=int)])
def test_relevance_arrays_are_flat_integers(array):
    with pytest.raises(InputError, match="integer array"):
        Relevance.of(array)


@pytest.mark.parametrize(
    ("relevance", "message"),
    [
        (Relevance.of([[0]]), "for 1 queries; there are 2"),
        (Relevance.of([[0], [3]]), "query 1 has candidate 3"),
        (Relevance.of([[-1], [0]]), "query 0 has candidate -1"),
        (Relevance.of([[0], [1, 1]]), "same pair"),
        (Relevance(offsets=np.array([0, 2, 1]), indices=np.array([0])), "ascend"),
        (Relevance(offsets=np.array([0, 1, 1]), indices=np.array([0, 1])), "ascend"),
    ],
)
def test_relevance_that_does_not_fit_is_refused(relevance, message):
    with pytest.raises(InputError, match=message):
        relevance.check(num_queries=2, num_candidates=3)


def test_policy_first_takes_the_first_caption_of_each_content():
    queries = apply_caption_policy(CAPTIONS, policy="first", item_ids=IDS)
    assert queries.texts == ("Hund", "Hund", "Haus")
    assert queries.relevance.to_lists() == [[2], [1], [0]]
    assert queries.caption_rows.tolist() == [0, 3, 4]
    assert (queries.num_without_content, queries.num_beyond_first) == (1, 2)
    assert queries.repeats == Repeats(num_repeated=1, most_repeated="Hund", times=2)


def test_policy_all_takes_every_caption_with_content():
    queries = apply_caption_policy(CAPTIONS, policy="all", item_ids=IDS)
    assert queries.texts == ("Hund", "ein Hund", "Hund", "Haus", "Haus")
    assert queries.relevance.to_lists() == [[2], [2], [1], [0], [0]]
    assert queries.caption_rows.tolist() == [0, 1, 3, 4, 5]
    assert (queries.num_without_content, queries.num_beyond_first) == (1, 0)


def test_policy_unique_gives_a_repeated_text_all_its_content():
    queries = apply_caption_policy(CAPTIONS, policy="unique", item_ids=IDS)
    assert queries.texts == ("Hund", "ein Hund", "Haus")
    assert queries.relevance.to_lists() == [[1, 2], [2], [0]]
    assert queries.caption_rows.tolist() == [0, 1, 4]
    assert queries.repeats == Repeats(num_repeated=2, most_repeated="Hund", times=2)
    assert queries.num_beyond_first == 0


@given(st.lists(st.sampled_from("abcd")))
def test_repeats_against_a_plain_count(texts):
    found = count_repeats(texts)
    assert found.num_repeated == sum(text in texts[:row] for row, text in enumerate(texts))
    most = max(map(texts.count, texts), default=0)
    assert found.times == (most if most > 1 else 0)
    assert texts.count(found.most_repeated) == found.times


def test_a_missing_content_shifts_nothing():
    queries = apply_caption_policy(CAPTIONS, policy="all", item_ids=["b"])
    assert queries.texts == ("Hund",)
    assert queries.relevance.to_lists() == [[0]]
    assert queries.num_without_content == 5


def test_an_unknown_policy_is_refused():
    with pytest.raises(UnknownNameError, match="first"):
        apply_caption_policy(CAPTIONS, policy="frist", item_ids=IDS)


@pytest.mark.parametrize(
    ("captions", "ids", "message"),
    [
        (CAPTIONS, ["a", "a"], "1 distinct"),
        (CAPTIONS, ["z"], "none of 6"),
        ([], ["z"], "none of 0"),
        ([*CAPTIONS, caption("a", "dog", "eng_Latn")], IDS, "2 languages"),
    ],
)
def test_captions_that_cannot_be_asked_with_are_refused(captions, ids, message):
    with pytest.raises(InputError, match=message):
        apply_caption_policy(captions, policy="first", item_ids=ids)
