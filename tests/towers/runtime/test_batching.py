"""Distinct texts are encoded once, in batches that cover every row exactly once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.towers.runtime import batching


def encoder(seen=None, **settings):
    """A tower whose vector is the text's length and its first id, and which notes its batches."""

    def forward(batch):
        ids = batch["input_ids"]
        mask = batch.get("attention_mask", np.ones_like(ids))
        if seen is not None:
            seen.append((ids.tolist(), "attention_mask" in batch))
        return np.stack([mask.sum(1), (ids * mask).sum(1)], axis=1).astype(np.float32)

    def token_rows(texts, languages):
        tags = languages or [""] * len(texts)
        return [[ord(x) for x in text.lower() + tag] for text, tag in zip(texts, tags, strict=True)]

    parts = {"width": 2, "pad_id": 0, **settings}
    return batching.TextForward(token_rows=token_rows, forward=forward, **parts)


TEXTS = st.lists(st.text(alphabet="abAB", min_size=1, max_size=6), max_size=40)


@given(TEXTS, st.integers(1, 7))
def test_every_row_gets_its_own_vector_whatever_the_blocks(texts, rows_per_block):
    got = batching.encode_deduplicated(texts, encoder=encoder(), rows_per_block=rows_per_block)
    wanted = [(len(t), sum(ord(x) for x in t.lower())) for t in texts]
    np.testing.assert_array_equal(got, np.array(wanted, dtype=np.float32).reshape(-1, 2))
    assert got.dtype == np.float32


def test_repeats_and_equal_ids_are_encoded_once():
    seen = []
    batching.encode_deduplicated(["ab", "AB", "ab", "b"], encoder=encoder(seen))
    assert sum(len(ids) for ids, _ in seen) == 2
    count = batching.count_repeats(["ab", "AB", "ab", "b"], token_rows=encoder().token_rows)
    assert (count.rows, count.distinct_texts, count.distinct_token_rows) == (4, 3, 2)
    assert count.repeat_rate == 0.5


def test_no_texts_repeat_nothing():
    assert batching.count_repeats([], token_rows=encoder().token_rows).repeat_rate == 0.0


def test_the_language_is_part_of_a_text():
    got = batching.encode_deduplicated(["a", "a", "a"], ["x", "yy", "x"], encoder=encoder())
    assert got[:, 0].tolist() == [2, 3, 2]


def test_a_batch_of_one_length_has_no_mask():
    seen = []
    batching.encode_deduplicated(["ab", "ba", "a"], encoder=encoder(seen))
    assert seen == [([[97, 98], [98, 97], [97, 0]], True)]
    seen.clear()
    batching.encode_deduplicated(["ab", "bb"], encoder=encoder(seen))
    assert [mask for _, mask in seen] == [False]


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 90), st.integers(1, 50))
def test_batches_cover_every_row_once_within_the_budget(lengths, budget, fill):
    batches = list(batching.plan_batches(lengths, tokens_per_batch=budget, fill_tokens=fill))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(max(lengths[row] for row in batch), 1)
        assert len(batch) == 1 or longest * len(batch) <= budget
        # Padding is only there to fill a batch up.
        if len({lengths[row] for row in batch}) > 1:
            full = sum(lengths[row] == longest for row in batch)
            assert full * longest < fill


@pytest.mark.parametrize(
    ("texts", "languages", "message"),
    [
        ("one text", None, "a list of texts"),
        (["a", 3], None, "row 1 is int"),
        (["a"], ["deu_Latn", "fra_Latn"], "1 texts and 2 languages"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(texts, languages, message):
    with pytest.raises(errors.InputError, match=message):
        batching.distinct_texts(texts, languages)
