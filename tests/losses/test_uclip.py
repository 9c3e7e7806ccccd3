"""The loss of uCLIP against literal loops over its equations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import (
    assert_same_value_and_gradients,
    learning_rows,
    naive_one_way,
    pair_shapes,
)
from polyglance.losses import uclip


def naive_uclip(e_clip, e_text, v_clip, m_text, *, temperature, weights):
    """uCLIP, equation 5 and those after it."""

    def info_nce(q, k):
        return naive_one_way(
            q, k, temperature=temperature, margin=0, label_smoothing=0, groups=None
        )

    text = (info_nce(e_clip, e_text) + info_nce(e_text, e_clip)) / 2
    pseudo = (info_nce(v_clip, m_text) + info_nce(m_text, v_clip)) / 2
    intra = sum(
        ((e_clip[i] - v_clip[i]) ** 2).sum() + ((e_text[i] - m_text[i]) ** 2).sum()
        for i in range(len(e_clip))
    ) / (2 * len(e_clip))
    return weights[0] * text + weights[1] * pseudo + weights[2] * intra


@settings(deadline=None, max_examples=20)
@given(
    pair_shapes,
    st.floats(0.05, 1),
    st.tuples(*[st.sampled_from([0.0, 0.1, 1.0])] * 3),
    st.sampled_from([None, 2]),
)
def test_uclip_matches_the_equations(shape, temperature, weights, block_rows):
    batches = learning_rows(4, shape)
    terms = uclip.uclip(
        **dict(zip(("e_clip", "e_text", "v_clip", "m_text"), batches, strict=True)),
        temperature=temperature,
        text_weight=weights[0],
        pseudo_weight=weights[1],
        intra_weight=weights[2],
        block_rows=block_rows,
    )
    # The zero keeps every batch in the graph where a weight of zero takes it out.
    total = terms["total"] + sum((each * 0).sum() for each in batches)
    expected = naive_uclip(*batches, temperature=temperature, weights=weights)
    assert_same_value_and_gradients(total, expected, batches)
    inter = weights[0] * terms["text"] + weights[1] * terms["pseudo"]
    assert terms["inter"].item() == pytest.approx(inter.item())


def test_uclip_defaults_are_the_papers():
    shape = (5, 4, 0)
    names = ("e_clip", "e_text", "v_clip", "m_text")
    batches = learning_rows(4, shape)
    found = uclip.uclip(**dict(zip(names, batches, strict=True)))["total"]
    expected = naive_uclip(*batches, temperature=0.01, weights=(1, 1, 0.1))
    assert_same_value_and_gradients(found, expected, batches)
