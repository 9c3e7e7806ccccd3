"""The losses of MURAL and ETCL against literal loops over their equations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import (
    assert_same_value_and_gradients,
    contrasts,
    groups_of,
    learning_rows,
    naive_one_way,
    options_of,
    pair_shapes,
)
from polyglance import errors
from polyglance.losses import etcl


@settings(deadline=None, max_examples=15)
@given(pair_shapes, st.integers(2, 6), contrasts)
def test_mural_is_half_the_sum_of_four_directions(shape, num_text_pairs, drawn):
    images, texts = learning_rows(2, shape)
    text_a, text_b = learning_rows(2, (num_text_pairs, shape[1], shape[2] + 2))
    ours, naive = options_of(drawn, len(images))
    text_groups = groups_of(num_text_pairs, drawn["num_groups"])
    terms = etcl.mural(images, texts, text_a=text_a, text_b=text_b, text_groups=text_groups, **ours)
    of_text = naive | {"groups": text_groups}
    expected = (
        naive_one_way(images, texts, **naive)
        + naive_one_way(texts, images, **naive)
        + naive_one_way(text_a, text_b, **of_text)
        + naive_one_way(text_b, text_a, **of_text)
    ) / 2
    assert set(terms) == {"image_to_text", "text_to_image", "a_to_b", "b_to_a", "total"}
    learning = [images, texts, text_a, text_b, ours["temperature"]]
    assert_same_value_and_gradients(terms["total"], expected, learning)


@settings(deadline=None, max_examples=15)
@given(pair_shapes, contrasts)
def test_etcl_is_a_third_of_the_sum_of_six_directions(shape, drawn):
    images, texts_a, texts_b = learning_rows(3, shape)
    ours, naive = options_of(drawn, len(images))
    terms = etcl.etcl(images, texts_a, texts_b, **ours)
    expected = {
        "image_to_a": naive_one_way(images, texts_a, **naive),
        "a_to_image": naive_one_way(texts_a, images, **naive),
        "a_to_b": naive_one_way(texts_a, texts_b, **naive),
        "b_to_a": naive_one_way(texts_b, texts_a, **naive),
        "b_to_image": naive_one_way(texts_b, images, **naive),
        "image_to_b": naive_one_way(images, texts_b, **naive),
    }
    assert set(terms) == {*expected, "total"}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), abs=1e-9), name
    learning = [images, texts_a, texts_b, ours["temperature"]]
    assert_same_value_and_gradients(terms["total"], sum(expected.values()) / 3, learning)


def test_a_batch_of_one_is_refused():
    left, right = learning_rows(2, (1, 2, 0))
    with pytest.raises(errors.TrainingError, match="batch of 1"):
        etcl.etcl(left, right, right, temperature=0.1)
