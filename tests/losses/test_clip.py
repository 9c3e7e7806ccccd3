"""The loss of CLIP against literal loops, and with targets that stay."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import (
    assert_same_value_and_gradients,
    contrasts,
    largest_made_and_sum_held,
    learning_rows,
    naive_one_way,
    options_of,
    pair_shapes,
    unit_rows,
)
from polyglance.losses import clip


def naive_contrastive(left, right, temperature, groups):
    total = 0.0
    size = len(left)
    for a, b in ((left, right), (right, left)):
        for i in range(size):
            kept = [j for j in range(size) if j == i or groups[j] != groups[i]]
            logits = [float((a[i] * b[j]).sum()) / temperature for j in kept]
            total -= float((a[i] * b[i]).sum()) / temperature - math.log(
                sum(math.exp(x) for x in logits)
            )
    return total / (2 * size)


@settings(deadline=None)
@given(pair_shapes, st.floats(0.2, 2), st.integers(1, 3))
def test_contrastive_matches_the_loops(shape, temperature, num_groups):
    num_rows, width, seed = shape
    left, right = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    groups = torch.arange(num_rows) % num_groups
    found = clip.contrastive(left, right, temperature=temperature, groups=groups)
    expected = naive_contrastive(left, right, temperature, groups.tolist())
    assert found["total"].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_contrastive_without_groups_equals_all_groups_different():
    left, right = unit_rows(5, 4, 0), unit_rows(5, 4, 1)
    plain = clip.contrastive(left, right, temperature=0.1)["total"]
    grouped = clip.contrastive(left, right, temperature=0.1, groups=torch.arange(5))["total"]
    assert plain.item() == pytest.approx(grouped.item())


@settings(deadline=None, max_examples=20)
@given(pair_shapes, contrasts)
def test_contrastive_is_the_mean_of_both_ways(shape, drawn):
    left, right = learning_rows(2, shape)
    ours, naive = options_of(drawn, len(left))
    terms = clip.contrastive(left, right, **ours)
    there, back = naive_one_way(left, right, **naive), naive_one_way(right, left, **naive)
    learning = [left, right, ours["temperature"]]
    assert terms["left_to_right"].item() == pytest.approx(there.item(), abs=1e-9)
    assert terms["right_to_left"].item() == pytest.approx(back.item(), abs=1e-9)
    assert_same_value_and_gradients(terms["total"], (there + back) / 2, learning)


def test_gradients():
    mapped, target = unit_rows(4, 3, 0).requires_grad_(), unit_rows(4, 3, 1)
    assert torch.autograd.gradcheck(
        lambda x: clip.contrastive(x, target, temperature=0.5)["total"], (mapped,)
    )


def test_blocks_never_make_nor_hold_a_full_matrix():
    def objective(left, right, **options):
        return clip.contrastive(
            left, right, temperature=0.1, margin=0.3, label_smoothing=0.1, **options
        )

    left, right = learning_rows(2, (64, 4, 0))
    largest = {rows: largest_made_and_sum_held(objective, left, right, rows) for rows in (None, 8)}
    assert largest[None][0] == 64 * 64
    assert largest[8][0] == 8 * 64
    # What the forward pass leaves for the backward pass: not even all blocks of a matrix.
    assert largest[8][1] < 64 * 64 < largest[None][1]


def test_no_gradient_reaches_the_targets_of_a_distillation():
    captions, targets = learning_rows(2, (4, 3, 0))
    terms = clip.contrastive_distillation(captions, targets, temperature=0.1)
    assert terms["total"].item() == pytest.approx(
        clip.contrastive(captions, targets, temperature=0.1)["total"].item()
    )
    terms["total"].backward()
    assert captions.grad.abs().sum() > 0
    assert targets.grad is None


def test_a_temperature_of_nan_is_left_to_the_loop():
    left, right = learning_rows(2, (3, 2, 0))
    loss = clip.contrastive(left, right, temperature=torch.tensor(math.nan))["total"]
    assert math.isnan(loss.item())
