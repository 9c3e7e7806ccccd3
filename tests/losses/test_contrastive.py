"""Contrasts against a literal loop over ETCL's equation 1."""

import pytest
import torch
from hypothesis import given, settings

from naive_losses import (
    assert_same_value_and_gradients,
    contrasts,
    learning_rows,
    naive_one_way,
    options_of,
    pair_shapes,
    unit_rows,
)
from polyglance import errors
from polyglance.losses.contrastive import both_ways


@settings(deadline=None, max_examples=25)
@given(pair_shapes, contrasts)
def test_each_way_matches_the_equation(shape, drawn):
    queries, keys = learning_rows(2, shape)
    ours, naive = options_of(drawn, len(queries))
    there, back = both_ways(queries, keys, **ours)
    learning = [queries, keys, ours["temperature"]]
    expected = naive_one_way(queries, keys, **naive)
    assert_same_value_and_gradients(there, expected, learning, keep=True)
    assert_same_value_and_gradients(back, naive_one_way(keys, queries, **naive), learning)


def test_half_precision_cosines_are_divided_in_full_precision():
    left, right = (each.detach() for each in learning_rows(2, (6, 16, 0)))
    halves = left.bfloat16(), right.bfloat16()
    exact = both_ways(*(each.double() for each in halves), temperature=0.01)
    for found, wanted in zip(both_ways(*halves, temperature=0.01), exact, strict=True):
        assert found.dtype == torch.float32
        # bfloat16 cosines err by 2^-9 at most, which a temperature of 0.01 makes 0.2 a logit.
        assert found.item() == pytest.approx(wanted.item(), abs=0.4)


@pytest.mark.parametrize("temperature", [0, -0.1, torch.tensor(0.0), torch.tensor(-1.0)])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.ConfigError, match="above zero"):
        both_ways(left, right, temperature=temperature)


def test_a_batch_of_one_is_refused():
    left, right = learning_rows(2, (1, 2, 0))
    with pytest.raises(errors.TrainingError, match="a batch of 1; a contrast needs 2"):
        both_ways(left, right, temperature=0.1)


def test_sides_that_do_not_fit_are_refused():
    (left,), (wide,) = learning_rows(1, (3, 2, 0)), learning_rows(1, (3, 4, 0))
    with pytest.raises(errors.VectorError, match=r"\(3, 2\) and \(3, 4\)"):
        both_ways(left, wide, temperature=0.1)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_and_blocks_out_of_range_are_refused(smoothing):
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.ConfigError, match="label_smoothing"):
        both_ways(left, right, temperature=0.1, label_smoothing=smoothing)
    with pytest.raises(errors.ConfigError, match="block_rows is 0"):
        both_ways(left, right, temperature=0.1, block_rows=0)


def test_gradients_in_half_precision_keep_the_loss_and_nearly_the_gradient():
    left, right = (unit_rows(64, 32, seed).float() for seed in (1, 2))
    found = {}
    for dtype in (None, torch.bfloat16):
        parts = [left.clone().requires_grad_(), right.clone().requires_grad_()]
        total = sum(both_ways(*parts, temperature=0.01, gradient_dtype=dtype))
        total.backward()
        found[dtype] = (total.detach(), torch.cat([part.grad for part in parts]))
    (exact_loss, exact), (half_loss, half) = found.values()
    assert torch.equal(exact_loss, half_loss)
    assert 0 < (half - exact).norm() / exact.norm() < 0.01
