"""SimCSE against a literal loop over its equation 4: each text finds its other pass."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import assert_same_value_and_gradients, learning_rows, pair_shapes
from polyglance import errors
from polyglance.losses.simcse import simcse


def naive(first, second, temperature, same):
    """l_i = -log( exp(sim(h_i, h'_i) / t) / sum_j exp(sim(h_i, h'_j) / t) ), mean over i."""
    total = 0.0
    for i in range(len(first)):
        kept = [j for j in range(len(first)) if j == i or same[i] != same[j]]
        scores = [torch.exp((first[i] * second[j]).sum() / temperature) for j in kept]
        total = total - torch.log(scores[kept.index(i)] / sum(scores))
    return total / len(first)


@settings(deadline=None, max_examples=15)
@given(pair_shapes, st.floats(0.05, 2), st.sampled_from([None, 2, 99]))
def test_each_text_finds_its_other_pass(shape, temperature, num_groups):
    first, second = learning_rows(2, shape)
    same = (
        list(range(len(first)))
        if num_groups is None
        else [i % num_groups for i in range(len(first))]
    )
    groups = None if num_groups is None else torch.tensor(same)
    found = simcse(first, second, temperature=temperature, groups=groups)
    assert set(found) == {"total"}
    expected = naive(first, second, temperature, same)
    assert_same_value_and_gradients(found["total"], expected, [first, second])


def test_one_text_has_nothing_to_be_told_from():
    with pytest.raises(errors.TrainingError, match="a batch of 1"):
        simcse(torch.ones(1, 2), torch.ones(1, 2), temperature=0.05)
