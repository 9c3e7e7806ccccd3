"""A worker that hangs without dying ends the others when the group's time is up."""

import os
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

TIMEOUT_SECONDS = 5
WORK = f"""
import sys, time, torch
from polyglance import errors
from polyglance.training import distributed
with distributed.connected(timeout_seconds={TIMEOUT_SECONDS}):
    distributed.gather_rows(torch.zeros(1))
    if distributed.rank() == 1:
        time.sleep(600)
    try:
        distributed.gather_rows(torch.zeros(1))
    except errors.TrainingError as error:
        print(error, flush=True)
"""


def test_a_hung_worker_ends_the_other_when_time_is_up():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    first, second = (
        subprocess.Popen(
            [sys.executable, "-c", WORK],
            env=os.environ | shared | {"RANK": rank, "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    )
    started = time.perf_counter()
    try:
        said, _ = first.communicate(timeout=120)
    finally:
        second.kill()
        second.wait()
    assert "process 0 of 2: another process is gone or did not answer in time" in said
    assert TIMEOUT_SECONDS <= time.perf_counter() - started < 60
