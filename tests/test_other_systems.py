"""Systems without the modules of Unix: importing, locking, indexing, searching."""

import os
import subprocess
import sys

# As on a system that has none of these.
WITHOUT = """
import sys
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
"""


# The command line, with the towers of the small world.
COMMAND = """
from types import MappingProxyType
from polyglance import cli, towers
towers.TOWERS = MappingProxyType(
    {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
)
cli.main()
"""


def run_without(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_the_system_has_no_locks(tmp_path):
    program = """
import os
from pathlib import Path
from polyglance import errors
from polyglance.storage import locks
path = Path(sys.argv[1])
lock, other = (locks.FolderLock(path / "lock", owner="the store x") for _ in range(2))
with lock.hold():
    with lock.hold():
        assert lock.held
    try:
        with other.hold(wait_seconds=0.1):
            raise AssertionError("two writers")
    except errors.StoreError as error:
        assert f"by process {os.getpid()} on " in error.message, error.message
with other.hold():
    pass
assert not list(path.iterdir())
with path.joinpath("file").open("ab") as file:
    assert locks.lock_open(file.fileno(), waits=True) is None
"""
    run_without(program, tmp_path)


def test_every_module_is_imported_where_unix_modules_are_absent():
    program = """
import importlib, pkgutil, polyglance
for module in pkgutil.walk_packages(polyglance.__path__, "polyglance."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except polyglance.errors.MissingExtraError:
            pass
"""
    run_without(program)


def test_index_and_search(tmp_path, picture_folder, model_folder):
    index = tmp_path / "index"
    argv = ("index", picture_folder, "--model", model_folder, "--out", index)
    assert "72 new, 0 known" in run_without(COMMAND, *argv)
    assert "0 new, 72 known" in run_without(COMMAND, *argv)
    found = run_without(COMMAND, "search", "big red circle", "--index", index, "-k", "1")
    assert "big-red-circle.png" in found
    assert not (index / "store.lock").exists()


def test_results_are_added(tmp_path):
    program = """
from pathlib import Path
from polyglance.results import schema
schema.append_results(Path(sys.argv[1]), [])
"""
    run_without(program, tmp_path / "results.jsonl")
    assert (tmp_path / "results.jsonl").exists()
