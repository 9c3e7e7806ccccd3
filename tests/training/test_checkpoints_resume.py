"""A run that is stopped anywhere, any number of times, ends with the very weights of one run."""

import json
import random
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from polyglance import errors, training
from polyglance.training import checkpoints, state_files, weights

NUM_STEPS = 24


class Killed(Exception):
    """Stands for a kill: nothing that the loop could do is done."""


class Net(nn.Module):
    """Has dropout, buffers, and a matrix large enough for 8-bit averages."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 65)
        self.norm = nn.BatchNorm1d(65)
        self.last = nn.Linear(65, 1)

    def forward(self, x):
        return self.last(nn.functional.dropout(self.norm(self.first(x)), 0.3, self.training))


def world(killed_at=None):
    """Module, step and batches that draw from every global generator."""
    torch.manual_seed(3), np.random.seed(4), random.seed(5)
    x, y = torch.randn(60, 64), torch.randn(60, 1)
    module, calls = Net(), []

    def step(rows):
        calls.append(1)
        if len(calls) == killed_at:
            raise Killed
        noise = 0.1 * float(np.random.normal()) + 0.1 * random.gauss(0, 1)
        error = (module(x[rows]) - y[rows] + noise).square().mean()
        return {"error": error, "total": 2 * error}

    def batches(epoch):
        # A buffer that is filled and drawn from with torch's global generator: what it holds
        # depends on draws between which training steps drew, too.
        order = torch.randperm(60).tolist()
        buffer, rest = order[:20], order[20:]
        while rest or len(buffer) > 5:
            picked = torch.randperm(len(buffer))[:10].tolist()
            yield torch.tensor([buffer[i] for i in picked])
            buffer = [row for i, row in enumerate(buffer) if i not in picked] + rest[:10]
            rest = rest[10:]

    def validate():
        assert not module.training
        return -float((module(x) - y).square().mean())

    return module, step, batches, validate


def go(folder, *, killed_at=None, run_settings=None, **config):
    """Train, or go on training; the module and its report."""
    module, step, batches, validate = world(killed_at)
    settings = {"num_steps": NUM_STEPS, "learning_rate": 0.01, "validate_every": 5} | config
    run = None
    if folder is not None:
        settings_of_run = {"checkpoint_every_steps": 3, "checkpoint_every_seconds": None}
        run = training.RunFolder(folder, **(settings_of_run | (run_settings or {})))
    report = training.fit(
        module,
        step,
        batches=batches,
        config=training.TrainConfig(**settings),
        validate=validate,
        run=run,
    )
    return module, report


def go_through_kills(folder, kills, **config):
    for killed_at in kills:
        with pytest.raises(Killed):
            go(folder, killed_at=killed_at, **config)
    return go(folder, **config)


def assert_same(module, other):
    for (name, value), again in zip(
        module.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(value, again), name


def rows_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "config",
    [
        {"optimizer": "adamw", "average_decay": 0.9},
        {"optimizer": "lion8bit", "learning_rate": 1e-3},
        {"optimizer": "lamb", "schedule": "cosine", "warmup_share": 0.3},
        {"optimizer": "adamw", "precision": "bf16", "patience": 2, "rate_factors": {"last": 0.1}},
    ],
    ids=lambda config: "-".join(str(value) for value in config.values()),
)
def test_killed_at_random_steps_the_weights_are_those_of_one_run(tmp_path, config):
    module, report = go(tmp_path / "once", **config)
    after_once = torch.rand(3), np.random.rand(3), random.random()
    draws = random.Random(str(config))
    # A session dies after at most so many steps; three checkpoints an epoch and its end are met.
    kills = [draws.randint(1, 8) for _ in range(4)]
    resumed, report_again = go_through_kills(tmp_path / "often", kills, **config)
    after_often = torch.rand(3), np.random.rand(3), random.random()
    assert_same(module, resumed)
    assert report.num_steps >= 15
    for name in ("num_steps", "best_step", "best_score", "stopped_early", "history"):
        assert getattr(report, name) == getattr(report_again, name), name
    assert rows_of(tmp_path / "once") == rows_of(tmp_path / "often") == report.history
    for once, often in zip(after_once, after_often, strict=True):
        np.testing.assert_array_equal(once, often)


def test_a_run_folder_changes_nothing(tmp_path):
    module, report = go(None)
    kept, report_of_run = go(tmp_path / "run")
    assert_same(module, kept)
    assert report.history == report_of_run.history


def test_the_weights_are_not_those_of_another_order(tmp_path):
    """The comparison above can fail: without the random states it does."""
    module, _ = go(None)
    original = training.loop.RandomStates.load_state_dict
    training.loop.RandomStates.load_state_dict = lambda self, state: None
    try:
        resumed, _ = go_through_kills(tmp_path / "run", [8])
    finally:
        training.loop.RandomStates.load_state_dict = original
    assert not torch.equal(module.first.weight, resumed.first.weight)


def test_a_finished_run_gives_its_result_at_once(tmp_path):
    module, report = go(tmp_path / "run")
    again, report_again = go(tmp_path / "run", killed_at=1)
    assert_same(module, again)
    assert not again.training
    assert report_again.history == report.history
    assert report_again.seconds == pytest.approx(report.seconds, abs=0.2)
    assert [each.name for each in (tmp_path / "run").glob("checkpoint-*")] == []


def test_killed_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    module, _ = go(None)
    real, calls = checkpoints.tensor_files.write_torch, []

    def die_half_way(path, tensors):
        calls.append(1)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise Killed
        real(path, tensors)

    monkeypatch.setattr(checkpoints.tensor_files, "write_torch", die_half_way)
    # A real kill leaves the half-written folder behind.
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda *args, **kwargs: None)
    with pytest.raises(Killed):
        go(tmp_path / "run")
    monkeypatch.undo()
    left = tmp_path / "run" / ".checkpoint-000009.making-00000000"
    left.mkdir()
    assert sorted(each.name for each in (tmp_path / "run").glob("checkpoint-*"))[-1].endswith("6")
    resumed, _ = go(tmp_path / "run")
    assert_same(module, resumed)
    assert not left.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0.02}, "learning_rate 0.01; now it is 0.02"),
        ({"num_steps": 30}, "num_steps 24; now it is 30"),
        ({"optimizer": "lamb"}, "optimizer 'adamw'; now it is 'lamb'"),
        ({"run_settings": {"data": "photos"}}, "data None; now it is 'photos'"),
        ({"run_settings": {"config": {"margin": 0.3}}}, "margin None; now it is 0.3"),
    ],
)
def test_another_config_or_other_data_is_refused(tmp_path, change, said):
    with pytest.raises(Killed):
        go(tmp_path / "run", killed_at=7)
    with pytest.raises(errors.ConfigError, match="was begun with") as refused:
        go(tmp_path / "run", **change)
    assert said in refused.value.message
    assert go(tmp_path / "run")[1].num_steps == NUM_STEPS


def test_other_weights_at_the_start_are_refused(tmp_path):
    run = training.RunFolder(tmp_path)
    for seed, expectation in ((0, None), (1, "weights_at_start")):
        torch.manual_seed(seed)
        module = nn.Linear(3, 1)

        def fit(module=module):
            return training.fit(
                module,
                lambda rows: {"total": module(torch.ones(2, 3)).square().mean()},
                batches=training.shuffled_batches(4, batch_size=2, seed=0),
                config=training.TrainConfig(num_steps=2, learning_rate=0.1),
                run=run,
            )

        if expectation:
            with pytest.raises(errors.ConfigError, match=expectation):
                fit()
        else:
            fit()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(errors.StoreError, match=r"no run folder: it holds photo\.jpg"):
        go(tmp_path)


def test_two_at_once_are_refused(tmp_path):
    with pytest.raises(Killed):
        go(tmp_path / "run", killed_at=5)
    lock = checkpoints.locks.FolderLock(tmp_path / "run" / checkpoints.LOCK_FILE, owner="it")
    with lock.hold(), pytest.raises(errors.StoreError, match="is being written by process"):
        go(tmp_path / "run")


def test_fewer_batches_than_before_are_an_error(tmp_path):
    with pytest.raises(Killed):
        go(tmp_path / "run", killed_at=6)
    module, step, _, validate = world()
    with pytest.raises(errors.TrainingError, match="epoch 0 has 1 batches.*given 3"):
        training.fit(
            module,
            step,
            batches=lambda epoch: [torch.arange(10)],
            config=training.TrainConfig(num_steps=NUM_STEPS, learning_rate=0.01, validate_every=5),
            validate=validate,
            run=training.RunFolder(tmp_path / "run"),
        )


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    module, _ = go(None)
    interrupted, step, batches, validate = world()
    calls = []

    def step_with_ctrl_c(rows):
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)
        return step(rows)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 7 of 24; the same call"):
        training.fit(
            interrupted,
            step_with_ctrl_c,
            batches=batches,
            config=training.TrainConfig(num_steps=NUM_STEPS, learning_rate=0.01, validate_every=5),
            validate=validate,
            run=training.RunFolder(tmp_path / "run"),
        )
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "run" / "checkpoint-000007").is_dir()
    assert_same(module, go(tmp_path / "run")[0])


@pytest.fixture
def listens_to_ctrl_c():
    """A job in the background of a shell ignores Ctrl-C, and so would its tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listens_to_ctrl_c")
