"""Every script of examples/ runs by itself, and shows that it worked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELPERS = {"shapes.py"}
SCRIPTS = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name not in HELPERS)
SHOWS = {
    "train_a_pack.py": r"epo_Latn: teacher \d+%, pack \d+% of 10 .*; the pack answers",
    "search_an_index.py": r"rotes Herz +red-heart,",
    "evaluate_a_foreign_model.py": r"letters +rus_Cyrl .*accuracy 0\.\d\d +95 % interval",
    "serve_an_index.py": r"1\. red-heart\.png +0\.\d+",
    "export_a_pack.py": r"loaded back: distill pack for .*epo_Latn",
}
EXTRAS = {"serve_an_index.py": "uvicorn"}


def test_every_script_is_expected_to_show_something():
    assert sorted(SHOWS) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs(name, tmp_path):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name], reason="its extra is not installed")
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, tmp_path / "out"],
        cwd=tmp_path,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(SHOWS[name], done.stdout), done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "cache"}
