"""Captions find captions of their item: right against a plain loop, with ties and shared texts."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.evaluation import FunctionEncoder, per_query
from polyglance.evaluation.caption_text import caption_hits, score
from polyglance.evaluation.retrieval import KS
from polyglance.metrics.ranking import rank_statistics
from polyglance.records import Caption
from polyglance.tasks.caption_text import CaptionTextData

RNG = np.random.default_rng(3)


def made_up(num_items=9):
    """Items with one to three texts; some share a text, some have it twice, some lack English."""
    captions = {"eng_Latn": [], "deu_Latn": []}
    for item in range(num_items):
        for number in range(1 + item % 3):
            captions["eng_Latn"].append(Caption(f"i{item}", f"e{item}.{number}", "eng_Latn"))
        captions["deu_Latn"].append(Caption(f"i{item}", f"d{item // 2}", "deu_Latn"))
    captions["eng_Latn"].append(Caption("i0", "e1.0", "eng_Latn"))
    captions["eng_Latn"].append(Caption("i2", "e2.0", "eng_Latn"))
    captions["deu_Latn"].append(Caption("i99", "nobody", "deu_Latn"))
    captions["deu_Latn"].append(Caption("i0", "d0 more", "deu_Latn"))
    return CaptionTextData(task="t", captions=captions, asked=tuple(captions))


def encoder_of(data, *, num_levels):
    """Random vectors, with few distinct ones where ties are wanted."""
    table = {}
    levels = RNG.standard_normal((num_levels, 6))
    for rows in data.captions.values():
        for row in rows:
            table.setdefault(row.text, levels[RNG.integers(num_levels)])
    return FunctionEncoder(
        lambda texts: np.stack([table.get(text, levels[0]) for text in texts]), model_id="m"
    )


def naive(data, encoder, language, partner, k):
    """Each distinct text asks all others of the partner; random order of ties, by simulation."""

    def texts(who):
        return list(dict.fromkeys(row.text for row in data.captions[who]))

    def items(who, text):
        return {row.item_id for row in data.captions[who] if row.text == text}

    hits = []
    for text in texts(language):
        others = [other for other in texts(partner) if not (partner == language and other == text)]
        right = [bool(items(language, text) & items(partner, other)) for other in others]
        if not any(right):
            continue
        vectors = encoder.encode_texts([text, *others], languages=None).astype(np.float64)
        scores = (vectors[1:] @ vectors[0]).round(6)
        best = max(value for value, good in zip(scores, right, strict=True) if good)
        above = int((scores > best).sum())
        level = int((scores == best).sum())
        good = sum(1 for value, ok in zip(scores, right, strict=True) if ok and value == best)
        places = min(max(k - above, 0), level)
        # No right one among `places` of `level` drawn without return.
        missed = 1.0
        for draw in range(places):
            missed *= max(level - good - draw, 0) / (level - draw)
        hits.append(1 - missed)
    return hits


@pytest.mark.parametrize("num_levels", [200, 3, 1])
def test_hits_are_those_of_a_plain_loop(num_levels):
    data = made_up()
    encoder = encoder_of(data, num_levels=num_levels)
    for language in data.captions:
        ways = caption_hits(encoder, data, language=language, cache=None)
        partners = [(language, way.other_language, way.direction) for way in ways]
        expected = [(language, language, "text_to_other")]
        if language == "deu_Latn":
            expected += [
                (language, "eng_Latn", "text_to_other"),
                (language, "eng_Latn", "other_to_text"),
            ]
        assert partners == expected
        for way in ways:
            asks, found = language, way.other_language
            if way.direction == "other_to_text":
                asks, found = found, asks
            for column, k in enumerate(KS):
                right = naive(data, encoder, asks, found, k)
                # The loop goes through the texts in another order.
                assert sorted(way.hits[:, column]) == pytest.approx(sorted(right), abs=1e-9)


def test_results_say_what_was_asked():
    data = made_up()
    rows = score(
        encoder_of(data, num_levels=50),
        data,
        language="deu_Latn",
        contents=None,
        cache=None,
        name="m",
        model_id="m",
    )
    within, to_english, _ = rows
    assert (within.num_queries, within.num_candidates) == (2, 6)
    assert within.num_dropped["texts_without_another_of_their_item"] == 5
    assert to_english.num_dropped["captions_repeated"] == 4
    assert set(within.values) >= {"hit_rate_at_10", "mean_reciprocal_rank"}
    low, high = to_english.intervals["hit_rate_at_10"]
    assert low <= to_english.values["hit_rate_at_10"] <= high


def test_a_text_that_may_find_itself_would_always_do():
    data = made_up()
    encoder = encoder_of(data, num_levels=200)
    (found,) = caption_hits(encoder, data, language="eng_Latn", cache=None)
    assert found.hits[:, 0].mean() < 0.9


def test_models_are_compared_on_the_same_texts():
    data = made_up()
    asked = per_query.ask(
        encoder_of(data, num_levels=50), data, language="deu_Latn", contents=None, cache=None, k=1
    )
    assert [part.split for part in asked] == ["test", "test with eng_Latn", "test with eng_Latn"]
    assert all(set(part.clusters) <= set(part.members) for part in asked)


@pytest.mark.parametrize("excluded", [np.array([0]), np.array([0, 3]), np.array([1, 0])])
def test_exclusions_that_do_not_fit(excluded):
    with pytest.raises(errors.InputError, match="excluded"):
        rank_statistics(np.eye(2), np.eye(3)[:, :2], relevance=np.array([1, 2]), excluded=excluded)


def test_a_positive_level_with_the_query_itself():
    """A model that says the same of all: the query is one of the level ones, and is taken out."""
    rows = np.ones((4, 2))
    found = rank_statistics(rows, rows, relevance=np.array([1, 0, 3, 2]), excluded=np.arange(4))
    assert found.above.tolist() == [0] * 4
    assert found.tied_negatives.tolist() == [2] * 4
