"""`polyglance eval` is killed where it stands, run again, and ends as if it had never been."""

import json
import subprocess
import sys
import time

import pytest

from polyglance.languages.registry import all_languages

pytestmark = pytest.mark.slow

NUM_LANGUAGES, NUM_LINES, NUM_KILLS = 60, 300, 3
TOWER = "tiny:src/polyglance/towers/tiny/weights/pictograms-ranking"


def test_killed_runs_end_as_one_that_was_not(tmp_path):
    languages = [row.id for row in all_languages()[:NUM_LANGUAGES]]
    for language in ("eng_Latn", *languages):
        lines = [f"{language[: 3 + i % 5]} number {i}" for i in range(NUM_LINES)]
        (tmp_path / f"{language}.txt").write_text("\n".join(lines))
    argv = [sys.executable, "-m", "polyglance", "eval", TOWER, "--task", "bitext", "--data"]

    def start(name):
        with (tmp_path / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [*argv, tmp_path, "--out", tmp_path / f"{name}.jsonl"], stdout=log, stderr=log
            )

    assert start("whole").wait(timeout=120) == 0
    out = tmp_path / "killed.jsonl"
    num_killed = 0
    for kill in range(NUM_KILLS):
        running = start("killed")
        wanted = (kill + 1) * NUM_LANGUAGES // 2
        while running.poll() is None and _num_lines(out) < wanted:
            time.sleep(0.005)
        num_killed += running.poll() is None
        running.kill()
        running.wait()
    assert num_killed == NUM_KILLS
    assert start("killed").wait(timeout=120) == 0
    rows, whole = (
        sorted(map(json.loads, (tmp_path / f"{name}.jsonl").read_text().splitlines()), key=str)
        for name in ("killed", "whole")
    )
    assert rows == whole


def _num_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0
