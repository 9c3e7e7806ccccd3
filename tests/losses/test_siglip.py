"""The loss of SigLIP against a literal loop over its equation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import (
    assert_same_value_and_gradients,
    groups_of,
    largest_made_and_sum_held,
    learning_rows,
    shapes,
)
from polyglance import errors
from polyglance.losses import siglip


def naive_sigmoid(images, texts, *, scale, bias, groups):
    """SigLIP, equation 1, pair by pair."""
    total, size = 0.0, len(images)
    for i in range(size):
        for j in range(size):
            if i != j and groups is not None and groups[i] == groups[j]:
                continue
            sign = 1 if i == j else -1
            logit = scale * (images[i] * texts[j]).sum() + bias
            total = total - torch.log(1 / (1 + torch.exp(-sign * logit)))
    return total / size


@settings(deadline=None, max_examples=25)
@given(
    shapes,
    st.floats(0.1, 20),
    st.floats(-10, 10),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([None, 1, 3]),
)
def test_sigmoid_matches_the_equation(shape, scale, bias, num_groups, block_rows):
    images, texts = learning_rows(2, shape)
    scale = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
    options = {"scale": scale, "bias": bias, "groups": groups_of(len(images), num_groups)}
    terms = siglip.sigmoid(images, texts, block_rows=block_rows, **options)
    assert (terms["positive"] + terms["negative"]).item() == pytest.approx(terms["total"].item())
    expected = naive_sigmoid(images, texts, **options)
    assert_same_value_and_gradients(terms["total"], expected, [images, texts, scale, bias])


def test_blocks_never_make_nor_hold_a_full_matrix():
    def objective(left, right, **options):
        return siglip.sigmoid(left, right, scale=10.0, bias=-10.0, **options)

    left, right = learning_rows(2, (64, 4, 0))
    largest = {rows: largest_made_and_sum_held(objective, left, right, rows) for rows in (None, 8)}
    assert largest[None][0] == 64 * 64
    assert largest[8][0] == 8 * 64
    # What the forward pass leaves for the backward pass: not even all blocks of a matrix.
    assert largest[8][1] < 64 * 64 < largest[None][1]


@pytest.mark.parametrize("scale", [0, -0.1, torch.tensor(0.0), torch.tensor(-1.0)])
def test_a_scale_that_is_not_above_zero_is_refused(scale):
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.ConfigError, match="scale is"):
        siglip.sigmoid(left, right, scale=scale, bias=0.0)


def test_an_empty_batch_and_sides_that_do_not_fit_are_refused():
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.TrainingError, match="batch of 0"):
        siglip.sigmoid(left[:0], right[:0], scale=1.0, bias=0.0)
    with pytest.raises(errors.VectorError, match="alike"):
        siglip.sigmoid(left, left[:2], scale=1.0, bias=0.0)