def test_a_second_ctrl_c_acts_at_once(tmp_path):
    def step(rows):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one must not wait")

    module, _, batches, _ = world()
    with pytest.raises(KeyboardInterrupt):
        training.fit(
            module,
            step,
            batches=batches,
            config=training.TrainConfig(num_steps=2, learning_rate=0.01),
            run=training.RunFolder(tmp_path / "run"),
        )


def test_a_torn_or_deleted_log_is_mended(tmp_path):
    _, report = go(tmp_path / "once")
    for name in ("torn", "deleted"):
        with pytest.raises(Killed):
            go(tmp_path / name, killed_at=12)
        log = tmp_path / name / "log.jsonl"
        if name == "torn":
            log.write_bytes(log.read_bytes()[:-7])
        else:
            log.unlink()
        go(tmp_path / name)
        assert rows_of(tmp_path / name) == report.history


def test_stages_have_folders_of_their_own(tmp_path):
    run = training.RunFolder(tmp_path / "run", data="a").about(config={"margin": 0.3}, data="b")
    assert run.stage("second").path == tmp_path / "run" / "second"
    assert (run.stage("second").config, run.stage("second").data) == ({"margin": 0.3}, "b")


def test_no_pickle_on_the_disk(tmp_path):
    with pytest.raises(Killed):
        go(tmp_path / "run", killed_at=5)
    names = {each.suffix for each in (tmp_path / "run").rglob("*") if each.is_file()}
    assert names <= {".json", ".jsonl", ".safetensors", ""}
    assert (tmp_path / "run" / checkpoints.LOCK_FILE).read_text().startswith("process")


