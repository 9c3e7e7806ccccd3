"""Bugs are planted in a small tree: noticed, not noticed, endless, and nothing is left behind."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path("src/polyglance/search/one.py")
TESTS = "tests/test_one.py"
GOOD = """
import functools


def half(n):
    return n // 2


def unused(n):
    return n + 1
"""


@pytest.fixture
def tree(tmp_path):
    files = {
        SOURCE: GOOD,
        "src/polyglance/__init__.py": "",
        "src/polyglance/search/__init__.py": "",
        TESTS: """
            import pytest
            from polyglance.search import one

            @pytest.fixture(scope="module")
            def halved():
                return one.half(9)

            def test_first(halved):
                assert halved == 4

            def test_second(halved):
                assert halved != 5

            def test_nothing():
                pass
            """,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


def environment(tree):
    path = os.pathsep.join([str(tree / "src"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def test_a_worker_says_which_bugs_are_noticed(tree):
    tests = {f"{TESTS}::test_{name}": 0.1 for name in ("first", "second", "nothing")}
    sources = {
        "nothing planted": None,
        "noticed": GOOD.replace("n // 2", "n // 3"),
        "unnoticed": GOOD.replace("n + 1", "n - 1"),
        "endless": GOOD.replace("return n // 2", "\n    while True:\n        n += 1"),
        "broken": GOOD.replace("import functools", "import funktools"),
        "ends": GOOD.replace("return n // 2", "import os; os._exit(0)"),
        "nothing planted again": None,
    }
    jobs = [
        json.dumps({"file": str(SOURCE), "source": s, "tests": tests}) for s in sources.values()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.planting.worker"],
        input="\n".join(jobs) + "\n",
        cwd=tree,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = dict(zip(sources, map(json.loads, done.stdout.splitlines()), strict=True))
    found = {name: (each["verdict"], each["by"]) for name, each in answers.items()}
    first = f"{TESTS}::test_first"
    assert found == {
        "nothing planted": ("survived", ""),
        "noticed": ("caught", first),
        "unnoticed": ("survived", ""),
        "endless": ("caught", first),
        "broken": ("caught", ""),
        "ends": ("caught", first),
        "nothing planted again": ("survived", ""),
    }
    assert (tree / SOURCE).read_text() == textwrap.dedent(GOOD)


def test_a_covered_run_knows_who_uses_a_shared_fixture(tree):
    subprocess.run(
        [sys.executable, "-m", "benchmarks.planting.covering", "out.json", TESTS],
        cwd=tree,
        env=environment(tree),
        check=True,
        capture_output=True,
    )
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.planting import covering
    finally:
        sys.path.remove(str(ROOT))
    found = covering._resolved(json.loads((tree / "out.json").read_text()))
    body = GOOD.splitlines().index("    return n // 2") + 1
    assert found.running(SOURCE, lines=[body]) == sorted(
        [f"{TESTS}::test_first", f"{TESTS}::test_second"], key=lambda test: found.seconds[test]
    )
    assert len(found.seconds) == 3
    assert found.running(SOURCE, lines=[body + 4]) == []
