import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.heads import affine, linear


@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dim_in", [5, 3])
def test_fold_equals_the_layers(num_layers, residual, dim_in):
    torch.manual_seed(0)
    head = linear.LinearHead(dim_in, 3, num_layers=num_layers, residual=residual)
    x = torch.randn(6, dim_in)
    np.testing.assert_allclose(head.fold()(x.numpy()), head(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dim_in", [3, 2])
def test_each_layer_adds_its_input_where_it_is_residual_and_the_widths_agree(residual, dim_in):
    torch.manual_seed(0)
    head = linear.LinearHead(dim_in, 3, num_layers=3, residual=residual)
    tensors = {name: value.numpy() for name, value in head.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((5, dim_in)).astype(np.float32)
    by_hand = x
    for number in range(3):
        mapped = by_hand @ tensors[f"mlps.{number}.weight"].T + tensors[f"mlps.{number}.bias"]
        by_hand = mapped + by_hand if residual and (number > 0 or dim_in == 3) else mapped
    loaded = linear.head_from_published(head.state_dict(), residual=residual)
    for one in (head, loaded):
        found = one(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(found, by_hand, atol=1e-5)
        np.testing.assert_allclose(one.fold()(x), by_hand, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("residual", [False, True])
def test_start_from_reproduces_the_solution(num_layers, residual):
    rng = np.random.default_rng(0)
    solution = affine.AffineMap(
        rng.standard_normal((4, 4)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    )
    head = linear.LinearHead(4, 4, num_layers=num_layers, residual=residual)
    head.start_from(solution)
    x = rng.standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_allclose(head.fold()(x), solution(x), atol=1e-5)


def test_paper_size():
    assert linear.count_parameters(linear.LinearHead(768, 768, num_layers=2)) == 1_181_184


def test_published_form_round_trips():
    head = linear.LinearHead(4, 3, num_layers=2)
    loaded = linear.head_from_published(head.state_dict())
    x = torch.randn(2, 4)
    torch.testing.assert_close(loaded(x), head(x))


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"layer_norm.weight": torch.ones(3)},
        {"mlps.0.weight": torch.ones(3, 4)},
        {"mlps.0.weight": torch.ones(3, 4), "mlps.0.bias": torch.ones(3), "x": torch.ones(1)},
    ],
)
def test_other_checkpoints_are_refused(tensors):
    with pytest.raises(errors.InputError, match=r"mlps\.0"):
        linear.head_from_published(tensors)


def test_layers_that_do_not_chain_are_refused():
    tensors = {
        "mlps.0.weight": torch.ones(3, 4),
        "mlps.0.bias": torch.ones(3),
        "mlps.1.weight": torch.ones(3, 5),
        "mlps.1.bias": torch.ones(3),
    }
    with pytest.raises(errors.InputError, match="do not chain"):
        linear.head_from_published(tensors)


def test_no_layers_are_refused():
    with pytest.raises(errors.ConfigError, match="at least one"):
        linear.LinearHead(2, 2, num_layers=0)


def test_a_checkpoint_without_one_layer_is_refused():
    with pytest.raises(errors.InputError, match="mlps.0.weight"):
        linear.head_from_published({})


def test_what_is_frozen_is_no_trainable_parameter():
    head = linear.LinearHead(4, 3, num_layers=2)
    for parameter in head.mlps[0].parameters():
        parameter.requires_grad_(False)
    assert linear.count_parameters(head) == 3 * 3 + 3


@pytest.mark.parametrize("rank", [1, 2, 3, 9])
def test_a_head_of_low_rank_is_the_product_of_its_factors(rank):
    torch.manual_seed(0)
    head = linear.LowRankHead(5, 4, rank=rank)
    x = torch.randn(6, 5)
    by_hand = x @ head.down.weight.T @ head.up.weight.T + head.up.bias
    torch.testing.assert_close(head(x), by_hand)
    np.testing.assert_allclose(head.fold()(x.numpy()), by_hand.detach().numpy(), atol=1e-5)
    assert np.linalg.matrix_rank(head.fold().weight) == min(rank, 4)
    assert linear.count_parameters(head) == 9 * rank + 4


@pytest.mark.parametrize("rank", [1, 2, 4, 9])
def test_a_head_of_low_rank_starts_at_the_nearest_map_of_its_rank(rank):
    rng = np.random.default_rng(0)
    solution = affine.AffineMap(
        rng.standard_normal((4, 5)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    )
    head = linear.LowRankHead(5, 4, rank=rank)
    head.start_from(solution)
    left, sizes, right = np.linalg.svd(solution.weight)
    nearest = sum(sizes[i] * np.outer(left[:, i], right[i]) for i in range(min(rank, 4)))
    np.testing.assert_allclose(head.fold().weight, nearest, atol=1e-5)
    np.testing.assert_allclose(head.fold().bias, solution.bias, atol=1e-6)


def test_a_rank_below_one_is_refused():
    with pytest.raises(errors.ConfigError, match="rank 0; it must be 1 or more"):
        linear.LowRankHead(5, 4, rank=0)