def test_frozen_weights_are_not_saved_but_must_be_the_same(tmp_path):
    def fit(frozen):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(100, 100), nn.Linear(100, 1))
        module[0].requires_grad_(False)
        with torch.no_grad():
            module[0].weight.fill_(frozen)
        report = training.fit(
            module,
            lambda rows: {"total": (module(torch.ones(2, 100)) - 1).square().mean()},
            batches=training.shuffled_batches(4, batch_size=2, seed=0),
            config=training.TrainConfig(num_steps=9, learning_rate=0.01, average_decay=0.5),
            validate=lambda: 0.0,
            run=training.RunFolder(tmp_path / "run"),
        )
        return module, report

    module, _ = fit(0.01)
    saved = load_file(tmp_path / "run" / "result" / "state.safetensors")
    assert sum(value.numel() for name, value in saved.items() if name.endswith("weight")) == 100
    assert_same(module, fit(0.01)[0])
    with pytest.raises(errors.ConfigError, match="weights_at_start"):
        fit(0.02)


def test_weights_of_another_shape_are_refused():
    mine = weights.ChangingWeights(nn.Linear(3, 2))
    with pytest.raises(errors.TrainingError, match=r"weight are \(2, 4\) there and \(2, 3\) here"):
        mine.load_state_dict(nn.Linear(4, 2).state_dict())
    with pytest.raises(errors.TrainingError, match=r"bias are absent there"):
        mine.load_state_dict(nn.Linear(3, 2, bias=False).state_dict())


def test_what_cannot_be_saved_is_named():
    with pytest.raises(errors.TrainingError, match="module/odd is a object"):
        state_files.take_apart({"module": {"odd": object()}})


def test_tied_weights_and_odd_numbers_are_saved(tmp_path):
    shared = torch.arange(6.0).view(2, 3)
    state = {0: {"a": shared, "b": shared.T}, "rates": (1.5, float("-inf"), None, True)}
    apart = state_files.take_apart(state)
    checkpoints.tensor_files.write_torch(tmp_path / "t.safetensors", apart.tensors)
    loaded = state_files.Apart(
        json.loads(json.dumps(apart.skeleton)), load_file(tmp_path / "t.safetensors")
    )
    again = state_files.put_together(loaded)
    assert torch.equal(again[0]["b"], shared.T)
    assert again["rates"] == [1.5, float("-inf"), None, True]


class TestFingerprint:
    def test_content_order_types_and_shapes_count(self):
        values = ["ab", ["a", "b"], b"ab", 1, 1.0, True, None, {"a": "b"}, [["a"], "b"]]
        values += [torch.zeros(2), torch.zeros(2, 1), torch.zeros(2, dtype=torch.int32)]
        values += [np.zeros(2), np.zeros(2, np.float32), torch.zeros(2, dtype=torch.bfloat16)]
        assert len({training.fingerprint(value) for value in values}) == len(values)
        assert training.fingerprint(torch.zeros(2)) == training.fingerprint(torch.zeros(2))

    def test_others_are_refused(self):
        with pytest.raises(errors.TrainingError, match="no fingerprint of a object"):
            training.fingerprint([object()])
