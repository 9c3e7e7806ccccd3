"""Each objective against a literal loop over the paper's equation, with gradients."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from polyglance import objectives

shapes = st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(0, 2**31))


def unit_rows(num_rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(
        torch.randn(num_rows, width, generator=generator, dtype=torch.float64), dim=1
    )


def naive_structure(mapped, target):
    """M2M, equation 5, entry by entry over i < j."""
    total, count = 0.0, 0
    for i in range(len(mapped)):
        for j in range(i + 1, len(mapped)):
            difference = (mapped[i] * mapped[j]).sum() - (target[i] * target[j]).sum()
            total, count = total + difference**2, count + 1
    return total / count if count else torch.zeros(())


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
@given(shapes)
def test_structure_matches_the_equation(shape):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    expected = naive_structure(mapped, target)
    assert objectives.structure(mapped, target).item() == pytest.approx(float(expected), abs=1e-9)


@settings(deadline=None)
@given(shapes, st.floats(0.1, 100), st.floats(0, 10))
def test_m2m_is_the_weighted_sum_rescaled_to_the_width(shape, alignment_weight, structure_weight):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    terms = objectives.m2m(
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
    terms = objectives.m2m(mapped, target, structure_weight=0.0)
    cosine = (mapped * target).sum(dim=1).mean().item()
    assert terms["total"].item() == pytest.approx(0.125 * (1 - cosine), rel=1e-9)


def test_structure_of_one_row_is_zero_and_has_a_gradient():
    mapped = unit_rows(1, 3, 0).requires_grad_()
    objectives.structure(mapped, unit_rows(1, 3, 1)).backward()
    assert mapped.grad is not None
    assert mapped.grad.abs().sum() == 0


@pytest.mark.parametrize(
    "objective",
    [
        objectives.m2m,
        objectives.mean_squared_error,
        objectives.cosine_distance,
        lambda a, b: objectives.contrastive(a, b, temperature=0.5),
    ],
)
def test_gradients(objective):
    mapped, target = unit_rows(4, 3, 0).requires_grad_(), unit_rows(4, 3, 1)
    assert torch.autograd.gradcheck(lambda x: objective(x, target)["total"], (mapped,))


@settings(deadline=None)
@given(shapes, st.floats(0.2, 2), st.integers(1, 3))
def test_contrastive_matches_the_loops(shape, temperature, num_groups):
    num_rows, width, seed = shape
    left, right = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    groups = torch.arange(num_rows) % num_groups
    found = objectives.contrastive(left, right, temperature=temperature, groups=groups)
    expected = naive_contrastive(left, right, temperature, groups.tolist())
    assert found["total"].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_contrastive_without_groups_equals_all_groups_different():
    left, right = unit_rows(5, 4, 0), unit_rows(5, 4, 1)
    plain = objectives.contrastive(left, right, temperature=0.1)["total"]
    grouped = objectives.contrastive(left, right, temperature=0.1, groups=torch.arange(5))["total"]
    assert plain.item() == pytest.approx(grouped.item())


def test_absolute_error():
    ones = torch.ones(2, 2)
    assert objectives.mean_absolute_error(ones, -ones)["total"].item() == 2
