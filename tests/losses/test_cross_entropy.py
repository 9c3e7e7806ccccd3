"""The cross entropy of a choice against a literal loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyglance.losses import cross_entropy


@given(st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 2**31))
def test_a_choice_matches_the_loops(num_rows, num_candidates, weighed, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(num_rows, num_candidates, generator=generator, dtype=torch.float64)
    wanted = torch.randint(num_candidates, (num_rows,), generator=generator)
    weights = torch.rand(num_rows, generator=generator, dtype=torch.float64) if weighed else None
    literal = 0.0
    for row in range(num_rows):
        over = sum(math.exp(score) for score in scores[row].tolist())
        loss = math.log(over) - float(scores[row, wanted[row]])
        literal += loss * (float(weights[row]) if weighed else 1)
    found = cross_entropy.choose_among(scores, wanted, weights=weights)["total"]
    assert float(found) == pytest.approx(literal / num_rows, abs=1e-9)
