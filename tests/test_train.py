import json

import pytest
import torch
from torch import nn

from polyglance import errors, train


def line_world(seed=0):
    torch.manual_seed(seed)
    x = torch.randn(200, 3)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3


def fit_line(module, x, y, *, batches=None, **config):
    def step(rows):
        error = (module(x[rows]) - y[rows]).square().mean()
        return {"error": error, "total": error}

    settings = {"num_steps": 200, "learning_rate": 0.05} | config
    batches = batches or train.shuffled_batches(len(x), batch_size=32, seed=0)
    return train.fit(module, step, batches=batches, config=train.TrainConfig(**settings)), step


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_it_learns_and_ends_in_evaluation_mode(schedule):
    x, y = line_world()
    module = nn.Linear(3, 1)
    report, _ = fit_line(module, x, y, schedule=schedule, num_warmup_steps=10)
    assert (module(x) - y).square().mean() < 1e-3
    assert not module.training
    assert report.num_steps == 200
    assert report.history[0]["error"] > report.history[-1]["error"]


def test_same_seed_same_weights():
    x, y = line_world()
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        module = nn.Linear(3, 1)
        fit_line(module, x, y, num_steps=50)
        weights.append(module.weight.detach().clone())
    assert torch.equal(*weights)


def test_best_weights_are_kept_not_the_last():
    x, y = line_world()
    module = nn.Linear(3, 1)
    scores = iter([1.0, 5.0, 2.0])
    seen = []

    def validate():
        seen.append(module.weight.detach().clone())
        return next(scores)

    def step(rows):
        return {"total": (module(x[rows]) - y[rows]).square().mean()}

    report = train.fit(
        module,
        step,
        batches=train.shuffled_batches(len(x), batch_size=32, seed=0),
        config=train.TrainConfig(num_steps=30, learning_rate=0.1, validate_every=10),
        validate=validate,
    )
    assert (report.best_step, report.best_score) == (20, 5.0)
    assert torch.equal(module.weight, seen[1])


def test_average_of_weights_is_what_is_kept():
    x, y = line_world()
    torch.manual_seed(0)
    averaged = nn.Linear(3, 1)
    fit_line(averaged, x, y, num_steps=20, average_decay=0.999)
    torch.manual_seed(0)
    plain = nn.Linear(3, 1)
    fit_line(plain, x, y, num_steps=20)
    assert not torch.allclose(averaged.weight, plain.weight)


def test_nan_stops_with_the_last_good_weights():
    x, y = line_world()
    module = nn.Linear(3, 1)
    calls = []

    def step(rows):
        calls.append(1)
        error = (module(x[rows]) - y[rows]).square().mean()
        return {"total": error * (float("nan") if len(calls) > 15 else 1)}

    kept = []
    with pytest.raises(errors.TrainingError, match="step 16 is not finite"):
        train.fit(
            module,
            step,
            batches=train.shuffled_batches(len(x), batch_size=32, seed=0),
            config=train.TrainConfig(num_steps=30, learning_rate=0.1, validate_every=10),
            validate=lambda: kept.append(module.weight.detach().clone()) or 1.0,
        )
    assert torch.equal(module.weight, kept[0])


def test_an_epoch_without_batches_is_an_error():
    x, y = line_world()
    with pytest.raises(errors.TrainingError, match="no batch"):
        fit_line(nn.Linear(3, 1), x, y, batches=lambda epoch: [])


def test_nothing_to_train_is_an_error():
    x, y = line_world()
    module = nn.Linear(3, 1)
    module.requires_grad_(False)
    with pytest.raises(errors.TrainingError, match="no parameter"):
        fit_line(module, x, y)


def test_each_epoch_has_every_row_once_in_another_order():
    batches = train.shuffled_batches(10, batch_size=4, seed=3)
    first, second = (torch.cat(list(batches(epoch))) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()
    assert torch.equal(first, torch.cat(list(batches(0))))


def test_drop_last_keeps_full_batches_only():
    sizes = [len(b) for b in train.shuffled_batches(10, batch_size=4, seed=0, drop_last=True)(0)]
    assert sizes == [4, 4]


def test_loss_terms_are_logged_by_name(tmp_path):
    x, y = line_world()
    module = nn.Linear(3, 1)
    train.fit(
        module,
        lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
        batches=train.shuffled_batches(len(x), batch_size=32, seed=0),
        config=train.TrainConfig(num_steps=5, learning_rate=0.1),
        run=train.RunFolder(tmp_path),
    )
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02])
