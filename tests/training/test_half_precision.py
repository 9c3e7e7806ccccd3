"""Half precision is chosen only where the processor computes in it."""

import pytest
import torch

from polyglance.training import half_precision


@pytest.mark.parametrize(
    ("capabilities", "pays"),
    [
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({}, False),
    ],
)
def test_the_processor_decides(capabilities, pays, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert half_precision.pays() is pays


def test_a_torch_that_cannot_say_computes_in_full(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not half_precision.pays()


def test_where_nothing_is_known_it_does_not_pay():
    assert not half_precision.pays("meta")
