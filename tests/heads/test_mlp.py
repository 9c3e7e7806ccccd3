"""A residual head is `skip(x) + W2 relu(W1 x + b1) + b2`, and folds into two maps."""

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.heads import affine, mlp


def head_of(dim_in, dim_out, hidden=3):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    skip = affine.AffineMap(
        rng.standard_normal((dim_out, dim_in)).astype(np.float32),
        rng.standard_normal(dim_out).astype(np.float32),
    )
    head = mlp.ResidualHead(skip, hidden=hidden)
    torch.nn.init.normal_(head.last.weight)
    torch.nn.init.normal_(head.last.bias)
    return head, skip


@pytest.mark.parametrize(("dim_in", "dim_out"), [(4, 4), (6, 4), (3, 5)])
def test_it_is_what_the_paper_writes_and_folds_into_a_chain(dim_in, dim_out):
    head, skip = head_of(dim_in, dim_out)
    x = np.random.default_rng(1).standard_normal((7, dim_in)).astype(np.float32)
    weights = {name: value.numpy() for name, value in head.state_dict().items()}
    by_hand = []
    for row in x:
        z = skip.weight @ row + skip.bias
        hidden = np.array(
            [max(0.0, v) for v in weights["first.weight"] @ row + weights["first.bias"]]
        )
        by_hand.append(z + weights["last.weight"] @ hidden + weights["last.bias"])
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach().numpy(), by_hand, atol=1e-5)
    folded = head.fold()
    np.testing.assert_allclose(folded(x), by_hand, atol=1e-5)
    back = affine.head_of(affine.tensors_of(folded))
    np.testing.assert_array_equal(back(x), folded(x))


def test_layers_take_centred_and_scaled_inputs_and_leave_units_out_in_training_alone():
    rng = np.random.default_rng(3)
    x = (5 + 0.01 * rng.standard_normal((50, 6))).astype(np.float32)
    _, skip = head_of(6, 4)
    torch.manual_seed(0)
    head = mlp.ResidualHead(skip, hidden=8, dropout=0.5, standard=mlp.Standard.of(x))
    torch.nn.init.normal_(head.last.weight)
    taken = (x - x.mean(0)) * (mlp.STANDARD_LENGTH / np.linalg.norm(x - x.mean(0), axis=1).mean())
    first, last = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy())
        for layer in (head.first, head.last)
    )
    hidden = np.maximum(taken @ first[0].T + first[1], 0)
    by_hand = skip(x) + hidden @ last[0].T + last[1]
    some = head(torch.from_numpy(x)).detach().numpy()
    assert np.abs(some - by_hand).max() > 0.1
    head.eval()
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach().numpy(), by_hand, atol=2e-2)
    np.testing.assert_allclose(head.fold()(x), by_hand, atol=2e-2)


def test_gradients_are_those_worked_out_by_hand():
    head, skip = head_of(5, 4)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6, 5)).astype(np.float32)
    y = rng.standard_normal((6, 4)).astype(np.float32)
    torch.nn.functional.mse_loss(head(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    first, last = head.first.weight.detach().numpy(), head.last.weight.detach().numpy()
    z = skip(x)
    before = x @ first.T + head.first.bias.detach().numpy()
    hidden = np.maximum(before, 0)
    error = 2 / y.size * (z + hidden @ last.T + head.last.bias.detach().numpy() - y)
    through = (error @ last) * (before > 0)
    for found, expected in (
        (head.last.weight.grad, error.T @ hidden),
        (head.last.bias.grad, error.sum(0)),
        (head.first.weight.grad, through.T @ x),
        (head.first.bias.grad, through.sum(0)),
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_it_starts_at_its_skip_and_only_its_layers_learn():
    skip = affine.AffineMap(np.eye(4, dtype=np.float32), np.zeros(4, np.float32))
    head = mlp.ResidualHead(skip, hidden=8)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(head.fold()(x), x, atol=1e-6)
    assert [name for name, _ in head.named_parameters()] == [
        *("first.weight", "first.bias", "last.weight", "last.bias")
    ]


def test_no_hidden_unit_is_refused():
    with pytest.raises(errors.ConfigError, match="hidden 0; it must be 1 or more"):
        head_of(4, 4, hidden=0)


@pytest.mark.parametrize("normed", [False, True])
def test_a_chain_is_trained_on_from_its_weights(normed):
    rng = np.random.default_rng(0)

    def map_of(d_in, d_out):
        return affine.AffineMap(
            rng.standard_normal((d_out, d_in)).astype(np.float32),
            rng.standard_normal(d_out).astype(np.float32),
        )

    norms = None
    if normed:
        gain, shift = rng.standard_normal((2, 5)).astype(np.float32)
        norms = (affine.Norm(gain, shift), affine.Norm(shift[:4], gain[:4]))
    chain = affine.Chain((map_of(3, 5), map_of(5, 4), map_of(4, 2)), norms)
    head = mlp.ChainHead(chain)
    x = rng.standard_normal((6, 3)).astype(np.float32)
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach(), chain(x.copy()), atol=1e-5)
    np.testing.assert_allclose(head.fold()(x.copy()), chain(x.copy()), atol=1e-5)
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        loss = head(torch.from_numpy(x)).square().mean()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    learnt = head.fold()
    assert np.square(learnt(x.copy())).mean() < 0.9 * np.square(chain(x.copy())).mean()
    np.testing.assert_allclose(head(torch.from_numpy(x)).detach(), learnt(x.copy()), atol=1e-5)
