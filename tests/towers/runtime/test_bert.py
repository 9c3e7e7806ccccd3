"""Our BERT computes what transformers' does."""

import json

import pytest
import torch

from polyglance.towers.runtime import bert, weights


@pytest.fixture(scope="module")
def folder(make_checkpoint):
    return make_checkpoint("bert")


@pytest.fixture(scope="module")
def ours(folder):
    config = json.loads((folder / "config.json").read_text())
    return bert.from_tensors(dict(weights.stored_tensors(folder)), config=config).eval()


@pytest.mark.parametrize("padded", [0, 3])
def test_states_equal_transformers(ours, folder, padded):
    from transformers import BertModel

    ids = torch.arange(5, 14).reshape(1, 9).repeat(2, 1)
    mask = torch.ones_like(ids)
    mask[1, 9 - padded :] = 0
    theirs = BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = theirs(ids, attention_mask=mask).last_hidden_state
        got = ours(ids, mask if padded else None).last_hidden_state
    real = mask.bool()
    torch.testing.assert_close(got[real], wanted[real], atol=1e-5, rtol=1e-4)


def test_inference_mode_gives_the_same_states(ours):
    ids = torch.arange(5, 14).reshape(1, 9)
    with torch.no_grad():
        wanted = ours(ids).last_hidden_state
    with torch.inference_mode():
        got = ours(ids).last_hidden_state
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_names_with_the_model_in_front_are_read(ours, folder):
    config = json.loads((folder / "config.json").read_text())
    prefixed = {f"bert.{name}": t for name, t in weights.stored_tensors(folder)}
    again = bert.from_tensors(prefixed, config=config).eval()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(again(ids).last_hidden_state, ours(ids).last_hidden_state)


def test_training_drops_out_and_has_gradient(folder):
    config = json.loads((folder / "config.json").read_text())
    module = bert.from_tensors(dict(weights.stored_tensors(folder)), config=config).train()
    ids = torch.tensor([[5, 6, 7]])
    first, second = (module(ids).last_hidden_state for _ in range(2))
    assert not torch.equal(first, second)
    first.sum().backward()
    assert module.layers[0].query_key_value.weight.grad is not None


@pytest.mark.parametrize(
    "change",
    [{"model_type": "roberta"}, {"position_embedding_type": "relative_key"}, {"is_decoder": True}],
)
def test_other_architectures_are_left_to_transformers(change):
    assert not bert.is_supported({"model_type": "bert", "hidden_act": "gelu", **change})
