"""Training is killed at random moments and run again; a disk is full; two processes are one."""

import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from polyglance import errors, training
from polyglance.training import distributed

pytestmark = pytest.mark.slow

NUM_KILLS = 10


def work(folder, settings, pipe, environment):
    """A training in a process of its own, with steps that end it where they are told to."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(512, 70)
    y = (x @ torch.randn(70, 1)).sin()
    dropout, noise = settings.get("dropout", 0.2), settings.get("noise", 0.1)
    module = nn.Sequential(nn.Linear(70, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 1))
    share, calls = settings.get("share"), []

    def batches(epoch):
        size = settings.get("batch", 32)
        for rows in training.shuffled_batches(512, batch_size=size, seed=1)(epoch):
            yield rows, torch.randn(len(rows), 70) * noise

    def step(batch):
        calls.append(1)
        here = (distributed.rank(), len(calls))
        if len(calls) == settings.get("die_at"):
            os._exit(9)
        if here == settings.get("stop_at"):
            signal.raise_signal(signal.SIGINT)
        rows, noises = map(distributed.own_rows, batch) if share == "rows" else batch
        total = (module(x[rows] + noises) - y[rows]).square().mean()
        return {"total": total * float("nan") if here == settings.get("nan_at") else total}

    every = settings.get("every", 10)
    pipe.send("begun")
    with distributed.connected():
        try:
            training.fit(
                module,
                step,
                batches=training.dealt_batches(batches) if share == "batches" else batches,
                validate=lambda: -float((module(x) - y).square().mean()),
                config=training.TrainConfig(
                    num_steps=settings.get("num_steps", 400),
                    learning_rate=1e-3,
                    optimizer=settings.get("optimizer", "adamw"),
                    precision=settings.get("precision", "no"),
                    average_decay=0.99,
                    validate_every=50,
                ),
                run=training.RunFolder(folder / "run", checkpoint_every_steps=every)
                if every
                else None,
            )
        except (errors.PolyglanceError, KeyboardInterrupt) as error:
            pipe.send(f"{type(error).__name__} {error}")
            sys.exit(4)
        save_file(module.state_dict(), folder / f"weights-{distributed.rank()}.safetensors")
    pipe.send("done")


def begin(folder, *, environment=(), **settings):
    """Start one, forked from a server with all imports done: kills shall meet the work."""
    folder.mkdir(exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "bitsandbytes", "polyglance.training"])
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(folder, settings, theirs, dict(environment)))
    process.start()
    theirs.close()
    assert ours.recv() == "begun"
    return process, ours


def end(process, pipe):
    """How it ended, and what it said last."""
    process.join(timeout=240)
    said = None
    while pipe.poll():
        try:
            said = pipe.recv()
        except EOFError:
            break
    return process.exitcode, said


def go(folder, **settings):
    """From begin to end."""
    return end(*begin(folder, **settings))


def weights(folder, rank=0):
    return load_file(folder / f"weights-{rank}.safetensors")


def rows(folder):
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def assert_equal(first, second):
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("optimizer", ["adamw", "lion8bit"])
def test_killed_at_random_moments_the_weights_are_those_of_one_run(tmp_path, optimizer):
    once, often = tmp_path / "once", tmp_path / "often"
    assert go(once, optimizer=optimizer) == (0, "done")
    # Moments from a fixed seed: after one to three more checkpoints and a little.
    moments, reached = random.Random(7), []
    for _ in range(NUM_KILLS):
        goal = 10 * moments.randint(1, 3) + (reached[-1] if reached else 0)
        process, pipe = begin(often, optimizer=optimizer)
        while process.is_alive() and last_checkpoint(often) < goal:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(process.pid, signal.SIGKILL)
        assert end(process, pipe)[0] == -signal.SIGKILL
        reached.append(last_checkpoint(often))
    assert go(often, optimizer=optimizer) == (0, "done")
    assert len(set(reached)) == NUM_KILLS
    assert_equal(weights(once), weights(often))
    assert rows(once) == rows(often)
    assert len({row["step"] for row in rows(often)}) == len(rows(often)) > 100
    left = sorted(each.name for each in (often / "run").iterdir() if each.is_dir())
    assert [name for name in left if name != "tensorboard"] == ["result"]


def last_checkpoint(folder):
    steps = [int(each.name[-6:]) for each in (folder / "run").glob("checkpoint-*")]
    return max(steps, default=0)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    once, stopped = tmp_path / "once", tmp_path / "stopped"
    assert go(once) == (0, "done")
    process, pipe = begin(stopped, every=10_000)
    while not (stopped / "run" / "log.jsonl").exists():
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    code, said = end(process, pipe)
    step = last_checkpoint(stopped)
    assert (code, said.split(";")[0]) == (4, f"KeyboardInterrupt stopped after step {step} of 400")
    assert f"the run folder {stopped / 'run'} goes on from there" in said
    assert go(stopped, every=10_000) == (0, "done")
    assert_equal(weights(once), weights(stopped))


def test_a_disk_that_is_full(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        module = torch.nn.Linear(200, 200)
        fill = folder / "fill"

        def step(batch):
            if batch == 5:
                fill.write_bytes(b"x" * 450_000)
            return {"total": module(torch.ones(1, 200)).square().mean()}

        with pytest.raises(errors.DiskFullError, match="checkpoint-000006"):
            training.fit(
                module,
                step,
                batches=lambda epoch: range(8),
                config=training.TrainConfig(num_steps=8, learning_rate=0.1),
                run=training.RunFolder(folder / "run", checkpoint_every_steps=3),
            )
        kept = sorted(each.name for each in (folder / "run").glob("*checkpoint*"))
        assert kept == ["checkpoint-000003"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def together(folder, **settings):
    """Two processes over gloo on the loopback device: how each ended, and what it said last."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared["GLOO_SOCKET_IFNAME"] = "lo"
    both = [
        begin(folder, environment=shared | {"RANK": rank, "LOCAL_RANK": rank}, **settings)
        for rank in ("0", "1")
    ]
    return [end(*each) for each in both]


