import ast
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import tracked
from polyglance import errors, progress, training
from polyglance.training import optimizer_step


def line_world(seed=0):
    torch.manual_seed(seed)
    x = torch.randn(200, 3)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3


def fit_line(module, x, y, *, batches=None, **config):
    def step(rows):
        error = (module(x[rows]) - y[rows]).square().mean()
        return {"error": error, "total": error}

    settings = {"num_steps": 200, "learning_rate": 0.05} | config
    batches = batches or training.shuffled_batches(len(x), batch_size=32, seed=0)
    return training.fit(
        module, step, batches=batches, config=training.TrainConfig(**settings)
    ), step


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

    report = training.fit(
        module,
        step,
        batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
        config=training.TrainConfig(num_steps=30, learning_rate=0.1, validate_every=10),
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
        training.fit(
            module,
            step,
            batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
            config=training.TrainConfig(num_steps=30, learning_rate=0.1, validate_every=10),
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


def test_a_loss_without_gradient_is_an_error():
    with pytest.raises(errors.TrainingError, match="depends on no parameter"):
        training.fit(
            nn.Linear(3, 1),
            lambda rows: {"total": torch.ones(())},
            batches=lambda epoch: [0],
            config=training.TrainConfig(num_steps=1, learning_rate=0.1),
        )


def test_each_epoch_has_every_row_once_in_another_order():
    batches = training.shuffled_batches(10, batch_size=4, seed=3)
    first, second = (torch.cat(list(batches(epoch))) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()
    assert torch.equal(first, torch.cat(list(batches(0))))


def test_drop_last_keeps_full_batches_only():
    sizes = [len(b) for b in training.shuffled_batches(10, batch_size=4, seed=0, drop_last=True)(0)]
    assert sizes == [4, 4]


def test_loss_terms_are_logged_by_name(tmp_path):
    x, y = line_world()
    module = nn.Linear(3, 1)
    training.fit(
        module,
        lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
        batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
        config=training.TrainConfig(num_steps=5, learning_rate=0.1),
        run=training.RunFolder(tmp_path),
    )
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02])


def test_nan_without_a_dev_split_keeps_the_weights_before_it(tmp_path):
    x, y = line_world()
    module, seen = nn.Linear(3, 1), []

    def step(rows):
        seen.append(module.weight.detach().clone())
        error = (module(x[rows]) - y[rows]).square().mean()
        return {"total": error * (float("inf") if len(seen) > 15 else 1)}

    with pytest.raises(errors.TrainingError, match="loss at step 16.*last good weights are kept"):
        training.fit(
            module,
            step,
            batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
            config=training.TrainConfig(num_steps=30, learning_rate=0.1),
        )
    assert torch.equal(module.weight, seen[-1])
    assert not torch.equal(module.weight, seen[0])
    assert not module.training


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_not_finite_stops_too(clip_norm):
    """The root's slope at zero is infinite, while its value is not."""
    module = nn.Linear(3, 1)
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    with pytest.raises(errors.TrainingError, match="the gradient at step 1 is not finite"):
        training.fit(
            module,
            lambda rows: {"root": torch.ones(()), "total": module(torch.ones(1, 3)).sqrt().sum()},
            batches=lambda epoch: [0],
            config=training.TrainConfig(num_steps=3, learning_rate=0.1, clip_norm=clip_norm),
        )
    assert torch.equal(module.weight, torch.zeros(1, 3))


def test_gradients_are_clipped():
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    stepper = optimizer_step.Descent(
        module, training.TrainConfig(num_steps=1, learning_rate=0.1, clip_norm=0.5)
    )
    assert stepper.take(1000 * module(torch.ones(1, 3)).square().sum(), step=1)
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in module.parameters()))
    assert norm == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("patience", [2, 5, None])
def test_early_stop_keeps_the_best(patience):
    x, y = line_world()
    module = nn.Linear(3, 1)
    scores = iter([1.0, 3.0, 2.0, 3.0, 4.0, float("nan"), 2.0, 1.0])
    seen = []

    def validate():
        seen.append(module.weight.detach().clone())
        return next(scores)

    report = training.fit(
        module,
        lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
        batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
        config=training.TrainConfig(
            num_steps=40, learning_rate=0.1, validate_every=5, patience=patience
        ),
        validate=validate,
    )
    # The fourth look only equals the second: two without a better one, and the end after 20 steps.
    if patience == 2:
        assert (report.num_steps, report.best_step, report.best_score) == (20, 10, 3.0)
    else:
        assert (report.num_steps, report.best_step, report.best_score) == (40, 25, 4.0)
    assert report.stopped_early == (report.num_steps < 40)
    assert torch.equal(module.weight, seen[report.best_step // 5 - 1])


def test_dev_scores_stand_in_the_history():
    x, y = line_world()
    module = nn.Linear(3, 1)
    report = training.fit(
        module,
        lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
        batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
        config=training.TrainConfig(num_steps=300, learning_rate=0.01, validate_every=100),
        validate=lambda: 0.5,
    )
    looked = {row["step"]: row["dev_score"] for row in report.history if "dev_score" in row}
    assert looked == {100: 0.5, 200: 0.5, 300: 0.5}
    # The first step, every third, and those that were looked at.
    assert len(report.history) == 1 + 100 + 2


def test_bf16_learns_with_float32_weights_that_move_by_little():
    """In bfloat16 a weight of 1 and a change under 0.004 are 1: the released M2M norms stayed."""
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    module = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4))
    dtypes = []

    def step(rows):
        out = module(x[rows])
        dtypes.append(out.dtype)
        return {"total": (out.float() - 1).square().mean()}

    report = training.fit(
        module,
        step,
        batches=training.shuffled_batches(64, batch_size=32, seed=0),
        config=training.TrainConfig(num_steps=40, learning_rate=5e-5, precision="bf16"),
    )
    assert set(dtypes) == {torch.bfloat16}
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    moved = (module[0].weight.detach() - 1).abs()
    assert 1e-4 < float(moved.max()) < 4e-3
    assert report.history[-1]["total"] < report.history[0]["total"]


