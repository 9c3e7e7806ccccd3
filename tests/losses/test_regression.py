"""Regression losses against literal loops."""

import pytest
import torch
from hypothesis import given

from naive_losses import shapes, unit_rows
from polyglance.losses import regression


@pytest.mark.parametrize("loss", [regression.mean_squared_error, regression.cosine_distance])
def test_gradients(loss):
    mapped, target = unit_rows(4, 3, 0).requires_grad_(), unit_rows(4, 3, 1)
    assert torch.autograd.gradcheck(lambda x: loss(x, target)["total"], (mapped,))


def test_absolute_error():
    ones = torch.ones(2, 2)
    assert regression.mean_absolute_error(ones, -ones)["total"].item() == 2


@given(shapes)
def test_cosine_distance_is_the_mean_over_rows(shape):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    literal = sum(
        1 - sum(float(mapped[i, d] * target[i, d]) for d in range(width)) for i in range(num_rows)
    )
    found = regression.cosine_distance(mapped, target)["total"]
    assert float(found) == pytest.approx(literal / num_rows, abs=1e-9)
