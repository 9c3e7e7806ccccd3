"""A device is the one that was named, or an accelerator of this process's own."""

import pytest
import torch

from polyglance import errors
from polyglance.towers.runtime import devices

LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many accelerators, and what a launcher says of this process."""

    def made(count, **environment):
        for name in LAUNCHED:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return made


@pytest.mark.parametrize(
    ("count", "environment", "wanted"),
    [
        (0, {}, "cpu"),
        (0, {"LOCAL_RANK": 1, "RANK": 1, "WORLD_SIZE": 2}, "cpu"),
        (1, {}, "cuda"),
        (8, {}, "cuda"),
        (2, {"LOCAL_RANK": 0, "RANK": 0, "WORLD_SIZE": 2}, "cuda:0"),
        (2, {"LOCAL_RANK": 1, "RANK": 1, "WORLD_SIZE": 2}, "cuda:1"),
        # The second machine of two: the number on the machine counts, not the number of all.
        (4, {"LOCAL_RANK": 2, "RANK": 6, "WORLD_SIZE": 8}, "cuda:2"),
        # Each process is shown one accelerator alone, and it is the first of those it sees.
        (1, {"LOCAL_RANK": 3, "RANK": 3, "WORLD_SIZE": 4}, "cuda:0"),
        # Started by hand, without a number on the machine.
        (4, {"RANK": 6, "WORLD_SIZE": 8}, "cuda:2"),
    ],
)
def test_each_process_takes_its_own(count, environment, wanted, machine):
    machine(count, **environment)
    assert str(devices.device_of(None)) == wanted
    if count:
        assert str(devices.device_of("cuda")) == wanted


def test_what_is_named_wins(machine):
    machine(2, LOCAL_RANK=1, RANK=1, WORLD_SIZE=2)
    assert str(devices.device_of("cuda:0")) == "cuda:0"
    assert str(devices.device_of("cpu")) == "cpu"


def test_more_processes_than_accelerators(machine):
    machine(2, LOCAL_RANK=2, RANK=2, WORLD_SIZE=3)
    with pytest.raises(errors.ConfigError, match="process 2 .* there are 2") as caught:
        devices.device_of(None)
    assert "--nproc-per-node 2" in caught.value.hint


@pytest.mark.parametrize(("option", "count"), [("gpu", 2), ("", 2), ("cuda:2", 2), ("cuda", 0)])
def test_devices_that_are_none_or_not_there(option, count, machine):
    machine(count)
    with pytest.raises(errors.ConfigError, match=f"device={option}"):
        devices.device_of(option)