def test_trainings_of_other_precision_follow_each_other():
    x, y = line_world()
    for precision in ("bf16", "no", "bf16"):
        module = nn.Linear(3, 1)
        report, _ = fit_line(module, x, y, precision=precision)
        assert report.history[-1]["error"] < 0.05 * report.history[0]["error"]


def test_fp16_needs_a_gpu():
    x, y = line_world()
    with pytest.raises(errors.ConfigError, match="fp16 needs a GPU") as error:
        fit_line(nn.Linear(3, 1), x, y, precision="fp16")
    assert 'precision="bf16"' in error.value.hint


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fp16_learns_on_a_gpu():
    x, y = (each.cuda() for each in line_world())
    report, _ = fit_line(nn.Linear(3, 1).cuda(), x, y, precision="fp16")
    assert report.history[-1]["error"] < 0.05 * report.history[0]["error"]


class TestScaledLosses:
    """float16's scaling of losses, with a scaler on the CPU in the place of the GPU's."""

    @pytest.fixture
    def stepper(self, monkeypatch):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(cpu=True)
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        accelerator.native_amp = True
        monkeypatch.setattr(AcceleratorState, "mixed_precision", "fp16")
        monkeypatch.setattr(optimizer_step, "_accelerator", lambda *args, **kwargs: accelerator)
        torch.manual_seed(0)
        yield optimizer_step.Descent(
            nn.Linear(3, 1),
            training.TrainConfig(num_steps=9, learning_rate=0.1, schedule="constant"),
        )
        AcceleratorState._reset_state(reset_partial_state=True)

    def test_the_step_is_that_of_the_unscaled_gradient(self, stepper):
        plain = nn.Linear(3, 1)
        plain.load_state_dict(stepper._module.state_dict())
        other = torch.optim.AdamW(plain.parameters(), lr=0.1, weight_decay=0.01)
        for module, take in (
            (stepper._module, lambda total: stepper.take(total, step=1)),
            (plain, lambda total: (total.backward(), other.step())),
        ):
            take(0.01 * module(torch.ones(1, 3)).square().sum())
        assert torch.allclose(plain.weight, stepper._module.weight, atol=1e-6)

    def test_an_overflow_is_skipped_and_lowers_the_scale(self, stepper):
        module = stepper._module
        before = module.weight.detach().clone()
        huge = 1e36 * module(torch.ones(1, 3)).square().sum()
        assert stepper.take(huge, step=1)
        assert torch.equal(module.weight, before)
        assert stepper.state_dict()["scaler"]["scale"] == 2.0**15
        stepper.forget()
        assert stepper.take(module(torch.ones(1, 3)).square().sum(), step=2)
        assert not torch.equal(module.weight, before)

    def test_a_loss_that_is_not_finite_is_no_overflow(self, stepper):
        assert not stepper.take(stepper._module(torch.ones(1, 3)).sum() * float("nan"), step=1)


def test_what_stands_on_the_bar(monkeypatch):
    said = []

    class Bar:
        def __enter__(self):
            return lambda count, note="": said.append((count, note))

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(progress, "bar", lambda label, total: Bar())
    x, y = line_world()
    fit_line(nn.Linear(3, 1), x, y, num_steps=2, schedule="constant")
    assert [count for count, _ in said] == [0, 1, 1]
    assert said[1][1].startswith("error ")
    assert said[1][1].endswith("rate 0.05")
    assert "total" in said[1][1]


def test_a_real_bar_shows_the_note(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_enabled", True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.bar("training", total=2) as advance:
        advance(1, "total 0.5")
        advance(1)
    assert "total 0.5" in capsys.readouterr().err


def test_trackers_are_told_what_the_log_says(tmp_path):
    x, y = line_world()

    def fit(num_steps):
        module = nn.Linear(3, 1)
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
        with tracked.opened() as told:
            report = training.fit(
                module,
                lambda rows: {"total": (module(x[rows]) - y[rows]).square().mean()},
                batches=training.shuffled_batches(len(x), batch_size=32, seed=0),
                config=training.TrainConfig(num_steps=num_steps, learning_rate=0.1),
                run=training.RunFolder(tmp_path / "run"),
                label="line",
            )
        return report, told

    report, told = fit(3)
    assert [(step, values["line/total"]) for step, values in told.logged] == [
        (row["step"], row["total"]) for row in report.history
    ]
    assert all("line/learning_rate" in values for _, values in told.logged)
    # What has ended is read, and not told again.
    assert fit(3)[1].logged == []


@pytest.mark.parametrize(
    "path", sorted(Path(training.__file__).parent.glob("*.py")), ids=lambda path: path.name
)
def test_optional_and_slow_packages_are_imported_on_use(path):
    names = [
        name.split(".")[0]
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or node.names[0].name]
    ]
    assert not {"accelerate", "bitsandbytes", "safetensors", "rich"} & set(names)