# Without dropout and noise, so that shares of a batch can be compared with the whole.
PLAIN = {"dropout": 0.0, "noise": 0.0, "num_steps": 100}
BOTH_DONE = [(0, "done"), (0, "done")]


@pytest.mark.parametrize("share", ["batches", "rows"])
def test_two_processes_give_the_weights_of_one_on_the_union(tmp_path, share):
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    assert go(one, **PLAIN, batch=64) == (0, "done")
    batch = 32 if share == "batches" else 64
    assert together(two, **PLAIN, batch=batch, share=share) == BOTH_DONE
    assert_equal(weights(two, 0), weights(two, 1))
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(two)[name], value, rtol=1e-3, atol=1e-5, msg=name)
    # What it would be were the second one's rows left out.
    assert go(other, **PLAIN, batch=32) == (0, "done")
    assert (weights(other)["0.weight"] - weights(one)["0.weight"]).abs().max() > 1e-3


def test_two_processes_killed_and_resumed_end_alike(tmp_path):
    once, often = tmp_path / "once", tmp_path / "often"
    settings = {"share": "batches", "num_steps": 60, "every": 7}
    assert together(once, **settings) == BOTH_DONE
    for die_at in (12, 20):
        assert [code for code, _ in together(often, **settings, die_at=die_at)] == [9, 9]
    assert together(often, **settings) == BOTH_DONE
    for rank in (0, 1):
        assert_equal(weights(once, rank), weights(often, rank))
    assert rows(once) == rows(often)


def test_two_processes_in_bf16(tmp_path):
    assert together(tmp_path, **PLAIN, share="batches", precision="bf16") == BOTH_DONE
    assert_equal(weights(tmp_path, 0), weights(tmp_path, 1))


def test_what_stops_one_process_stops_both(tmp_path):
    settings = {**PLAIN, "share": "batches"}
    for code, said in together(tmp_path / "nan", **settings, nan_at=(1, 30), every=None):
        assert code == 4
        assert said.startswith("TrainingError")
        assert "at step 30 is not finite" in said
    for code, said in together(tmp_path / "stop", **settings, stop_at=(1, 30)):
        assert code == 4
        assert said.startswith("KeyboardInterrupt stopped after step 30 of 100")
    assert last_checkpoint(tmp_path / "stop") == 30


def test_another_number_of_processes_is_refused(tmp_path):
    settings = {**PLAIN, "share": "batches", "every": 7}
    together(tmp_path, **settings, die_at=20)
    code, said = go(tmp_path, **settings)
    assert (code, "num_processes 2; now it is 1" in said) == (4, True)


LAUNCHED = """
import pathlib, torch
from polyglance import training
from polyglance.training import distributed
from torch import nn

torch.manual_seed(0)
x = torch.randn(64, 3)
module = nn.Linear(3, 1)
config = training.TrainConfig(num_steps=10, learning_rate=0.1)
batches = training.dealt_batches(training.shuffled_batches(64, batch_size=8, seed=0))
step = lambda rows: {"total": (module(x[rows]) - 1).square().mean()}
with distributed.connected():
    training.fit(module, step, batches=batches, config=config)
    here = pathlib.Path(__file__).with_name(f"weights-{torch.distributed.get_rank()}")
    here.write_text(f"{distributed.world_size()} {module.weight.tolist()}")
"""


def test_torchrun_launches_them(tmp_path):
    (tmp_path / "program.py").write_text(LAUNCHED)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )
    # A file each: two processes that print to one pipe break into each other's lines.
    said = [path.read_text() for path in sorted(tmp_path.glob("weights-*"))]
    assert len(said) == 2, done.stderr
    assert said[0] == said[1]
    assert said[0].startswith("2 [[")
