"""Optimisers against their papers' formulas, parameter by parameter."""

import builtins
import sys

import pytest
import torch
from torch import nn

from polyglance import errors, training
from polyglance.training import optimizers

RATE, DECAY, BETAS = 0.03, 0.1, (0.8, 0.95)


def run_both(name, naive, *, num_steps=5):
    """A matrix and a vector down the same gradients: by the optimiser, and by the formulas."""
    torch.manual_seed(0)
    module = nn.Linear(70, 60)  # 4,200 numbers: large enough for 8 bits
    config = training.TrainConfig(
        num_steps=num_steps, learning_rate=RATE, weight_decay=DECAY, optimizer=name, betas=BETAS
    )
    optimizer = optimizers.build(module, config)
    by_hand = [each.detach().double().clone() for each in module.parameters()]
    states = [{} for _ in by_hand]
    for number in range(1, num_steps + 1):
        for row, parameter in enumerate(module.parameters()):
            parameter.grad = torch.randn_like(parameter)
            # Decay is for matrices alone.
            decay = DECAY if parameter.ndim > 1 else 0.0
            by_hand[row] = naive(by_hand[row], parameter.grad.double(), states[row], number, decay)
        optimizer.step()
    return list(module.parameters()), by_hand


def naive_lamb(weights, gradient, state, step, decay):
    """You et al. 2020, algorithm 2; vectors without the trust ratio."""
    first, second = BETAS
    state["m"] = first * state.get("m", 0) + (1 - first) * gradient
    state["v"] = second * state.get("v", 0) + (1 - second) * gradient**2
    ratio = (state["m"] / (1 - first**step)) / ((state["v"] / (1 - second**step)).sqrt() + 1e-6)
    update = ratio + decay * weights
    trust = weights.norm() / update.norm() if weights.ndim > 1 else 1.0
    return weights - RATE * trust * update


def naive_lion(weights, gradient, state, step, decay):
    """Chen et al. 2023, algorithm 2."""
    first, second = BETAS
    momentum = state.get("m", torch.zeros_like(gradient))
    update = torch.sign(first * momentum + (1 - first) * gradient)
    state["m"] = second * momentum + (1 - second) * gradient
    return weights - RATE * (update + decay * weights)


def naive_adamw(weights, gradient, state, step, decay):
    first, second = BETAS
    state["m"] = first * state.get("m", 0) + (1 - first) * gradient
    state["v"] = second * state.get("v", 0) + (1 - second) * gradient**2
    update = (state["m"] / (1 - first**step)) / ((state["v"] / (1 - second**step)).sqrt() + 1e-8)
    return weights - RATE * (update + decay * weights)


@pytest.mark.parametrize(
    ("name", "naive"), [("lamb", naive_lamb), ("lion", naive_lion), ("adamw", naive_adamw)]
)
def test_steps_are_those_of_the_paper(name, naive):
    found, by_hand = run_both(name, naive)
    for parameter, expected in zip(found, by_hand, strict=True):
        torch.testing.assert_close(parameter.detach(), expected.float(), rtol=1e-4, atol=1e-5)


def test_lion_in_8_bits_takes_nearly_the_same_signs():
    found, by_hand = run_both("lion8bit", naive_lion)
    # A sign that differs in one step of five leaves a weight two rates away.
    same = (found[0].detach() - by_hand[0]).abs() < RATE
    assert 0.97 < same.float().mean() < 1
    torch.testing.assert_close(found[1].detach(), by_hand[1].float(), rtol=1e-4, atol=1e-5)


def test_a_zero_matrix_takes_an_adam_step_under_lamb():
    module = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(module.weight)
    config = training.TrainConfig(num_steps=1, learning_rate=RATE, optimizer="lamb")
    optimizer = optimizers.build(module, config)
    module.weight.grad = torch.ones(2, 3)
    optimizer.step()
    torch.testing.assert_close(module.weight.detach(), torch.full((2, 3), -RATE), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_each_learns_and_keeps_rates_by_parameter(name):
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    y = x @ torch.randn(8, 1)
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1))
    frozen = module[0].weight.detach().clone()
    start = float((module(x) - y).detach().square().mean())
    report = training.fit(
        module,
        lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
        batches=training.shuffled_batches(128, batch_size=32, seed=0),
        config=training.TrainConfig(
            num_steps=150,
            # LAMB's rate is a share of the matrix, whatever the gradient.
            learning_rate=0.1 if name == "lamb" else 0.02,
            optimizer=name,
            rate_factors={"0.": 0.0},
        ),
    )
    assert report.history[-1]["total"] < 0.3 * start
    assert torch.equal(module[0].weight, frozen)


def test_an_unknown_optimizer_names_the_nearest():
    config = training.TrainConfig(num_steps=1, learning_rate=1.0, optimizer="lion8")
    with pytest.raises(errors.UnknownNameError, match="adamw, lamb, lion, lion8bit") as error:
        optimizers.build(nn.Linear(1, 1), config)
    assert "lion8bit" in error.value.hint


def test_a_missing_package_prints_the_install_line(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "bitsandbytes":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    config = training.TrainConfig(num_steps=1, learning_rate=1.0, optimizer="lion")
    with pytest.raises(errors.MissingExtraError) as error:
        optimizers.build(nn.Linear(1, 1), config)
    assert error.value.hint == "pip install 'polyglance[lion8bit]'"


def test_half_precision_weights_are_refused():
    config = training.TrainConfig(num_steps=1, learning_rate=1.0)
    with pytest.raises(errors.TrainingError, match=r"weight is in torch\.bfloat16.*float32"):
        optimizers.build(nn.Linear(1, 1).bfloat16(), config)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1, 1]),
        ({"schedule": "linear"}, [1, 0.75, 0.5, 0.25, 0]),
        ({"schedule": "cosine"}, [1, 0.853553, 0.5, 0.146447, 0]),
        ({"num_warmup_steps": 2}, [0.5, 1, 1, 0.5, 0]),
        ({"warmup_share": 0.5}, [0.5, 1, 1, 0.5, 0]),
    ],
)
def test_rates(settings, expected):
    config = training.TrainConfig(num_steps=4, learning_rate=3.0, **settings)
    rates = [optimizers.rate_at(step, config) for step in range(5)]
    assert rates == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_steps": 0}, "num_steps 0; it must be 1 or more"),
        ({"learning_rate": float("nan")}, "learning_rate nan"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"warmup_share": 1.0}, r"warmup_share 1\.0; it must be in \[0, 1\)"),
        ({"num_warmup_steps": 3, "warmup_share": 0.1}, "the warm-up is given once"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"average_decay": 1.0}, "average_decay"),
        ({"validate_every": 0}, "validate_every"),
        ({"patience": 0}, "patience"),
    ],
)
def test_settings_out_of_range(settings, said):
    with pytest.raises(errors.ConfigError, match=said):
        training.TrainConfig(**({"num_steps": 1, "learning_rate": 1.0} | settings))


@pytest.mark.parametrize(
    ("settings", "hint"),
    [({"schedule": "cosin"}, "cosine"), ({"precision": "fp8"}, "fp16")],
)
def test_unknown_settings_name_the_nearest(settings, hint):
    with pytest.raises(errors.UnknownNameError) as error:
        training.TrainConfig(num_steps=1, learning_rate=1.0, **settings)
    assert hint in str(error.value)
