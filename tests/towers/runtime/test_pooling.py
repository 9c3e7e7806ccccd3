"""Padding takes no part in any pooling."""

import pytest
import torch

from polyglance.towers.runtime import pooling


@pytest.mark.parametrize("name", pooling.POOLINGS)
def test_padding_takes_no_part(name):
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(3, 5, 4, generator=generator)
    lengths = [5, 2, 1]
    mask = torch.tensor([[1] * n + [0] * (5 - n) for n in lengths])
    got = pooling.POOLINGS[name](states, mask)
    for row, length in enumerate(lengths):
        alone = pooling.POOLINGS[name](states[row : row + 1, :length], None)
        torch.testing.assert_close(got[row], alone[0])


def test_every_pooling_can_be_named():
    assert set(pooling.TEXT_POOLINGS) == {*pooling.POOLINGS, "pooler"}
