"""Two processes train as one: real ones, over gloo on the loopback device."""

import json
import multiprocessing
import os
import socket

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polyglance import errors
from polyglance.losses.etcl import etcl
from polyglance.towers.runtime import devices
from polyglance.training import distributed
from polyglance.training.collectives import any_of, first_of
from polyglance.training.gradient_cache import encode_in_chunks

NUM_ROWS, NUM_TOKENS, WIDTH = 7, 20, 5


class Towers(nn.Module):
    """An image head, a text tower that both captions share, a temperature that learns."""

    def __init__(self):
        super().__init__()
        self.image = nn.Linear(4, WIDTH)
        self.tokens = nn.Embedding(NUM_TOKENS, 6)
        self.text = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, WIDTH))
        self.log_temperature = nn.Parameter(torch.tensor(-1.0))
        self.unused = nn.Parameter(torch.ones(3))
        self.first_only = nn.Parameter(torch.ones(2))

    def read(self, tokens):
        return F.normalize(self.text(self.tokens(tokens).mean(dim=1)), dim=1)

    def look(self, features):
        return F.normalize(self.image(features), dim=1)


def towers(seed):
    torch.manual_seed(seed)
    return Towers().double()


def batch():
    generator = torch.Generator().manual_seed(5)
    return {
        "features": torch.randn(NUM_ROWS, 4, generator=generator, dtype=torch.float64),
        "a": torch.randint(NUM_TOKENS, (NUM_ROWS, 3), generator=generator),
        "b": torch.randint(NUM_TOKENS, (NUM_ROWS, 3), generator=generator),
        "groups": torch.tensor([0, 1, 2, 3, 0, 5, 6]),
    }


def full_loss_gradients(model):
    """One step as a recipe takes it; the same lines serve one process and several."""
    rows = distributed.own_rows(torch.arange(NUM_ROWS))
    data = {name: part.to(model.log_temperature.device) for name, part in batch().items()}
    terms = etcl(
        distributed.gather_rows(model.look(data["features"][rows])),
        distributed.gather_rows(model.read(data["a"][rows])),
        distributed.gather_rows(
            encode_in_chunks(
                lambda at: model.read(data["b"][rows[at]]), num_rows=len(rows), chunk_rows=2
            )
        ),
        temperature=model.log_temperature.exp(),
        margin=0.3,
        label_smoothing=0.1,
        groups=distributed.gather_rows(data["groups"][rows]),
    )
    loss = terms["total"]
    if distributed.rank() == 0:
        loss = loss + model.first_only.square().sum()
    return take_gradients(model, loss)


def split_loss_gradients(model):
    """Each process asks for its own rows' queries alone; the loss is the mean over processes."""
    rows = distributed.own_rows(torch.arange(6))
    data = batch()
    queries = model.look(data["features"][rows])
    keys = distributed.gather_rows(model.read(data["a"][rows]))
    return take_gradients(model, F.cross_entropy(queries @ keys.T, rows))


def take_gradients(model, loss):
    model.zero_grad(set_to_none=True)
    loss.backward()
    distributed.average_gradients(model)
    return {name: each.grad for name, each in model.named_parameters()}


def work(rank, port, folder):
    """What each of the two processes does; the second ends without a word."""
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        GLOO_SOCKET_IFNAME="lo",
    )
    torch.set_num_threads(1)
    with distributed.connected(timeout_seconds=60), distributed.connected():
        model = towers(seed=rank)
        distributed.share_weights(model)
        distributed.BUCKET_ENTRIES = 40
        found = {
            "weights": model.state_dict(),
            "full": full_loss_gradients(model),
            "split": split_loss_gradients(model),
            "none": distributed.gather_rows(torch.ones(rank * 2, 3)),
            "ranks": (distributed.rank(), distributed.world_size()),
        }
        torch.save(found, folder / f"{rank}.pt")
        distributed.gather_rows(torch.zeros(1))
        if rank == 1:
            os._exit(3)
        try:
            distributed.average_gradients(model)
        except errors.TrainingError as error:
            (folder / "message").write_text(str(error))


