"""Joined data counts what it leaves out; draws have exact shares and repeat by seed and epoch."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import small_world
from polyglance import errors
from polyglance.recipes.data import image_text
from polyglance.recipes.data import sampling as draws
from polyglance.records import Caption, Pair


def unit_rows(count, width=4, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def said(spoken):
    """Data of contents 0, 1, ... from the languages of each, one caption a language."""
    captions = [
        Caption(str(row), f"{language} {row}", language)
        for row, languages in enumerate(spoken)
        for language in languages.split()
    ]
    ids = [str(row) for row in range(len(spoken))]
    return image_text.join(captions, item_ids=ids, contents=unit_rows(len(ids)))


def languages_drawn(data, rows):
    return [data.captions[row].language for row in rows.tolist()]


def gathered(batches, name):
    return torch.cat([getattr(batch, name) for batch in batches])


def test_join_counts_what_it_leaves_out():
    captions = [
        Caption("a", "one", "eng_Latn"),
        Caption("a", "one", "eng_Latn"),
        Caption("a", "one", "deu_Latn"),
        Caption("b", "  ", "eng_Latn"),
        Caption("b", "two", "eng_Latn"),
        Caption("gone", "three", "eng_Latn"),
    ]
    vectors = unit_rows(3)
    data = image_text.join(
        captions, item_ids=["x", "b", "a"], contents=vectors, features=2 * vectors
    )
    assert data.item_ids == ("b", "a")
    np.testing.assert_array_equal(data.contents, vectors[1:])
    np.testing.assert_array_equal(data.features, 2 * vectors[1:])
    assert data.content_of.tolist() == [1, 1, 0]
    assert vars(data.left_out) == {
        "captions_without_content": 1,
        "contents_without_caption": 1,
        "empty_texts": 1,
        "repeated_captions": 1,
    }
    facts = data.facts()
    assert (facts["num_contents"], facts["num_captions"], facts["num_languages"]) == (2, 3, 2)
    assert facts["languages_with_too_little_text"] == ["deu_Latn", "eng_Latn"]


def test_ten_captions_are_enough_for_a_language():
    data = said(["eng_Latn deu_Latn"] * 9 + ["eng_Latn"])
    assert data.thin_languages() == ["deu_Latn"]


def test_taking_contents_keeps_their_captions():
    data = said(["a b", "a", "b", "a b"])
    part = data.take(np.array([3, 1]))
    assert part.item_ids == ("3", "1")
    assert [caption.text for caption in part.captions] == ["a 1", "a 3", "b 3"]
    assert part.content_of.tolist() == [1, 0, 0]
    assert data.speaking("b").item_ids == ("0", "2", "3")


def test_dev_contents_are_apart():
    data = said(["a b"] * 50)
    rest, dev = image_text.split(data, dev_fraction=0.2, seed=3)
    assert len(dev.item_ids) == 10
    assert set(dev.item_ids) | set(rest.item_ids) == set(data.item_ids)
    assert len(rest.captions) + len(dev.captions) == len(data.captions)
    assert image_text.split(data, dev_fraction=0, seed=3) == (data, None)
    with pytest.raises(errors.ConfigError, match=r"dev_fraction 0.7"):
        image_text.split(data, dev_fraction=0.7, seed=0)


@pytest.mark.parametrize(
    ("ids", "vectors", "error", "message"),
    [
        (["a", "a"], unit_rows(2), errors.InputError, "first 'a'"),
        (["a", "b", "c"], unit_rows(2), errors.VectorError, r"\(2, 4\) for 3 ids"),
        (["a", "b"], 2 * unit_rows(2), errors.VectorError, "not of length one, first row 0"),
        (["a", "b"], np.full((2, 4), np.nan), errors.VectorError, "not of length one"),
        (["a", "q"], unit_rows(2), errors.InputError, r"1 of 2 contents have a caption"),
    ],
)
def test_bad_data(ids, vectors, error, message):
    captions = [Caption(name, "text", "eng_Latn") for name in "abc"]
    with pytest.raises(error, match=message):
        image_text.join(captions, item_ids=ids, contents=vectors)


def test_equal_shares_are_exact_and_each_image_comes_once():
    data = said(["a b c"] * 31)
    draw = draws.caption_batches(data, batch_size=8, sampling="equal", seed=0)
    seen = Counter()
    for epoch in range(3):
        batches = list(draw(epoch))
        assert sorted(len(batch.contents) for batch in batches) == [7, 8, 8, 8]
        contents = gathered(batches, "contents")
        assert sorted(contents.tolist()) == list(range(31))
        captions = gathered(batches, "captions")
        assert [data.content_of[row] for row in captions] == contents.tolist()
        seen.update(languages_drawn(data, captions))
    assert set(seen.values()) == {31}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "a b", "a b c", "c"]), min_size=2, max_size=30),
    st.integers(0, 99),
)
def test_equal_shares_whatever_is_spoken(spoken, seed):
    data = said(spoken)
    draw = draws.caption_batches(data, batch_size=8, sampling="equal", seed=seed)
    num_languages = len(data.languages)
    count = Counter()
    for epoch in range(num_languages):  # M L draws: M of each language, exactly
        captions = gathered(list(draw(epoch)), "captions")
        assert len(captions) == len(spoken)
        count.update(languages_drawn(data, captions))
    assert dict(count) == dict.fromkeys(data.languages, len(spoken))


def test_unused_images_go_first():
    # `b` has one content and half of the draws; `a` has the other nine once each, as far as it goes
    data = said(["a b"] + ["a"] * 9)
    draw = draws.caption_batches(data, batch_size=10, sampling="equal", seed=0)
    (batch,) = draw(0)
    drawn = Counter(
        zip(batch.contents.tolist(), languages_drawn(data, batch.captions), strict=True)
    )
    assert drawn[0, "b"] == 5
    assert sorted(drawn.values()) == [1] * 5 + [5]


def test_proportional_draws_follow_the_captions():
    captions = [Caption(str(i), f"{n} {i}", "a") for i in range(200) for n in range(4)]
    captions += [Caption(str(i), f"b {i}", "b") for i in range(200)]
    data = image_text.join(captions, item_ids=[str(i) for i in range(200)], contents=unit_rows(200))
    shares = {}
    for sampling in ("equal", "proportional"):
        draw = draws.caption_batches(data, batch_size=50, sampling=sampling, seed=0)
        batches = [batch for epoch in range(5) for batch in draw(epoch)]
        assert Counter(gathered(batches, "contents").tolist()) == dict.fromkeys(range(200), 5)
        shares[sampling] = languages_drawn(data, gathered(batches, "captions")).count("b") / 1000
    assert shares["equal"] == 0.5
    assert 0.16 < shares["proportional"] < 0.24


def test_draws_repeat_by_seed_and_epoch():
    data = said(["a b c", "a b"] * 20)
    pairs = draws.parallel_texts([Pair(f"a{i}", "a", f"b{i}", "b") for i in range(20)])
    for make in (
        lambda seed: draws.caption_batches(data, batch_size=8, sampling="equal", seed=seed),
        lambda seed: draws.caption_batches(data, batch_size=8, sampling="proportional", seed=seed),
        lambda seed: draws.triple_batches(data, batch_size=8, seed=seed),
        lambda seed: draws.text_pair_batches(pairs, batch_size=8, seed=seed),
    ):
        drawn = [
            torch.cat([torch.stack(list(vars(batch).values())) for batch in make(seed)(epoch)], 1)
            for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
        ]
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        assert not torch.equal(drawn[0], drawn[3])


def test_language_pairs_are_uniform_and_unordered():
    # a-d never occurs together; c-d does in one content only
    data = said(["a b c"] * 20 + ["c d", "b d"])
    draw = draws.triple_batches(data, batch_size=8, seed=0)
    batches = [batch for epoch in range(10) for batch in draw(epoch)]  # 220 triples, five pairs
    first, second = gathered(batches, "first"), gathered(batches, "second")
    contents = gathered(batches, "contents").tolist()
    assert [data.content_of[row] for row in first] == contents
    assert [data.content_of[row] for row in second] == contents
    ordered = Counter(zip(languages_drawn(data, first), languages_drawn(data, second), strict=True))
    unordered = Counter()
    for pair, count in ordered.items():
        unordered[frozenset(pair)] += count
    assert dict(unordered) == {frozenset(pair): 44 for pair in ("ab", "ac", "bc", "cd", "bd")}
    assert all(10 < ordered[a, b] < 34 for a, b in ("ab", "ba", "cd", "dc"))


def test_pairs_with_one_language():
    data = said(["a b c"] * 10 + ["b c"] * 10)
    draw = draws.caption_pair_batches(data, one_of_them="a", batch_size=8, seed=0)
    batches = [batch for epoch in range(2) for batch in draw(epoch)]
    pairs = zip(
        languages_drawn(data, gathered(batches, "first")),
        languages_drawn(data, gathered(batches, "second")),
        strict=True,
    )
    assert Counter(map(frozenset, pairs)) == {frozenset("ab"): 20, frozenset("ac"): 20}
    assert [data.content_of[row] for batch in batches for row in batch.first] == [
        row for batch in batches for row in batch.groups.tolist()
    ]
    with pytest.raises(errors.InputError, match="captions in z and another"):
        draws.caption_pair_batches(data, one_of_them="z", batch_size=8, seed=0)


def test_pairs_of_any_two_languages():
    """English stands in the middle: each text meets all that say the same, whatever the pair."""
    pairs = [
        Pair(f"en {i}", "eng", f"{name} {i}", name) for i in range(10) for name in ("deu", "fra")
    ]
    pairs.append(Pair("hu 0", "hun", "fi 0", "fin"))
    data = draws.parallel_texts([*pairs, Pair("hu 1", "hun", "fi 1", "fin")])
    batches = [b for e in range(3) for b in draws.group_pair_batches(data, batch_size=8, seed=0)(e)]
    first, second = (gathered(batches, name).tolist() for name in ("first", "second"))
    seen = Counter(
        frozenset((data.languages[a], data.languages[b]))
        for a, b in zip(first, second, strict=True)
    )
    wanted = ({"eng", "deu"}, {"eng", "fra"}, {"deu", "fra"}, {"hun", "fin"})
    assert set(seen) == set(map(frozenset, wanted))
    assert max(seen.values()) - min(seen.values()) <= 1
    for a, b in zip(first, second, strict=True):
        assert data.texts[a].split()[1] == data.texts[b].split()[1]
    groups = gathered(batches, "groups").tolist()
    told = {}
    for a, b, group in zip(first, second, groups, strict=True):
        for row in (a, b):
            assert told.setdefault(row, group) == group


def test_the_second_stream_goes_on_through_the_epochs_of_the_first():
    data = said(["a"] * 6)
    pairs = draws.parallel_texts([Pair(f"a{i}", "a", f"b{i}", "b") for i in range(8)])
    leading = draws.caption_batches(data, batch_size=2, sampling="equal", seed=0)  # 3 an epoch
    following = draws.text_pair_batches(pairs, batch_size=2, seed=0)  # 4 an epoch
    draw = draws.side_by_side(leading, following)
    found = [pair.first.tolist() for epoch in range(4) for _, pair in draw(epoch)]
    assert found == [pair.first.tolist() for epoch in range(3) for pair in following(epoch)]
    pictures = [picture.contents.tolist() for picture, _ in draw(1)]
    assert pictures == [picture.contents.tolist() for picture in leading(1)]


def test_three_rows_in_twos_are_one_batch():
    draw = draws.caption_batches(said(["a"] * 3), batch_size=2, sampling="equal", seed=0)
    assert [len(batch.contents) for batch in draw(0)] == [3]


def test_translations_by_uniform_language_pair():
    many = [Pair(f"en {i}", "eng", f"de {i}", "deu") for i in range(90)]
    few = [Pair(f"fi {i}", "fin", f"en {i}", "eng") for i in range(10)]
    data = draws.parallel_texts([*many, *few, few[0], Pair(" ", "eng", "leer", "deu")])
    assert (len(data.first), len(data.texts)) == (100, 190)
    # "fi 3", "en 3" and "de 3" say the same
    assert data.groups[3] == data.groups[93]
    assert len(set(data.groups.tolist())) == 90
    batches = list(draws.text_pair_batches(data, batch_size=30, seed=0)(0))
    finnish = [data.languages[row] == "fin" for row in gathered(batches, "first").tolist()]
    assert sum(finnish) == 50


def test_too_little_to_draw_from():
    data = said(["a", "b", "a"])
    with pytest.raises(errors.InputError, match="captions in one language and another"):
        draws.triple_batches(data, batch_size=8, seed=0)
    with pytest.raises(errors.InputError, match="1 different pairs"):
        draws.parallel_texts([Pair("a", "x", "b", "y")] * 2)
    with pytest.raises(errors.ConfigError, match="a batch of 1"):
        draws.caption_batches(data, batch_size=1, sampling="equal", seed=0)


def test_the_small_world_joins(teacher):
    pictures = [small_world.draw(phrase, seed=1) for phrase in small_world.PHRASES]
    captions = [c for language in small_world.LANGUAGES for c in small_world.captions(language)]
    ids = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
    data = image_text.join(captions, item_ids=ids, contents=teacher.encode_items(pictures))
    assert not any(vars(data.left_out).values())
    assert len(data.captions) == 3 * len(ids)


def test_which_of_two_languages_comes_first_is_a_coin(teacher):
    captions = [c for name in ("eng_Latn", "deu_Latn") for c in small_world.captions(name)]
    ids = [c.item_id for c in small_world.captions("eng_Latn")]
    data = image_text.join(captions, item_ids=ids, contents=unit_rows(len(ids)))
    assert data.languages == ("deu_Latn", "eng_Latn")  # sorted, so that draws do not depend on
    batches = draws.triple_batches(data, batch_size=36, seed=0)(0)
    first = np.concatenate([batch.first.numpy() for batch in batches])
    assert 0.3 < float(np.mean(data.language_of[first] == 0)) < 0.7
