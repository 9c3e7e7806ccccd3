"""A process that plants bugs in its own copy of the tree, one at a time, and runs tests on each.

What is slow to import is imported once; each bug then gets a fork, in which the package and the
chosen tests are imported anew. Jobs come as lines of JSON on standard input, answers leave on
standard output.

A test that uses far more processor time than before, or stops for long, has noticed the bug.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from benchmarks.planting import covering

# Third-party modules only: our own are imported in each fork, with the bug in them. What starts
# threads on import (lance) has to stay out.
IMPORTED_ONCE = (
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "tokenizers",
    "safetensors.numpy",
    "numpy.testing",
    "PIL.Image",
    "pyarrow",
    "hypothesis",
    "typer.testing",
    "rich",
    "regex",
    "langcodes",
    "scipy.stats",
    "accelerate",
    "huggingface_hub",
)
# A test may take these seconds of processor time, and so many times what it took, before it
# counts as endless. The clock says nothing where other programs share the machine: a test has
# stopped when all its processes have slept for so long.
LEAST_CPU_SECONDS, CPU_FACTOR = 20, 5
LEAST_ASLEEP_SECONDS, ASLEEP_FACTOR = 60, 5
LOOK_SECONDS = 2.0
CAUGHT, SURVIVED = "caught", "survived"


class Chosen:
    """A pytest plugin: keeps the chosen tests in their order, and tells the parent what happens."""

    def __init__(self, seconds: dict[str, float], tell: Callable[[dict[str, Any]], None]) -> None:
        self.seconds, self.tell = seconds, tell

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop every test that was not chosen."""
        place = {test: index for index, test in enumerate(self.seconds)}
        items[:] = sorted(
            (item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid]
        )
        self.tell({"found": len(items)})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Set the limits of the test that begins."""
        spent = self.seconds[nodeid]
        usage = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(usage.ru_utime + usage.ru_stime + LEAST_CPU_SECONDS + CPU_FACTOR * spent)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        self.tell({"test": nodeid, "asleep": LEAST_ASLEEP_SECONDS + ASLEEP_FACTOR * spent})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say which test failed."""
        if report.failed:
            self.tell({"failed": report.nodeid})


def judge(job: dict[str, Any]) -> dict[str, Any]:
    """Plant a bug, run the tests in a fork, and take the bug out again.

    Args:
        job: `file` and the `source` to put there (None plants nothing), and `tests`: seconds by
            identifier, in the order in which they run.
    """
    path = Path(job["file"])
    original, times = path.read_bytes(), path.stat()
    try:
        if job["source"] is not None:
            path.write_text(job["source"])
            # No compiled file of another moment may stand for this one.
            os.utime(path, ns=(times.st_atime_ns, time.time_ns() + 10**10))
        return _in_a_fork(job["tests"])
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _in_a_fork(tests: dict[str, float]) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="polyglance-planted-")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run(tests, writing=writing, folder=folder)
    os.close(writing)
    try:
        return _watched(child, reading)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _run(tests: dict[str, float], *, writing: int, folder: str) -> None:
    """The body of the fork: a whole run of pytest. It never returns."""
    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(silent, standard)

    def tell(message: dict[str, Any]) -> None:
        os.write(writing, json.dumps(message).encode() + b"\n")

    code = 1
    try:
        options = ["-x", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={folder}/t"]
        for files in _in_stages(list(dict.fromkeys(test.partition("::")[0] for test in tests))):
            chosen = Chosen({t: s for t, s in tests.items() if t.partition("::")[0] in files}, tell)
            code = int(pytest.main([*files, "-m", covering.MARKS, *options], plugins=[chosen]))
            if code:
                break
    finally:
        tell({"code": code})
        os._exit(code)


def _in_stages(files: list[str]) -> list[list[str]]:
    """One file, three more, then the rest: most bugs are noticed before all are imported."""
    return [part for part in (files[:1], files[1:4], files[4:]) if part]


def _watched(child: int, messages: int) -> dict[str, Any]:
    """Read what the fork tells until it ends, or a test sleeps for too long."""
    test, failed, found, code, unread = "", "", 0, None, b""
    limit, awake_at = float(LEAST_ASLEEP_SECONDS), time.monotonic()
    while code is None:
        if not select.select([messages], [], [], LOOK_SECONDS)[0]:
            awake_at = awake_at if _is_asleep(child) else time.monotonic()
            if time.monotonic() - awake_at > limit:
                return {"verdict": CAUGHT, "by": test, "how": "stopped for too long"}
            continue
        awake_at = time.monotonic()
        part = os.read(messages, 65536)
        if not part:
            return {"verdict": CAUGHT, "by": test, "how": "ended the process or ran without end"}
        *lines, unread = (unread + part).split(b"\n")
        for message in map(json.loads, lines):
            test, limit = message.get("test", test), message.get("asleep", limit)
            failed, found = message.get("failed", failed), found + message.get("found", 0)
            code = message.get("code", code)
    if code == 0:
        return {"verdict": SURVIVED, "by": "", "how": f"{found} tests pass"}
    if failed:
        return {"verdict": CAUGHT, "by": failed, "how": "failed"}
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:  # they are made of what the bug changed
        return {"verdict": CAUGHT, "by": "", "how": "its tests are not there any more"}
    return {"verdict": CAUGHT, "by": "", "how": "cannot be imported"}


def _is_asleep(child: int) -> bool:
    """Whether a process and all that it started wait for something; a starved one does not."""
    try:
        top = psutil.Process(child)
        return all(
            each.status() == psutil.STATUS_SLEEPING for each in (top, *top.children(recursive=True))
        )
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Import, say that it is ready, and answer jobs until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    compileall.compile_dir("src", quiet=2)
    for name in IMPORTED_ONCE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        start = time.perf_counter()
        answer = judge(json.loads(line))
        answer["seconds"] = round(time.perf_counter() - start, 1)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