def take_accelerators(rank, port, folder):
    """What each of two processes does on a machine with two accelerators, which only say so."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        GLOO_SOCKET_IFNAME="lo",
    )
    said = []
    torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 2
    torch.cuda.set_device = lambda device: said.append(f"takes {device}")
    really = torch.distributed.init_process_group

    def connect(backend, **rest):
        said.append(f"connects by {backend}")
        really("gloo", **rest)

    torch.distributed.init_process_group = connect
    said.append(f"loads on {devices.device_of(None)} and {devices.device_of('cuda')}")
    said.append(f"if told so on {devices.device_of('cuda:0')} and {devices.device_of('cpu')}")
    with distributed.connected(timeout_seconds=60):
        model = towers(seed=rank)
        distributed.share_weights(model)
        flags = any_of(rank == 1, False)
        said += [f"{[bool(each) for each in flags]}", f"{first_of(float(rank + 3))}"]
    (folder / f"{rank}.json").write_text(json.dumps(said))


def work_on_accelerators(rank, port, folder):
    """A step on real accelerators, with what lies on the CPU beside it."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    own = devices.device_of(None)
    with distributed.connected(timeout_seconds=60):
        model, on_cpu = towers(seed=rank).to(own), nn.Linear(2, 2)
        for each in (model, on_cpu):
            distributed.share_weights(each)
        found = {
            "full": {n: g if g is None else g.cpu() for n, g in full_loss_gradients(model).items()},
            "device": str(own),
            "current": torch.cuda.current_device(),
            "weights": on_cpu.weight.detach(),
            "flags": [bool(each) for each in any_of(rank == 1, False)],
        }
    torch.save(found, folder / f"{rank}.pt")


def run_two(target, folder):
    """Two processes that do the same, and how they ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Both are forked from a server that has imported torch and used nothing of it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "polyglance.losses.etcl", "polyglance.training.distributed"]
    )
    started = [context.Process(target=target, args=(rank, port, folder)) for rank in (0, 1)]
    for each in started:
        each.start()
    for each in started:
        each.join(timeout=120)
    codes = [each.exitcode for each in started]
    for each in started:
        each.kill()
    return codes


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes found, and the folder with what was said when one vanished."""
    folder = tmp_path_factory.mktemp("two")
    assert run_two(work, folder) == [0, 3]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)], folder


def test_both_begin_with_the_weights_of_the_first(two):
    (first, second), _ = two
    expected = towers(seed=0).state_dict()
    for name, value in expected.items():
        assert torch.equal(first["weights"][name], value)
        assert torch.equal(second["weights"][name], value)
    assert (first["ranks"], second["ranks"]) == ((0, 2), (1, 2))


def test_two_processes_give_the_gradient_of_one(two):
    (first, second), _ = two
    expected = full_loss_gradients(towers(seed=0))
    assert expected.pop("unused") is None
    # What one process alone put into its loss counts as zero in the other.
    expected["first_only"] = expected["first_only"] / 2
    for found in (first["full"], second["full"]):
        assert found.pop("unused") is None
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.abs().sum() > 0
            torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-12, msg=name)


def test_a_loss_split_by_rows_has_the_gradient_of_its_mean(two):
    (first, second), _ = two
    expected = split_loss_gradients(towers(seed=0))
    for name, gradient in expected.items():
        for found in (first["split"][name], second["split"][name]):
            if gradient is None:
                assert found is None
            else:
                torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12, msg=name)


def test_a_process_without_rows_gets_those_of_the_others(two):
    (first, second), _ = two
    assert torch.equal(first["none"], torch.ones(2, 3))
    assert torch.equal(second["none"], torch.ones(2, 3))


def test_a_vanished_worker_ends_the_other_with_a_clear_error(two):
    _, folder = two
    message = (folder / "message").read_text()
    assert "process 0 of 2: another process is gone" in message
    assert "start all of them again" in message


def test_each_process_takes_an_accelerator_of_its_own_before_they_connect(tmp_path):
    assert run_two(take_accelerators, tmp_path) == [0, 0]
    for rank in (0, 1):
        own = f"cuda:{rank}"
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [
            f"loads on {own} and {own}",
            "if told so on cuda:0 and cpu",
            f"takes {own}",
            "connects by cpu:gloo,cuda:nccl",
            "[True, False]",
            "3.0",
        ]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two accelerators")
def test_two_accelerators_give_the_gradient_of_one_process(tmp_path):
    expected = full_loss_gradients(towers(seed=0))
    expected["first_only"] = expected["first_only"] / 2
    assert run_two(work_on_accelerators, tmp_path) == [0, 0]
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert [found["device"] for found in both] == ["cuda:0", "cuda:1"]
    assert [found["current"] for found in both] == [0, 1]
    assert torch.equal(both[0]["weights"], both[1]["weights"])
    for found in both:
        assert found["flags"] == [True, False]
        for name, gradient in expected.items():
            if gradient is not None:
                torch.testing.assert_close(found["full"][name], gradient, rtol=1e-9, atol=1e-12)


def test_one_process_is_left_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    rows = torch.ones(3, 2, requires_grad=True)
    with distributed.connected():
        assert (distributed.world_size(), distributed.rank()) == (1, 0)
        assert distributed.gather_rows(rows) is rows
        assert torch.equal(distributed.own_rows(rows), rows)


def test_a_rendezvous_where_nobody_comes_is_an_error(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with (
        pytest.raises(errors.TrainingError, match="did not answer in time"),
        distributed.connected(timeout_seconds=0.5),
    ):
        pass
