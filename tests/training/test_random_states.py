"""The generators of every accelerator are kept, not of the first one alone."""

import torch

from polyglance.training.random_states import RandomStates


def test_every_accelerator_goes_on_where_it_was(monkeypatch):
    kept = [torch.tensor([number], dtype=torch.uint8) for number in range(3)]
    found = {}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: kept)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, number: found.update({number: state})
    )
    # It may go on where there are fewer.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    states = RandomStates()
    states.load_state_dict(states.state_dict())
    assert found == {0: kept[0], 1: kept[1]}


def test_without_one_none_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    states = RandomStates()
    state = states.state_dict()
    assert "cuda" not in state
    drawn = torch.rand(3)
    states.load_state_dict(state)
    assert torch.equal(torch.rand(3), drawn)
