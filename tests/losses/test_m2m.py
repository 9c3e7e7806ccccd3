"""The loss of M2M against literal loops over its equations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import shapes, unit_rows
from polyglance.losses import m2m


def naive_structure(mapped, target):
    """M2M, equation 5, entry by entry over i < j."""
    total, count = 0.0, 0
    for i in range(len(mapped)):
        for j in range(i + 1, len(mapped)):
            difference = (mapped[i] * mapped[j]).sum() - (target[i] * target[j]).sum()
            total, count = total + difference**2, count + 1
    return total / count if count else torch.zeros(())


@settings(deadline=None)
@given(shapes)
def test_structure_matches_the_equation(shape):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    expected = naive_structure(mapped, target)
    assert m2m.structure(mapped, target).item() == pytest.approx(float(expected), abs=1e-9)


@settings(deadline=None)
@given(shapes, st.floats(0.1, 100), st.floats(0, 10))
def test_m2m_is_the_weighted_sum_rescaled_to_the_width(shape, alignment_weight, structure_weight):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    terms = m2m.m2m(
        mapped, target, alignment_weight=alignment_weight, structure_weight=structure_weight
    )
    align = sum(
        (mapped[i][d] - target[i][d]) ** 2 for i in range(num_rows) for d in range(width)
    ) / (num_rows * width)
    expected = alignment_weight * width / 768 * float(align) + structure_weight * float(
        naive_structure(mapped, target)
    )
    assert terms["total"].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_alignment_of_unit_rows_is_an_eighth_of_the_cosine_distance_at_lambda_48():
    mapped, target = unit_rows(5, 768, 0), unit_rows(5, 768, 1)
    terms = m2m.m2m(mapped, target, structure_weight=0.0)
    cosine = (mapped * target).sum(dim=1).mean().item()
    assert terms["total"].item() == pytest.approx(0.125 * (1 - cosine), rel=1e-9)


def test_structure_of_one_row_is_zero_and_has_a_gradient():
    mapped = unit_rows(1, 3, 0).requires_grad_()
    m2m.structure(mapped, unit_rows(1, 3, 1)).backward()
    assert mapped.grad is not None
    assert mapped.grad.abs().sum() == 0


def test_gradients():
    mapped, target = unit_rows(4, 3, 0).requires_grad_(), unit_rows(4, 3, 1)
    assert torch.autograd.gradcheck(lambda x: m2m.m2m(x, target)["total"], (mapped,))
